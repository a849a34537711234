/// The data of a segment of codec 8:
///
///     network       NetworkSyntax
///     weights       bytes behind a varint length, range-coded
///     embeddings    bytes to the end, range-coded
// bitstream-spec 14.3
package struct SegmentSyntax: BitstreamStructure, Equatable, Sendable {
  package static let maximumBytes = 1 << 28

  package var network = NetworkSyntax()
  package var weights: ArraySlice<UInt8> = []
  package var embeddings: ArraySlice<UInt8> = []

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.structure("network", &network)
    try visitor.bytes("weights", &weights, .prefixed(limit: Self.maximumBytes))
    try visitor.bytes("embeddings", &embeddings, .rest(limit: Self.maximumBytes))
  }
}
