/// The start of the payload of a `P` chunk; the codec's bytes follow, to the end of the chunk.
///
///     track   TrackReference
///     flags   1 byte, if the track is timed: bit 0 random access, bits 1...7 zero
///     start   varint, ticks, if the track is timed
// bitstream-spec 3.2
package struct PayloadHeader: BitstreamStructure, Equatable, Sendable {
  /// Track number, flags and start time at their longest.
  package static let maximumByteCount = 5 + 1 + Varint.maximumByteCount

  private let tracks: [TrackHeader]
  package var track: UInt32
  /// Whether decoding can begin here. Always true for tracks without a time base.
  package var isRandomAccess: Bool
  /// Ticks of the track's time base; 0 for tracks without one.
  package var start: UInt64

  package init(of tracks: [TrackHeader], track: UInt32 = 0, isRandomAccess: Bool = true, start: UInt64 = 0) {
    self.tracks = tracks
    self.track = track
    self.isRandomAccess = isRandomAccess
    self.start = start
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    var reference = TrackReference(track, of: tracks.count)
    try reference.visitFields(&visitor)
    track = reference.number
    if tracks[Int(track)].timeBase != nil {
      try visitor.packed("flags") { flags in flags.flag("random access", &isRandomAccess) }
      try visitor.varint("start", &start, unit: "ticks")
    } else if visitor.isReading {
      isRandomAccess = true
      start = 0
    } else {
      try visitor.require(isRandomAccess && start == 0, "start", "the track has no time base")
    }
  }
}
