/// The payload of a `c` chunk: TrackReference, then an ICC profile to the end of the chunk, 1...2^26 bytes.
// bitstream-spec 4.1
package struct ColourProfile: BitstreamStructure, Equatable, Sendable {
  package var track: TrackReference
  package var profile: ArraySlice<UInt8>

  package init(track: TrackReference, profile: ArraySlice<UInt8> = []) {
    self.track = track
    self.profile = profile
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try track.visitFields(&visitor)
    try visitor.bytes("ICC profile", &profile, .rest(limit: Metadatum.maximumBytes))
    try visitor.require(!profile.isEmpty, "ICC profile", "the profile is empty")
  }
}
