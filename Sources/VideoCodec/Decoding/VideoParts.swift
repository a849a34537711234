import Bitstream
import Coding
import Media

/// The payloads of a file's video and its sound, from a stream or from where they can be sought.
// bitstream-spec 14.2
final class VideoParts {
  struct Segment {
    /// The number of its first frame.
    let first: Int
    let isLast: Bool
    let times: [(time: Int64, duration: Int64)]
    let data: ArraySlice<UInt8>

    /// Of the frame behind its last one.
    var end: Int { first + times.count }
  }

  enum Part {
    case segment(Segment)
    /// Packets of a track of `soundTracks`.
    case copiedSound(Int, [CopiedPacket])
    /// A payload of a track of `codedTracks`.
    case codedSound(Int, Payload)
  }

  let format: VideoFormat
  let family: NetworkFamily
  let soundTracks: [CopiedTrack]
  /// Of sound in this project's own codecs.
  let codedTracks: [TrackHeader]
  /// Nil of a stream, before its end.
  private(set) var frameCount: Int?
  /// Of the data of payloads that `next` has given: the video's, and each sound track's.
  private(set) var videoBytes = 0
  private(set) var soundBytes: [Int]
  private(set) var codedBytes: [Int]

  private let video: UInt32
  /// By the container's number of the track.
  private let sounds: [UInt32: Sound]
  private var readers: [CopiedTrackReader]

  private enum Sound {
    case copied(Int)
    case coded(Int)
  }
  private var nextPayload: () throws -> Payload?
  private var places: Places?
  /// What the next segment has to begin with; nil where that is open.
  private var expected: (frame: Int, after: Int64)? = (0, -1)
  private var isAfterLast = false

  static let containerLimits = ContainerLimits()

  init(stream: ContainerStream) throws {
    (video, format, family) = try Self.findVideo(stream.tracks)
    (sounds, readers, codedTracks) = try Self.findSound(stream.tracks)
    soundTracks = readers.map(\.track)
    (soundBytes, codedBytes) = (readers.map { _ in 0 }, codedTracks.map { _ in 0 })
    nextPayload = { try stream.nextPayload() }
  }

  /// `checksums`: when those of payloads are checked.
  init<Source: ByteSource>(_ source: Source, checksums: ContainerReader<Source>.Checksums = .onDemand) throws {
    var limits = Self.containerLimits
    limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
    let reader = try ContainerReader(source, limits: limits, checksums: checksums)
    (video, format, family) = try Self.findVideo(reader.tracks)
    (sounds, readers, codedTracks) = try Self.findSound(reader.tracks)
    soundTracks = readers.map(\.track)
    (soundBytes, codedBytes) = (readers.map { _ in 0 }, codedTracks.map { _ in 0 })
    let places = Places(reader.units)
    self.places = places
    nextPayload = { try places.next().map { try reader.payload($0) } }
    load = { try reader.payload($0) }
    guard let last = places[video].last else { throw CodecError.damagedVideo("it has no segment") }
    let segment = try segment(reader.payload(last))
    guard segment.isLast else { throw CodecError.damagedVideo("the last segment does not say that it is") }
    frameCount = segment.end
  }

  /// Of what can be sought.
  private var load: ((UnitRecord) throws -> Payload)?

  /// The next part in the order of the file, tracks apart that are neither the video nor sound that is known here; nil at the end.
  func next() throws -> Part? {
    while let payload = try nextPayload() {
      if payload.track == video {
        let segment = try segment(payload)
        if isAfterLast { throw CodecError.damagedVideo("a segment follows the last one") }
        if let expected {
          guard segment.first == expected.frame else {
            throw CodecError.damagedVideo("a segment begins with frame \(segment.first) where \(expected.frame) is expected")
          }
          guard segment.times[0].time > expected.after else {
            throw CodecError.damagedVideo("frame \(segment.first) comes at \(segment.times[0].time), the one before at \(expected.after)")
          }
        }
        expected = (segment.end, segment.times[segment.times.count - 1].time)
        isAfterLast = segment.isLast
        if isAfterLast { frameCount = segment.end }
        videoBytes += payload.data.count
        return .segment(segment)
      }
      switch sounds[payload.track] {
      case .copied(let number):
        soundBytes[number] += payload.data.count
        return .copiedSound(number, try readers[number].packets(of: payload))
      case .coded(let number):
        codedBytes[number] += payload.data.count
        return .codedSound(number, payload)
      case nil: break
      }
    }
    if let expected, !isAfterLast { throw CodecError.damagedVideo("it ends after \(expected.frame) frames, without a last segment") }
    return nil
  }

