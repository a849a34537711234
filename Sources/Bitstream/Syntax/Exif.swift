/// The payload of an `x` chunk: TrackReference, then EXIF data from its TIFF header (`II` or `MM`) on, to the end of
/// the chunk, 1...2^26 bytes.
// bitstream-spec 4.3
package struct Exif: BitstreamStructure, Equatable, Sendable {
  package var track: TrackReference
  package var data: ArraySlice<UInt8>

  package init(track: TrackReference, data: ArraySlice<UInt8> = []) {
    self.track = track
    self.data = data
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try track.visitFields(&visitor)
    try visitor.bytes("data", &data, .rest(limit: Metadatum.maximumBytes))
    try visitor.require(!data.isEmpty, "data", "the data is empty")
  }
}
