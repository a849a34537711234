/// LEB128 integers: seven bits a byte, least significant first, bit 7 set on all bytes but the last.
// bitstream-spec 1.3
package enum Varint {
  /// The longest encoding of a 64-bit value, in bytes.
  package static let maximumByteCount = 10

  /// Bytes that `append` writes for `value`: 1...10.
  package static func byteCount(of value: UInt64) -> Int {
    max(1, (UInt64.bitWidth - value.leadingZeroBitCount + 6) / 7)
  }

  /// Appends the shortest form. The inverse is `decode(_:)`.
  package static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  package enum Outcome: Equatable, Sendable {
    case value(UInt64, byteCount: Int)
    /// The bytes stop inside the number.
    case short
    /// A zero byte ends a number that a shorter form could have held.
    case overlong
    /// The number needs more than 64 bits.
    case overflow
  }

  /// Reads one number from the start of `bytes`. The inverse is `append(_:to:)`.
  package static func decode(_ bytes: ArraySlice<UInt8>) -> Outcome {
    var value: UInt64 = 0
    for (position, byte) in bytes.prefix(maximumByteCount).enumerated() {
      if position == maximumByteCount - 1, byte > 1 { return .overflow }
      value |= UInt64(byte & 0x7F) << UInt64(7 * position)
      if byte < 0x80 {
        return byte == 0 && position > 0 ? .overlong : .value(value, byteCount: position + 1)
      }
    }
    return .short
  }
}
