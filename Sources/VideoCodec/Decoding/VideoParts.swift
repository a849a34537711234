import Bitstream
import Coding
import Media

/// The payloads of a file's video and its copied sound, from a stream or from where they can be sought.
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
    case sound(Int, [CopiedPacket])
  }

  let format: VideoFormat
  let family: NetworkFamily
  let soundTracks: [CopiedTrack]
  /// Nil of a stream, before its end.
  private(set) var frameCount: Int?
  /// Of the data of payloads that `next` has given: the video's, and each sound track's.
  private(set) var videoBytes = 0
  private(set) var soundBytes: [Int]

  private let video: UInt32
  /// By the container's number of the track.
  private let sounds: [UInt32: Int]
  private var readers: [CopiedTrackReader]
  private var nextPayload: () throws -> Payload?
  private var places: Places?
  /// What the next segment has to begin with; nil where that is open.
  private var expected: (frame: Int, after: Int64)? = (0, -1)
  private var isAfterLast = false

  static let containerLimits = ContainerLimits()

  init(stream: ContainerStream) throws {
    (video, format, family) = try Self.findVideo(stream.tracks)
    (sounds, readers) = try Self.findSound(stream.tracks)
    soundTracks = readers.map(\.track)
    soundBytes = readers.map { _ in 0 }
    nextPayload = { try stream.nextPayload() }
  }

  /// `checksums`: when those of payloads are checked.
  init<Source: ByteSource>(_ source: Source, checksums: ContainerReader<Source>.Checksums = .onDemand) throws {
    var limits = Self.containerLimits
    limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
    let reader = try ContainerReader(source, limits: limits, checksums: checksums)
    (video, format, family) = try Self.findVideo(reader.tracks)
    (sounds, readers) = try Self.findSound(reader.tracks)
    soundTracks = readers.map(\.track)
    soundBytes = readers.map { _ in 0 }
    let places = Places([video] + sounds.sorted { $0.value < $1.value }.map(\.key), reader.units)
    self.places = places
    nextPayload = { try places.next().map { try reader.payload($0) } }
    load = { try reader.payload($0) }
    let segments = places.units[0]
    guard let last = segments.last else { throw CodecError.damagedVideo("it has no segment") }
    let segment = try segment(reader.payload(last))
    guard segment.isLast else { throw CodecError.damagedVideo("the last segment does not say that it is") }
    frameCount = segment.end
  }

  /// Of what can be sought.
  private var load: ((UnitRecord) throws -> Payload)?

  /// The next part in the order of the file, tracks apart that are neither the video nor sound that was copied; nil at the end.
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
      if let number = sounds[payload.track] {
        soundBytes[number] += payload.data.count
        return .sound(number, try readers[number].packets(of: payload))
      }
    }
    if let expected, !isAfterLast { throw CodecError.damagedVideo("it ends after \(expected.frame) frames, without a last segment") }
    return nil
  }

  /// Goes to the segment that holds a frame, and to the sound that is heard with it; false in a stream. A frame behind the video: to its last segment.
  func seek(to frame: Int) throws -> Bool {
    guard let places, let load else { return false }
    let segments = places.units[0]
    var (low, high) = (0, segments.count)
    var found = try segment(load(segments[0]))
    while high - low > 1 {
      let middle = (low + high) / 2
      let segment = try segment(load(segments[middle]))
      if segment.first <= frame { (low, found) = (middle, segment) } else { high = middle }
    }
    places.positions[0] = low
    // Decoders of sound want some before it, a second at most.
    let time = found.times[min(max(0, frame - found.first), found.times.count - 1)].time
    for (number, track) in soundTracks.enumerated() {
      let second = Int64(track.timeBase.reciprocal.value.rounded(.up))
      let start = max(0, (format.timeBase.rescale(time, to: track.timeBase) ?? .max) - second)
      places.positions[number + 1] = places.units[number + 1].lastIndex { $0.isRandomAccess && $0.start <= UInt64(start) } ?? 0
      readers[number].seek()
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

  private static func findSound(_ tracks: [TrackHeader]) throws -> ([UInt32: Int], [CopiedTrackReader]) {
    var (numbers, readers): ([UInt32: Int], [CopiedTrackReader]) = ([:], [])
    for (number, track) in tracks.enumerated() where track.modality == .audio && track.codec == CodecID.copiedPackets {
      numbers[UInt32(number)] = readers.count
      readers.append(try CopiedTrackReader(track))
    }
    return (numbers, readers)
  }
}

/// Where the payloads of some tracks lie, and how far each track was read.
private final class Places {
  /// `[track][payload]`
  let units: [[UnitRecord]]
  var positions: [Int]

  init(_ tracks: [UInt32], _ all: [UnitRecord]) {
    units = tracks.map { track in all.filter { $0.track == track } }
    positions = [Int](repeating: 0, count: tracks.count)
  }

  /// The first in the file of those that are next in their tracks.
  func next() -> UnitRecord? {
    var first: (track: Int, unit: UnitRecord)?
    for (track, position) in positions.enumerated() where position < units[track].count {
      let unit = units[track][position]
      if unit.chunk.lowerBound < first?.unit.chunk.lowerBound ?? .max { first = (track, unit) }
    }
    guard let first else { return nil }
    positions[first.track] += 1
    return first.unit
  }
}
