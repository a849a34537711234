/// Packs numbers into bytes, most significant bit first. The inverse is `BitReader`.
// bitstream-spec 1.4
package struct BitWriter: Sendable {
  private var bytes: [UInt8] = []
  /// Bits that do not fill a byte yet, in the low `pendingCount` bits; the bits above are zero. `pendingCount` < 8.
  private var pending: UInt64 = 0
  private var pendingCount = 0

  package init() {}

  /// Bits written so far.
  package var bitCount: Int { bytes.count * 8 + pendingCount }

  /// Appends the low `count` bits (0...64) of `value`. Higher bits of `value` shall be zero.
  package mutating func write(_ value: UInt64, count: Int) {
    precondition((0...64).contains(count), "a bit count is 0...64")
    precondition(count == 64 || value >> UInt64(count) == 0, "the value does not fit its bit count")
    if count > 32 {
      append(value >> 32, count: count - 32)
      append(value & 0xFFFF_FFFF, count: 32)
    } else {
      append(value, count: count)
    }
  }

  package mutating func write(_ flag: Bool) { append(flag ? 1 : 0, count: 1) }

  /// Zero bits up to the next byte border.
  package mutating func align() {
    if pendingCount > 0 { append(0, count: 8 - pendingCount) }
  }

  /// The bytes, the last one filled up with zero bits.
  package consuming func finish() -> [UInt8] {
    align()
    return bytes
  }

  /// `count` is 0...32, so that at most 39 bits are pending at any time.
  private mutating func append(_ value: UInt64, count: Int) {
    pending = pending << UInt64(count) | value
    pendingCount += count
    while pendingCount >= 8 {
      pendingCount -= 8
      bytes.append(UInt8(truncatingIfNeeded: pending >> UInt64(pendingCount)))
    }
    pending &= (1 << UInt64(pendingCount)) - 1
  }
}
