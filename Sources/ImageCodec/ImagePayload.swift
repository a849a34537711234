import Bitstream

/// The payload of the one unit of codecs 1 and 2:
///
///     alpha length  varint, if the configuration has alpha
///     alpha         a coded plane, that many bytes
///     latents       to the end: a rANS payload (codec 1), an `OverfitStream` (codec 2)
// bitstream-spec 8.3, 9.2
struct ImagePayload: BitstreamStructure, Equatable {
  /// Nil without alpha.
  var alpha: ArraySlice<UInt8>?
  var latents: ArraySlice<UInt8>

  mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    if var plane = alpha {
      try visitor.bytes("alpha", &plane, .prefixed(limit: 1 << 28))
      alpha = plane
    }
    try visitor.bytes("latents", &latents, .rest(limit: 1 << 28))
  }
}
