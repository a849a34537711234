import EntropyCoding

/// Reads the bits of a group's indices. The inverse is the encoder's writer.
// bitstream-spec 12.3
final class TokenReader: TokenBits {
  private var decoder: RangeDecoder

  private init(_ payload: [UInt8]) { decoder = RangeDecoder(payload) }

  func bit(_ bit: Int, one: Int32) throws -> Int { try decoder.decodeBit(zeroWidth: UInt32(65536 - one)) }

  /// The indices of a payload's range-coded data. Throws `EntropyError`.
  static func group(_ payload: [UInt8], channels: Int, levels: Int, frames: Int, _ model: TokenModel) throws -> TokenGroup {
    let reader = TokenReader(payload)
    model.reset()
    var group = TokenGroup(channels: channels, levels: levels, frames: frames)
    try group.visit(model, reader)
    var decoder = RangeDecoder([])
    swap(&decoder, &reader.decoder)
    try decoder.finish()
    return group
  }
}
