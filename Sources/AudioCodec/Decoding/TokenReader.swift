import EntropyCoding

/// Reads the bits of a group's indices. The inverse is the encoder's writer.
// bitstream-spec 12.3
enum TokenReader {
  /// The indices of a payload's range-coded data. Throws `EntropyError`.
  static func group(_ payload: [UInt8], channels: Int, levels: Int, frames: Int, _ model: TokenModel) throws -> TokenGroup {
    let reader = ModelledBitReader(payload)
    model.reset()
    var group = TokenGroup(channels: channels, levels: levels, frames: frames)
    try group.visit(model, reader)
    try reader.finish()
    return group
  }
}
