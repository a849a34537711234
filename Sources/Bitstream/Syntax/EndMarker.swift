/// The payload of the `E` chunk, the last of a file: nothing, or 8 bytes with the offset of the `i` chunk from the
/// start of the file, so that a reader finds the index from the end.
// bitstream-spec 3.4
package struct EndMarker: BitstreamStructure, Equatable, Sendable {
  private let hasIndex: Bool
  private var offset: UInt64

  package init(indexOffset: UInt64?) {
    hasIndex = indexOffset != nil
    offset = indexOffset ?? 0
  }

  /// The value to read a payload of `length` bytes into.
  package static func blank(length: Int) -> EndMarker { EndMarker(indexOffset: length > 0 ? 0 : nil) }

  package var indexOffset: UInt64? { hasIndex ? offset : nil }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    if hasIndex { try visitor.unsigned("index offset", &offset, unit: "bytes") }
  }
}
