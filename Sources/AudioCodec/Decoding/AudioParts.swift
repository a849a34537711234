import Bitstream
import Coding
import EntropyCoding
import Media

/// The payloads of a file's sound, in order, from a stream or from where they can be sought.
// bitstream-spec 11.3
final class AudioParts {
  struct Part {
    let start: Int
    let frames: Int
    let isLast: Bool
    /// Of each channel; only of the last.
    let samples: Int
    let originalSamples: Int?
    let data: [UInt8]
  }

  let format: AudioFormat
  let originalRate: Int?
  let tags: [AudioTag]
  /// Nil of a stream.
  private(set) var frames: Int?
  private(set) var originalFrames: Int?
  private(set) var count = 0
  /// Of the payloads' chunks.
  private(set) var byteCount = 0

  private let track: UInt32
  private let longest: Int
  private let nextPayload: (UInt32) throws -> Payload?
  /// Goes to the payload in which a frame lies.
  private var seekTo: ((Int) throws -> Void)?

  static let limits = ContainerLimits(maxChunkBytes: 1 << 25)

  init(stream: ContainerStream) throws {
    (track, format, originalRate) = try Self.find(stream.tracks)
    tags = Self.tags(stream.metadata)
    longest = AudioGeometry(sampleRate: format.sampleRate).longest
    nextPayload = { track in
      while let payload = try stream.nextPayload() { if payload.track == track { return payload } }
      return nil
    }
  }

  init(_ source: some ByteSource, checksums: ContainerReader<MemorySource>.Checksums = .onDemand) throws {
    var limits = Self.limits
    limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
    let reader = checksums == .whenOpening
      ? try ContainerReader(source, limits: limits) : try ContainerReader(source, limits: limits, checksums: .onDemand, navigation: .index)
    let (track, format, originalRate) = try Self.find(reader.tracks)
    (self.track, self.format, self.originalRate) = (track, format, originalRate)
    tags = Self.tags(reader.metadata)
    longest = AudioGeometry(sampleRate: format.sampleRate).longest
    let units = reader.units.filter { $0.track == track }
    var next = 0
    nextPayload = { _ in
      guard next < units.count else { return nil }
      next += 1
      return try reader.payload(units[next - 1])
    }
    count = units.count
    byteCount = units.reduce(0) { $0 + $1.chunk.count }
    guard let last = units.last else {
      (frames, originalFrames) = (0, originalRate == nil ? nil : 0)
      return
    }
    let part = try part(reader.payload(last))
    guard part.isLast else { throw CodecError.damagedAudio("the last part does not say that it is") }
    (frames, originalFrames) = (part.start + part.samples, part.originalSamples)
    seekTo = { frame in
      // The part that begins at the frame or last before it.
      var (low, high) = (0, units.count)
      while high - low > 1 {
        let middle = (low + high) / 2
        if units[middle].start <= UInt64(frame) { low = middle } else { high = middle }
      }
      next = low
    }
  }

  func next() throws -> Part? { try nextPayload(track).map(part) }

  /// False where that cannot be.
  func seek(to frame: Int) throws -> Bool {
    guard let seekTo else { return false }
    try seekTo(frame)
    return true
  }

  private func part(_ payload: Payload) throws -> Part {
    var reader = FieldReader(payload.data, named: "audio payload", shortage: .malformed)
    let header = try reader.read(AudioPayloadHeader(hasOriginal: originalRate != nil))
    let room = Int(header.frames) * longest - longest / 2
    guard payload.isRandomAccess, payload.start <= 1 << 40, payload.start % UInt64(longest) == 0 else {
      throw CodecError.damagedAudio("a part begins at \(payload.start)")
    }
    guard !header.isLast || header.samples <= UInt64(room) else {
      throw CodecError.damagedAudio("\(header.samples) samples are more than \(header.frames) frames hold")
    }
    return Part(
      start: Int(payload.start), frames: Int(header.frames), isLast: header.isLast, samples: Int(header.samples),
      originalSamples: header.isLast && originalRate != nil ? Int(header.originalSamples) : nil,
      data: Array(payload.data.dropFirst(reader.offset)))
  }

  private static func find(_ tracks: [TrackHeader]) throws -> (UInt32, AudioFormat, Int?) {
    // Sound that was copied goes with a video.
    let own = tracks.firstIndex { $0.modality == .audio && $0.codec != CodecID.copiedPackets }
    guard let number = own ?? tracks.firstIndex(where: { $0.modality == .audio }) else {
      throw CodecError(.unsupported, "the file has no sound. It may be a picture or a KV cache: decode it as such.")
    }
    let track = tracks[number]
    if track.codec == CodecID.copiedPackets {
      throw CodecError(.unsupported, "the file's sound was copied from its source as it was and comes with a video: decode that.")
    }
    guard track.codec == CodecID.transformAudio else {
      throw CodecError(.unsupported, "the sound is of codec \(track.codec), which this nccodec lacks. Use a newer one.")
    }
    guard track.model == CoefficientPrior.modelID else {
      throw CodecError(.unsupported, "the sound needs model \(track.model), this nccodec has \(CoefficientPrior.modelID). Use a newer one.")
    }
    let configuration = try AudioConfiguration(parsing: track.configuration)
    guard track.timeBase == TimeBase(numerator: 1, denominator: configuration.sampleRate) else {
      throw CodecError.damagedAudio("the track's ticks are not samples")
    }
    let layout = try ChannelLayout(count: Int(configuration.channels), mask: configuration.mask)
    return (
      UInt32(number), try AudioFormat(sampleRate: Int(configuration.sampleRate), layout: layout),
      configuration.originalRate == 0 ? nil : Int(configuration.originalRate))
  }

  private static func tags(_ metadata: [Metadatum]) -> [AudioTag] {
    metadata.compactMap { if case .text(let key, let value) = $0 { AudioTag(key: key, value: value) } else { nil } }
  }
}

extension CodecError {
  static func damagedAudio(_ reason: String) -> CodecError {
    CodecError(.malformed, "the file's sound is damaged: \(reason).")
  }

  /// What `body` throws, as users are told it.
  static func explaining<R>(_ body: () throws -> R) throws -> R {
    do {
      return try body()
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as EntropyError {
      throw CodecError.damagedAudio("\(error)")
    } catch let error as GroupError {
      throw CodecError.damagedAudio("there is \(error.reason)")
    } catch let error as AudioError {
      throw CodecError.damagedAudio("\(error)")
    }
  }
}
