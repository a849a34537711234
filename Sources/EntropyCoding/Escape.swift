/// How a value outside a table's range follows the escape: a 6-bit head (side, and bit length of the excess), then the
/// excess below its leading bit. // bitstream-spec 5.3
struct Escape {
  let head: UInt32
  let mantissa: UInt32
  let mantissaBits: Int

  /// `value` is not in `range`. Inverse: `Escape.value`.
  init(_ value: Int16, outside range: ClosedRange<Int>) {
    let below = Int(value) < range.lowerBound
    let excess = UInt32(below ? range.lowerBound - 1 - Int(value) : Int(value) - range.upperBound - 1)
    let length = 32 - excess.leadingZeroBitCount
    head = (below ? 1 : 0) | UInt32(length) << 1
    mantissaBits = max(0, length - 1)
    mantissa = excess & ((1 << UInt32(mantissaBits)) - 1)
  }

  /// How many bits follow `head` (below 64). Throws `corrupt` on an excess that no Int16 has.
  static func mantissaBits(head: UInt32) throws -> Int {
    let length = Int(head >> 1)
    guard length <= 16 else { throw EntropyError(.corrupt, in: "escape", "an excess of \(length) bits") }
    return max(0, length - 1)
  }

  /// `head` has passed `mantissaBits(head:)`. Throws `corrupt` where the value is outside Int16.
  static func value(head: UInt32, mantissa: UInt32, outside range: ClosedRange<Int>) throws -> Int16 {
    let length = Int(head >> 1)
    let excess = length == 0 ? 0 : 1 << (length - 1) | Int(mantissa)
    let value = head & 1 == 1 ? range.lowerBound - 1 - excess : range.upperBound + 1 + excess
    guard let narrow = Int16(exactly: value) else {
      throw EntropyError(.corrupt, in: "escape", "\(value) is outside Int16")
    }
    return narrow
  }
}
