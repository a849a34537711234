/// What the chunks so far allow of the next one. Reader and writer hold their chunks against the same rules.
// bitstream-spec 2.3
struct ContainerRules: Sendable {
  private struct Progress {
    var payloads: UInt64 = 0
    var lastStart: UInt64 = 0
    var lastRandomAccess: UInt64?
  }

  private enum MetadataKey: Hashable {
    case ofTrack(ChunkType, UInt32)
    case text([UInt8])
    case levels
  }

  /// The rank of the last known chunk; -1 before the first.
  private var rank = -1
  private(set) var tracks: [TrackHeader] = []
  private var progress: [Progress] = []
  private var metadataKeys: Set<MetadataKey> = []
  /// Bytes from the start of the file.
  private(set) var indexOffset: Int?
  private(set) var isEnded = false

  /// Throws `misplacedChunk` or `duplicate` if a chunk of `type` may not come next.
  mutating func admit(_ type: ChunkType, at offset: Int) throws(BitstreamError) {
    if rank < 0, type != .track {
      throw BitstreamError(
        .misplacedChunk, at: offset, in: type.name, "the first chunk shall be a track and is \(type.name)")
    }
    guard let next = type.rank else { return }
    if type == .index {
      if indexOffset != nil { throw BitstreamError(.duplicate, at: offset, in: type.name, "a second index is found") }
      indexOffset = offset
    }
    guard next >= rank else {
      throw BitstreamError(
        .misplacedChunk, at: offset, in: type.name, "it may not follow a chunk that belongs after it")
    }
    rank = next
    isEnded = type == .end
  }

  mutating func add(_ track: TrackHeader, limit: Int, at offset: Int) throws(BitstreamError) {
    guard tracks.count < limit else {
      throw BitstreamError(.limitExceeded, at: offset, in: "track", "there are more than the \(limit) tracks allowed")
    }
    tracks.append(track)
    progress.append(Progress())
  }

  mutating func add(_ metadatum: Metadatum, at offset: Int) throws(BitstreamError) {
    let type = metadatum.chunkType
    let key: MetadataKey =
      switch metadatum {
      case .colourProfile(_, let track), .exif(_, let track): .ofTrack(type, track)
      case .gamma(_, let track): .ofTrack(type, track)
      case .text(let key, _): .text(Array(key.utf8))
      case .levels: .levels
      }
    guard metadataKeys.insert(key).inserted else {
      switch metadatum {
      case .text(let key, _):
        throw BitstreamError(.duplicate, at: offset, in: "text > key", "\(JSONText.quoted(key)) occurs twice")
      case .levels: throw BitstreamError(.duplicate, at: offset, in: type.name, "the file has them already")
      default: throw BitstreamError(.duplicate, at: offset, in: type.name, "the track has it already")
      }
    }
  }

  /// What the payload is in an index. Throws `malformed` if its time is out of order.
  mutating func add(_ header: PayloadHeader, chunk: Range<Int>) throws(BitstreamError) -> UnitRecord {
    let track = Int(header.track)
    var state = progress[track]
    var start = state.payloads
    if tracks[track].timeBase != nil {
      start = header.start
      guard start >= state.lastStart else {
        throw BitstreamError(
          .malformed, at: chunk.lowerBound, in: "payload > start",
          "\(start) ticks come after \(state.lastStart) in track \(track)")
      }
      guard header.isRandomAccess || state.payloads > 0 else {
        throw BitstreamError(
          .malformed, at: chunk.lowerBound, in: "payload > flags", "track \(track) starts without random access")
      }
      if header.isRandomAccess {
        if let last = state.lastRandomAccess, last == start {
          throw BitstreamError(
            .malformed, at: chunk.lowerBound, in: "payload > start",
            "two random-access payloads of track \(track) start at \(start) ticks")
        }
        state.lastRandomAccess = start
      }
      state.lastStart = start
    }
    state.payloads += 1
    progress[track] = state
    return UnitRecord(chunk: chunk, track: header.track, isRandomAccess: header.isRandomAccess, start: start)
  }

  /// Throws `missing` if a track without time base has no payload.
  func checkEnd(at offset: Int) throws(BitstreamError) {
    for (number, track) in tracks.enumerated() where track.timeBase == nil && progress[number].payloads == 0 {
      throw BitstreamError(.missing, at: offset, in: "track \(number)", "it has no payload")
    }
  }
}