  /// Goes to the segment that holds a frame, and to the sound that is heard with it; false in a stream. A frame behind the video: to its last segment.
  /// `startOfCoded` is called with each coded track and the frame's time in ticks, and gives the tick of the track whose payload is wanted first.
  func seek(to frame: Int, startOfCoded: (Int, Int64) -> Int) throws -> Bool {
    guard let places, let load else { return false }
    let segments = places[video]
    var (low, high) = (0, segments.count)
    var found = try segment(load(segments[0]))
    while high - low > 1 {
      let middle = (low + high) / 2
      let segment = try segment(load(segments[middle]))
      if segment.first <= frame { (low, found) = (middle, segment) } else { high = middle }
    }
    places.go(to: low, of: video)
    // Decoders of sound want some before it, a second at most.
    let time = found.times[min(max(0, frame - found.first), found.times.count - 1)].time
    for (track, sound) in sounds {
      let start: Int64
      switch sound {
      case .copied(let number):
        let base = soundTracks[number].timeBase
        start = (format.timeBase.rescale(time, to: base) ?? .max) - Int64(base.reciprocal.value.rounded(.up))
        readers[number].seek()
      case .coded(let number): start = Int64(startOfCoded(number, time))
      }
      places.go(to: places[track].lastIndex { $0.isRandomAccess && $0.start <= UInt64(max(0, start)) } ?? 0, of: track)
    }
    (expected, isAfterLast) = (nil, false)
    return true
  }

  private func segment(_ payload: Payload) throws -> Segment {
    var reader = FieldReader(payload.data, named: "video payload", shortage: .malformed)
    let header = try reader.read(VideoPayloadHeader())
    guard payload.isRandomAccess, payload.start <= CopiedPackets.maximumTicks else {
      throw CodecError.damagedVideo("a segment begins at \(payload.start)")
    }
    // 4096 gaps of 2^40 ticks stay far below 2^62.
    var time = Int64(payload.start)
    let times = header.times.map { step in
      time += Int64(step.gap)
      return (time: time, duration: Int64(step.duration))
    }
    return Segment(first: Int(header.first), isLast: header.isLast, times: times, data: payload.data.dropFirst(reader.offset))
  }

  private static func findVideo(_ tracks: [TrackHeader]) throws -> (UInt32, VideoFormat, NetworkFamily) {
    guard let number = tracks.firstIndex(where: { $0.modality == .video }) else {
      throw CodecError(
        .unsupported, "the file has no video, only: \(tracks.map(\.modality.label).joined(separator: ", ")). Decode it as that.")
    }
    let (format, family) = try VideoFormat.read(tracks[number])
    return (UInt32(number), format, family)
  }

  private static func findSound(_ tracks: [TrackHeader]) throws -> ([UInt32: Sound], [CopiedTrackReader], [TrackHeader]) {
    var (sounds, readers, coded): ([UInt32: Sound], [CopiedTrackReader], [TrackHeader]) = ([:], [], [])
    for (number, track) in tracks.enumerated() where track.modality == .audio {
      switch track.codec {
      case CodecID.copiedPackets:
        sounds[UInt32(number)] = .copied(readers.count)
        readers.append(try CopiedTrackReader(track))
      case CodecID.transformAudio, CodecID.tokenAudio:
        sounds[UInt32(number)] = .coded(coded.count)
        coded.append(track)
      default: break
      }
    }
    return (sounds, readers, coded)
  }
}

/// Where the payloads of tracks lie, and how far each track was read.
private final class Places {
  private let units: [UInt32: [UnitRecord]]
  private var positions: [UInt32: Int] = [:]

  init(_ all: [UnitRecord]) { units = Dictionary(grouping: all, by: \.track) }

  subscript(track: UInt32) -> [UnitRecord] { units[track] ?? [] }

  func go(to position: Int, of track: UInt32) { positions[track] = position }

  /// The first in the file of those that are next in their tracks.
  func next() -> UnitRecord? {
    var first: UnitRecord?
    for (track, units) in units {
      let position = positions[track] ?? 0
      if position < units.count, units[position].chunk.lowerBound < first?.chunk.lowerBound ?? .max { first = units[position] }
    }
    guard let first else { return nil }
    positions[first.track, default: 0] += 1
    return first
  }
}
