import Bitstream

/// The payload of codec 1's one unit:
///
///     alpha length  varint, if the configuration has alpha
///     alpha         a coded plane, that many bytes
///     latents       a rANS payload, to the end
// bitstream-spec 8.3
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
