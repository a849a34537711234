import EntropyCoding

/// Writes the bits of a group's indices. The inverse is `TokenReader`.
// bitstream-spec 12.3
enum TokenWriter {
  /// The range-coded bytes of a group.
  static func bytes(of group: TokenGroup, _ model: TokenModel) -> [UInt8] {
    let writer = ModelledBitWriter()
    model.reset()
    var group = group
    // Writing throws nothing.
    try! group.visit(model, writer)
    return writer.finish()
  }
}
