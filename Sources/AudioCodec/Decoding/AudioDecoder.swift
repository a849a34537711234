import Bitstream
import Coding
public import Media

/// Turns an `.ncb` file back into sound, piece by piece, in memory that does not grow with its length.
///
///     var decoder = try AudioDecoder { count in try file.read(upTo: count) }
///     while let buffer = try decoder.next() { play(buffer) }
///
/// The same bytes give the same samples on every machine if they are `mdct`'s; if they are tokens, samples whose differences are
/// 50 dB below the sound. The inverse is `AudioEncoder`.
// bitstream-spec 11, 12
public struct AudioDecoder {
  public let format: AudioFormat
  /// Frames of the whole sound; nil of a stream, before its end.
  public private(set) var frames: Int?
  /// In order.
  public let tags: [AudioTag]
  /// Hz: of the sound before it was resampled to `format`'s rate; nil if it was not.
  public let originalSampleRate: Int?
  /// Frames of the sound at that rate; nil if it was not resampled, or of a stream before its end.
  public private(set) var originalFrames: Int?

  private let parts: AudioParts
  private let isHandedOver: Bool
  private let decoder: any PartDecoder
  /// Frames before this one are not given out.
  private var position = 0
  /// Where the next payload shall begin; nil after a seek.
  private var expected: Int? = 0
  private var isAtEnd = false
  private var ready: [AudioBuffer] = []

  /// From a file that is read front to back, such as a pipe: `read` gives up to so many bytes, and none at the end only.
  ///
  /// Throws `CodecError` for files that are damaged or need what this build lacks, and what `read` throws.
  public init(read: @escaping (Int) throws -> [UInt8]) throws {
    try self.init(try CodecError.explaining { try AudioParts(stream: ContainerStream(limits: AudioParts.limits, read: read)) })
  }

  /// From a file in memory.
  public init(_ bytes: [UInt8]) throws { try self.init(MemorySource(bytes)) }

  /// From a file on disk, of which only what is wanted is read.
  package init(_ source: some ByteSource) throws {
    try self.init(try CodecError.explaining { try AudioParts(source) })
  }

  /// "mdct" or "tokens"
  package var codec: String { parts.coding.label }

  /// Of a track whose payloads are handed over by `append`, as those of a video's sound; `next` gives what is known by them.
  package init(_ track: TrackHeader) throws { try self.init(try CodecError.explaining { try AudioParts(track) }, isHandedOver: true) }

  private init(_ parts: AudioParts, isHandedOver: Bool = false) throws {
    self.isHandedOver = isHandedOver
    self.parts = parts
    format = parts.format
    tags = parts.tags
    originalSampleRate = parts.originalRate
    (frames, originalFrames) = (parts.frames, parts.originalFrames)
    switch parts.coding {
    case .transform(let geometry): decoder = TransformPartDecoder(geometry, channels: format.layout.count)
    case .tokens(let mode, let levels): decoder = TokenPartDecoder(mode, levels: levels, channels: format.layout.count)
    }
  }

  /// The next piece of the sound, at least one frame; nil at its end. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError`, what `read` throws, and `CancellationError`.
  public mutating func next() throws -> AudioBuffer? {
    while ready.isEmpty, !isAtEnd, !isHandedOver { try decodePart() }
    return ready.isEmpty ? nil : ready.removeFirst()
  }

  private mutating func decodePart() throws {
    try Task.checkCancellation()
    guard let part = try CodecError.explaining({ try parts.next() }) else {
      guard expected == nil || expected == 0 || frames != nil else { throw CodecError.damagedAudio("the last part is missing") }
      isAtEnd = true
      if frames == nil { (frames, originalFrames) = (0, originalSampleRate == nil ? nil : 0) }
      return
    }
    try take(part)
    // What follows the last part is the file's end, which a stream has yet to look at.
    if isAtEnd, try CodecError.explaining({ try parts.next() }) != nil { throw Self.surplus }
  }

  private static let surplus = CodecError.damagedAudio("a part follows the last one")

  private mutating func take(_ part: AudioParts.Part) throws {
    guard expected == nil || part.start == expected else {
      throw CodecError.damagedAudio("a part begins at frame \(part.start) where \(expected!) is expected")
    }
    let end = part.isLast ? part.start + part.samples : 1 << 62
    try CodecError.explaining {
      try decoder.decode(part) { samples, start in give(samples, at: start, until: end) }
    }
    expected = part.start + part.frames * parts.coding.unit
    guard part.isLast else { return }
    isAtEnd = true
    (frames, originalFrames) = (end, part.originalSamples)
  }

  private mutating func give(_ samples: [[Float]], at start: Int, until end: Int) {
    let count = samples[0].count
    let from = max(0, position - start), to = min(count, end - start)
    guard from < to else { return }
    position = start + to
    let samples = from == 0 && to == count ? samples : samples.map { Array($0[from..<to]) }
    // As many channels as the format has, of one length.
    ready.append(try! AudioBuffer(format: format, samples: samples))
  }

  /// Lets `next` go on at a frame, 0 or more; behind the sound it gives nil.
  ///
  /// Throws `CodecError` (invalidOption) where the file is read front to back.
  public mutating func seek(toFrame frame: Int) throws {
    guard frame >= 0 else { throw CodecError(.invalidOption, "frame \(frame) is before the sound") }
    guard try CodecError.explaining({ try parts.seek(to: decoder.start(for: frame)) }) else {
      throw CodecError(.invalidOption, "a stream that is read front to back has no random access")
    }
    restart(at: frame)
    isAtEnd = frames.map { frame >= $0 } ?? false
  }

  private mutating func restart(at frame: Int) {
    decoder.begin(at: frame)
    (ready, position, expected) = ([], frame, nil)
  }
}

/// Of payloads that are handed over.
extension AudioDecoder {
  /// Takes the next payload of the track. Throws `CodecError`.
  package mutating func append(_ payload: Payload) throws {
    if isAtEnd { throw Self.surplus }
    try take(try CodecError.explaining { try parts.part(payload) })
  }

  /// There are no more payloads. Throws `CodecError` (malformed) where there should be.
  package func checkEnd() throws {
    if !isAtEnd, let expected, expected > 0 { throw CodecError.damagedAudio("the last part is missing") }
  }

  /// The number of the first frame that `next` gives.
  package var nextFrame: Int { position - ready.reduce(0) { $0 + $1.frames } }

  /// Lets `append` go on with the payload that begins at a frame or last before it, for `next` to go on at `frame`.
  package mutating func start(for frame: Int) -> Int {
    restart(at: frame)
    isAtEnd = false
    return decoder.start(for: frame)
  }
}
