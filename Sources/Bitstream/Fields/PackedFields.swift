/// The values inside a packed field, least significant bit first.
///
/// Gathers them into `word`, or takes them out of it if created with `init(reading:bitCount:)`. The first thing that
/// goes wrong is kept in `problem`, so that the closures of `FieldVisitor.packed` need no `try`.
// bitstream-spec 1.4
package struct PackedFields {
  struct Problem {
    let part: String
    let reason: String
  }

  private let isReading: Bool
  private let bitCount: Int
  /// Bits shown so far: 0...bitCount.
  private var used = 0
  private(set) var word: UInt64
  private(set) var problem: Problem?
  private(set) var parts: [PackedPart] = []

  init(bitCount: Int) {
    isReading = false
    self.bitCount = bitCount
    word = 0
  }

  init(reading word: UInt64, bitCount: Int) {
    isReading = true
    self.bitCount = bitCount
    self.word = word
  }

  package mutating func flag(_ name: String, _ value: inout Bool) {
    value = transfer(name, value ? 1 : 0, bits: 1) == 1
    parts.append(PackedPart(name: name, value: .flag(value), unit: nil))
  }

  /// A value of `bits` (1...64) bits within `range`.
  package mutating func unsigned<T: FixedWidthInteger & UnsignedInteger>(
    _ name: String, _ value: inout T, bits: Int, in range: ClosedRange<T> = T.min...T.max, unit: String? = nil
  ) {
    let wide = transfer(name, UInt64(value), bits: bits)
    guard let result = T(exactly: wide), range.contains(result) else {
      return note(name, "\(wide) is found where \(range.lowerBound) to \(range.upperBound) is allowed")
    }
    value = result
    parts.append(PackedPart(name: name, value: .number(wide), unit: unit))
  }

  package mutating func enumeration<E: FieldEnumeration>(_ name: String, _ value: inout E, bits: Int) {
    let wide = transfer(name, UInt64(value.rawValue), bits: bits)
    guard let raw = UInt8(exactly: wide), let result = E(rawValue: raw) else {
      return note(name, "\(wide) stands for nothing in this version of the format")
    }
    value = result
    parts.append(PackedPart(name: name, value: .symbol(result.label, wide), unit: nil))
  }

  mutating func checkReservedBits() {
    if used < bitCount, word >> UInt64(used) != 0 {
      note("reserved bits", "bits from \(used) on are not zero, as this version of the format demands")
    }
  }

  private mutating func transfer(_ name: String, _ value: UInt64, bits: Int) -> UInt64 {
    precondition(bits > 0 && used + bits <= bitCount, "packed fields shall fit their bytes")
    let mask = bits == 64 ? UInt64.max : (1 << UInt64(bits)) - 1
    let shift = UInt64(used)
    used += bits
    if isReading { return word >> shift & mask }
    if value > mask { note(name, "\(value) does not fit \(bits) bits") }
    word |= (value & mask) << shift
    return value
  }

  private mutating func note(_ part: String, _ reason: String) {
    if problem == nil { problem = Problem(part: part, reason: reason) }
  }
}

/// One value of a packed field, for printing.
package struct PackedPart: Equatable, Sendable {
  package let name: String
  package let value: FieldRow.Value
  package let unit: String?
}
