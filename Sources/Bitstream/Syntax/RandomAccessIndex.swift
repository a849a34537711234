/// The payload of an `i` chunk: a varint count, then that many entries in file order.
///
///     gap     varint, bytes from the end of the entry before (for the first, from the start of the file) to the chunk
///     length  varint, bytes of the whole chunk, from its type to its CRC
///     track   varint
///     start   varint, ticks, or the position among the track's payloads for tracks without a time base
// bitstream-spec 3.3
package struct RandomAccessIndex: BitstreamStructure, Equatable, Sendable {
  private struct Entry: BitstreamStructure, Equatable, Sendable {
    var gap: UInt64 = 0
    var length: UInt64 = 0
    var track: UInt32 = 0
    var start: UInt64 = 0

    mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
      try visitor.varint("gap", &gap, unit: "bytes")
      try visitor.varint("length", &length, unit: "bytes")
      try visitor.varint("track", &track)
      try visitor.varint("start", &start, unit: "ticks")
    }
  }

  private let limit: Int
  private var entries: [Entry] = []
  /// The end of the last entry's chunk, bytes from the start of the file.
  private var end = 0

  /// - Parameter limit: the largest count that is accepted.
  package init(limit: Int = Int.max) { self.limit = limit }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.list("entries", &entries, limit: limit, minimumBytes: 4, blank: Entry())
  }

  /// Adds a unit whose chunk lies after those of all entries so far.
  package mutating func append(_ unit: UnitRecord) {
    precondition(unit.chunk.lowerBound >= end, "index entries stand in file order")
    entries.append(
      Entry(
        gap: UInt64(unit.chunk.lowerBound - end), length: UInt64(unit.chunk.count), track: unit.track,
        start: unit.start))
    end = unit.chunk.upperBound
  }

  /// The entries with their offsets resolved. Throws `malformed` if a chunk would begin inside the file header or end
  /// after `limit`, where the index stands, or if a track does not exist.
  package func units(before limit: Int, trackCount: Int) throws(BitstreamError) -> [UnitRecord] {
    var units: [UnitRecord] = []
    units.reserveCapacity(entries.count)
    var position: UInt64 = 0
    for (number, entry) in entries.enumerated() {
      let (start, overflow) = position.addingReportingOverflow(entry.gap)
      let (end, secondOverflow) = start.addingReportingOverflow(entry.length)
      guard !overflow, !secondOverflow, start >= UInt64(FileHeader.byteCount), end <= UInt64(limit) else {
        throw BitstreamError(
          .malformed, at: limit, in: "index > entries > \(number)", "the entry points to where no payload can be")
      }
      guard entry.track < trackCount else {
        throw BitstreamError(
          .malformed, at: limit, in: "index > entries > \(number) > track", "there is no track \(entry.track)")
      }
      units.append(
        UnitRecord(chunk: Int(start)..<Int(end), track: entry.track, isRandomAccess: true, start: entry.start))
      position = end
    }
    return units
  }
}

/// Where a payload chunk lies and what it is for.
package struct UnitRecord: Equatable, Sendable {
  /// Bytes of the file that are the chunk, from its type to its CRC.
  package let chunk: Range<Int>
  package let track: UInt32
  package let isRandomAccess: Bool
  /// Ticks of the track's time base; the position among the track's payloads for tracks without one.
  package let start: UInt64

  package init(chunk: Range<Int>, track: UInt32, isRandomAccess: Bool, start: UInt64) {
    self.chunk = chunk
    self.track = track
    self.isRandomAccess = isRandomAccess
    self.start = start
  }
}
