import EntropyCoding

/// Writes the bits of a group's indices. The inverse is `TokenReader`.
// bitstream-spec 12.3
final class TokenWriter: TokenBits {
  private var encoder = RangeEncoder()

  func bit(_ bit: Int, one: Int32) -> Int {
    encoder.encodeBit(bit, zeroWidth: UInt32(65536 - one))
    return bit
  }

  func finish() -> [UInt8] {
    var other = RangeEncoder()
    swap(&other, &encoder)
    return other.finish()
  }

  /// The range-coded bytes of a group.
  static func bytes(of group: TokenGroup, _ model: TokenModel) -> [UInt8] {
    let writer = TokenWriter()
    model.reset()
    var group = group
    // Writing throws nothing.
    try! group.visit(model, writer)
    return writer.finish()
  }
}
