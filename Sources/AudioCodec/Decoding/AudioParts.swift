import Bitstream
import Coding
import EntropyCoding
import Media

/// The payloads of a file's sound, in order, from a stream or from where they can be sought.
// bitstream-spec 11.3, 12.2
final class AudioParts {
  struct Part {
    let start: Int
    /// The codec's, each `unit` samples.
    let frames: Int
    let isLast: Bool
    /// Of each channel, from `start` on; only of the last.
    let samples: Int
    let originalSamples: Int?
    let data: [UInt8]
  }

  /// What the sound is coded by.
  enum Coding {
    case transform(AudioGeometry)
    case tokens(TokenMode, levels: Int)

    /// "mdct" or "tokens"
    var label: String {
      switch self {
      case .transform: "mdct"
      case .tokens: "tokens"
      }
    }

    /// Samples of a channel that a frame stands for.
    var unit: Int {
      switch self {
      case .transform(let geometry): geometry.longest
      case .tokens(let mode, _): mode.hop
      }
    }
  }

  let coding: Coding
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
  private var unit: Int { coding.unit }
  private var nextPayload: (UInt32) throws -> Payload? = { _ in nil }
  /// Goes to the payload in which a frame lies.
  private var seekTo: ((Int) throws -> Void)?

  static let limits = ContainerLimits(maxChunkBytes: 1 << 25)

  /// Of a track whose payloads come by `part(_:)`, as those of a video's sound.
  init(_ header: TrackHeader) throws {
    (track, tags) = (0, [])
    (coding, format, originalRate) = try Self.read(header)
  }

  init(stream: ContainerStream) throws {
    (track, coding, format, originalRate) = try Self.find(stream.tracks)
    tags = Self.tags(stream.metadata)
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
    let (track, coding, format, originalRate) = try Self.find(reader.tracks)
    (self.track, self.coding, self.format, self.originalRate) = (track, coding, format, originalRate)
    tags = Self.tags(reader.metadata)
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

  func part(_ payload: Payload) throws -> Part {
    var reader = FieldReader(payload.data, named: "audio payload", shortage: .malformed)
    let (frames, isLast, samples, original): (Int, Bool, Int, UInt64)
    switch coding {
    case .transform(let geometry):
      let header = try reader.read(AudioPayloadHeader(hasOriginal: originalRate != nil))
      let room = Int(header.frames) * geometry.longest - geometry.longest / 2
      guard !header.isLast || header.samples <= UInt64(room) else {
        throw CodecError.damagedAudio("\(header.samples) samples are more than \(header.frames) frames hold")
      }
      (frames, isLast, samples, original) = (Int(header.frames), header.isLast, Int(header.samples), header.originalSamples)
    case .tokens(let mode, _):
      let header = try reader.read(TokenPayloadHeader(mode: mode, hasOriginal: originalRate != nil))
      (frames, isLast, original) = (Int(header.frames), header.isLast, header.originalSamples)
      samples = (frames - 1) * mode.hop + Int(header.samples)
    }
    guard payload.isRandomAccess, payload.start <= 1 << 40, payload.start % UInt64(unit) == 0 else {
      throw CodecError.damagedAudio("a part begins at \(payload.start)")
    }
    return Part(
      start: Int(payload.start), frames: frames, isLast: isLast, samples: samples,
      originalSamples: isLast && originalRate != nil ? Int(original) : nil, data: Array(payload.data.dropFirst(reader.offset)))
  }

  private static func find(_ tracks: [TrackHeader]) throws -> (UInt32, Coding, AudioFormat, Int?) {
    if tracks.contains(where: { $0.modality == .video }) {
      throw CodecError(.unsupported, "the file's sound comes with a video: decode that.")
    }
    let own = tracks.firstIndex { $0.modality == .audio && $0.codec != CodecID.copiedPackets }
    guard let number = own ?? tracks.firstIndex(where: { $0.modality == .audio }) else {
      throw CodecError(.unsupported, "the file has no sound. It may be a picture or a KV cache: decode it as such.")
    }
    let (coding, format, originalRate) = try read(tracks[number])
    return (UInt32(number), coding, format, originalRate)
  }

  private static func read(_ track: TrackHeader) throws -> (Coding, AudioFormat, Int?) {
    let (coding, rate, channels): (Coding, UInt32, AudioChannels)
    switch track.codec {
    case CodecID.transformAudio:
      try demand(track.model, CoefficientPrior.modelID)
      let configuration = try AudioConfiguration(parsing: track.configuration)
      (rate, channels) = (configuration.sampleRate, configuration.channels)
      coding = .transform(AudioGeometry(sampleRate: Int(rate)))
    case CodecID.tokenAudio:
      try demand(track.model, TokenGeometry.modelID)
      let configuration = try TokenConfiguration(parsing: track.configuration)
      (rate, channels) = (UInt32(TokenGeometry.sampleRate), configuration.channels)
      coding = .tokens(configuration.mode, levels: configuration.levels)
    case CodecID.copiedPackets:
      throw CodecError(.unsupported, "the file's sound was copied from its source as it was and comes with a video: decode that.")
    default:
      throw CodecError(.unsupported, "the sound is of codec \(track.codec), which this nccodec lacks. Use a newer one.")
    }
    guard track.timeBase == TimeBase(numerator: 1, denominator: rate) else {
      throw CodecError.damagedAudio("the track's ticks are not samples")
    }
    let layout = try ChannelLayout(count: Int(channels.count), mask: channels.mask)
    return (coding, try AudioFormat(sampleRate: Int(rate), layout: layout), channels.originalRate == 0 ? nil : Int(channels.originalRate))
  }

  private static func demand(_ model: UInt32, _ known: UInt32) throws {
    guard model == known else {
      throw CodecError(.unsupported, "the sound needs model \(model), this nccodec has \(known). Use a newer one.")
    }
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
