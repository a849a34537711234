/// The payload of an `l` chunk: which tracks hold the same in several qualities, a list of 1...64 items, level 0 first.
///
///     track     varint, in files of one track too
///     quality   1 byte, 0...100, or 101 for without loss
// bitstream-spec 4.7
package struct Levels: BitstreamStructure, Equatable, Sendable {
  package struct Level: BitstreamStructure, Equatable, Sendable {
    /// The `quality` of a level without loss.
    package static let lossless: UInt8 = 101

    package var track: UInt32
    package var quality: UInt8

    package init(track: UInt32 = 0, quality: UInt8 = 0) {
      self.track = track
      self.quality = quality
    }

    package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
      try visitor.varint("track", &track)
      try visitor.unsigned("quality", &quality, in: 0...Self.lossless)
    }
  }

  package static let maximumCount = 64

  private let trackCount: Int
  package var levels: [Level]

  package init(_ levels: [Level] = [], trackCount: Int) {
    self.levels = levels
    self.trackCount = trackCount
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.list("levels", &levels, limit: Self.maximumCount, minimumBytes: 2, blank: Level())
    try visitor.require(!levels.isEmpty, "levels", "there is none")
    try visitor.require(
      levels.allSatisfy { Int($0.track) < trackCount }, "levels", "one is in a track that does not exist")
    try visitor.require(Set(levels.map(\.track)).count == levels.count, "levels", "two are in the same track")
  }
}
