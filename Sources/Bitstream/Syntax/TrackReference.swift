/// The number of a track: a varint, left out of files with one track, which has number 0.
// bitstream-spec 2.4
package struct TrackReference: BitstreamStructure, Equatable, Sendable {
  package let trackCount: Int
  package var number: UInt32

  package init(_ number: UInt32 = 0, of trackCount: Int) {
    self.trackCount = trackCount
    self.number = number
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.require(trackCount > 0, "track", "there is no track yet")
    if trackCount > 1 {
      try visitor.varint("track", &number, in: 0...UInt32(clamping: trackCount - 1))
    } else if visitor.isReading {
      number = 0
    } else {
      try visitor.require(number == 0, "track", "there is no track \(number)")
    }
  }
}
