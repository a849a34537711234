/// What takes or gives bits whose probabilities a codec models itself, so that one walk over its numbers serves writing, reading and measuring.
package protocol ModelledBits: AnyObject {
  /// A bit that is 1 with a probability of `one` in 2^-16. Gives `bit`, or the bit that was read.
  func bit(_ bit: Int, one: Int32) throws -> Int
}

/// Writes bits by the range coder. The inverse is `ModelledBitReader`. // bitstream-spec 5.6
package final class ModelledBitWriter: ModelledBits {
  private var encoder = RangeEncoder()

  package init() {}

  package func bit(_ bit: Int, one: Int32) -> Int {
    encoder.encodeBit(bit, zeroWidth: UInt32(65536 - one))
    return bit
  }

  /// The payload. Nothing comes after it.
  package func finish() -> [UInt8] {
    var other = RangeEncoder()
    swap(&other, &encoder)
    return other.finish()
  }
}

/// Reads what `ModelledBitWriter` wrote.
package final class ModelledBitReader: ModelledBits {
  private var decoder: RangeDecoder

  package init(_ payload: [UInt8]) { decoder = RangeDecoder(payload) }

  /// Throws `EntropyError` (truncated).
  package func bit(_ bit: Int, one: Int32) throws -> Int { try decoder.decodeBit(zeroWidth: UInt32(65536 - one)) }

  /// Checks that the payload ends here. Throws `EntropyError`.
  package func finish() throws {
    var other = RangeDecoder([])
    swap(&other, &decoder)
    try other.finish()
  }
}
