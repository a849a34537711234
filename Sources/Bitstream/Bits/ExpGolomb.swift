/// Exponential Golomb codes of order k: `v + 2^k` in binary after as many zeros as it has bits beyond k + 1.
// bitstream-spec 1.4
extension BitWriter {
  /// Appends `value` with an order of 0...31. The inverse is `BitReader.readExpGolomb(order:)`.
  package mutating func writeExpGolomb(_ value: UInt32, order: Int = 0) {
    precondition((0...31).contains(order), "an order is 0...31")
    let shifted = UInt64(value) + 1 << UInt64(order)
    let length = UInt64.bitWidth - shifted.leadingZeroBitCount
    write(0, count: length - order - 1)
    write(shifted, count: length)
  }

  /// Appends 0, 1, -1, 2, -2, ... as 0, 1, 2, 3, 4, ... The inverse is `BitReader.readSignedExpGolomb(order:)`.
  ///
  /// `value` is -(2^31 - 1)...2^31 - 1, so that the mapped value fits 32 bits.
  package mutating func writeSignedExpGolomb(_ value: Int32, order: Int = 0) {
    precondition(value > Int32.min, "-2^31 has no code")
    writeExpGolomb(value > 0 ? value.magnitude * 2 - 1 : value.magnitude * 2, order: order)
  }
}

extension BitReader {
  /// Throws `truncated` if the bits run out, `malformed` if the value needs more than 32 bits. The inverse is
  /// `BitWriter.writeExpGolomb(_:order:)`.
  package mutating func readExpGolomb(order: Int = 0) throws(BitstreamError) -> UInt32 {
    precondition((0...31).contains(order), "an order is 0...31")
    let start = position
    // 32 zeros are the most that a value below 2^32 has, at order 0.
    guard let zeros = leadingZeros(limit: 32) else {
      throw remaining > 32
        ? failure(.malformed, "an Exp-Golomb code starts with more than 32 zeros")
        : failure(.truncated, "the data ends inside an Exp-Golomb code")
    }
    let length = zeros + order + 1
    guard zeros + length <= remaining else {
      throw failure(.truncated, "an Exp-Golomb code of \(zeros + length) bits has \(remaining) left")
    }
    _ = try read(count: zeros)
    let value = try read(count: length) - 1 << UInt64(order)
    guard let result = UInt32(exactly: value) else {
      rewind(to: start)
      throw failure(.malformed, "an Exp-Golomb code is above 2^32 - 1")
    }
    return result
  }

  /// The inverse of `BitWriter.writeSignedExpGolomb(_:order:)`.
  package mutating func readSignedExpGolomb(order: Int = 0) throws(BitstreamError) -> Int32 {
    let start = position
    let mapped = try readExpGolomb(order: order)
    guard mapped < UInt32.max else {
      rewind(to: start)
      throw failure(.malformed, "a signed Exp-Golomb code is beyond 2^31 - 1")
    }
    let magnitude = Int32((mapped >> 1) + (mapped & 1))
    return mapped & 1 == 1 ? magnitude : -magnitude
  }
}
