/// The payload of a `g` chunk: TrackReference, then 100,000 times the encoding exponent as in PNG's gAMA (45455 for
/// 1/2.2), a varint of 1...2^31 - 1.
// bitstream-spec 4.2
package struct Gamma: BitstreamStructure, Equatable, Sendable {
  package static let range: ClosedRange<UInt32> = 1...0x7FFF_FFFF

  package var track: TrackReference
  package var exponent: UInt32

  package init(track: TrackReference, exponent: UInt32 = 100_000) {
    self.track = track
    self.exponent = exponent
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try track.visitFields(&visitor)
    try visitor.varint("exponent", &exponent, in: Self.range, unit: "1/100000")
  }
}
