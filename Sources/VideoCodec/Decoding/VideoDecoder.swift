import AudioCodec
import Bitstream
import Coding
public import Media

/// Turns an `.ncb` file back into a video, frame by frame, in memory that does not grow with its length.
///
///     let decoder = try VideoDecoder(bytes)
///     while let frame = try decoder.next() { show(frame) }
///
/// or `for try await frame in decoder.sequence`. Each frame needs its segment's network alone, so that any frame can be had without those before.
/// The same bytes give the same samples on every machine, at any number of threads. The inverse is `VideoEncoder`.
// bitstream-spec 14
public final class VideoDecoder: FrameSource {
  public struct Options: Sendable {
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?
    /// Largest frame accepted, in pixels.
    public var maxPixels = 1 << 26
    /// Most memory that decoding may take, in bytes, by an estimate made before anything is allocated.
    public var maxMemory = 4 << 30

    public init() {}
  }

  public let format: VideoFormat
  /// Frames of the whole video; nil of a stream, before its end.
  public var frameCount: Int? { parts.frameCount }
  /// What made it, such as "hnerv".
  public var codec: String { parts.family.label }
  /// Sound that was copied, of which `nextSoundPacket` gives the packets. What is not taken, of `nextSound` neither, stays in memory as it is coded.
  public var soundTracks: [CopiedTrack] { parts.soundTracks }
  /// Sound that was coded anew, of which `nextSound` gives the samples.
  public var codedSound: [CodedSoundTrack] { sounds.map(CodedSoundTrack.init) }

  private let options: Options
  private let open: SegmentOpener
  private let parts: VideoParts
  private let isStream: Bool
  /// Frames before this one are not given out.
  private var position = 0
  /// The segment that frames are taken from; its decoder once one was needed.
  private var segment: (segment: VideoParts.Segment, decoder: (any SegmentDecoding)?)?
  /// One that was met while sound was looked for.
  private var following: VideoParts.Segment?
  private var isAtEnd = false
  private var ready: [VideoFrame] = []
  private var packets: [(track: Int, packet: CopiedPacket)] = []
  /// Of `packets`, those that were given out.
  private var given = 0
  /// Of coded sound: a decoder for each track, the first sample that is wanted of it, and what comes next.
  private var sounds: [AudioDecoder]
  private var soundStarts: [Int]
  /// Whether coded sound is wanted from the next frame's time on, which is not known yet.
  private var soundAwaitsFrame = false
  private var payloads: [(track: Int, payload: Payload)] = []
  private var decoded = 0

  /// From a file that is read front to back, such as a pipe: `read` gives up to so many bytes, and none at the end only.
  ///
  /// Throws `CodecError` for files that are damaged, too large, or need what this build lacks, and what `read` throws.
  public convenience init(options: Options = Options(), read: @escaping (Int) throws -> [UInt8]) throws {
    try self.init(options: options, open: NetworkSegments.open, read: read)
  }

  /// From a file in memory.
  public convenience init(_ bytes: [UInt8], options: Options = Options()) throws { try self.init(MemorySource(bytes), options: options) }

  /// From a file on disk, of which only what is wanted is read.
  package convenience init<Source: ByteSource>(
    _ source: Source, options: Options = Options(), checksums: ContainerReader<Source>.Checksums = .onDemand,
    open: @escaping SegmentOpener = NetworkSegments.open
  ) throws {
    try self.init(try CodecError.explainingVideo { try VideoParts(source, checksums: checksums) }, isStream: false, options, open)
  }

  package convenience init(options: Options = Options(), open: @escaping SegmentOpener, read: @escaping (Int) throws -> [UInt8]) throws {
    let parts = try CodecError.explainingVideo { try VideoParts(stream: ContainerStream(limits: VideoParts.containerLimits, read: read)) }
    try self.init(parts, isStream: true, options, open)
  }

  private init(_ parts: VideoParts, isStream: Bool, _ options: Options, _ open: @escaping SegmentOpener) throws {
    (self.parts, self.isStream, self.options, self.open, format) = (parts, isStream, options, open, parts.format)
    sounds = try parts.codedTracks.map { try AudioDecoder($0) }
    soundStarts = sounds.map { _ in 0 }
    guard format.width * format.height <= options.maxPixels else {
      throw CodecError(
        .limitExceeded, "frames of \(format.width)x\(format.height) pixels are more than the \(options.maxPixels) allowed. Raise maxPixels to decode them.")
    }
  }

  /// The next frame; nil at the end. Several are decoded at a time, one a thread. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError`, what `read` throws, and `CancellationError`.
  public func next() throws -> VideoFrame? {
    while ready.isEmpty {
      try Task.checkCancellation()
      guard let (current, decoder) = try openedSegment() else { return nil }
      let threads = Threads.resolve(options.threads)
      let frames = position - current.first..<min(position - current.first + threads, current.times.count)
      let samples = try decoder.samples(of: frames, threads: threads)
      for (n, samples) in zip(frames, samples) {
        let (time, duration) = current.times[n]
        ready.append(try VideoFrame(width: format.width, height: format.height, samples: samples, time: time, duration: duration))
      }
      if soundAwaitsFrame {
        startSound(at: current.times[frames.lowerBound].time)
        soundAwaitsFrame = false
      }
      position = current.first + frames.upperBound
      // So that the next call gives these in order by taking from the end.
      ready.reverse()
    }
    return ready.removeLast()
  }

  /// The segment with the frame at `position`, or the next one after it; nil at the end.
  private func openedSegment() throws -> (VideoParts.Segment, any SegmentDecoding)? {
    while true {
      if let (current, decoder) = segment, position < current.end {
        position = max(position, current.first)
        if let decoder { return (current, decoder) }
        let shape = SegmentShape(frames: current.times.count, width: format.width, height: format.height, maxMemory: options.maxMemory)
        let opened = try open(current.data, shape)
        segment = (current, opened)
        return (current, opened)
      }
      segment = nil
      guard let next = try nextSegment() else { return nil }
      segment = (next, nil)
    }
  }

  private func nextSegment() throws -> VideoParts.Segment? {
    while following == nil, try readPart() {}
    defer { following = nil }
    return following
  }

  /// Keeps one more part; false at the end.
  private func readPart() throws -> Bool {
    if isAtEnd { return false }
    switch try CodecError.explainingVideo({ try parts.next() }) {
    case .segment(let segment): following = segment
    case .copiedSound(let track, let more): packets += more.map { (track, $0) }
    case .codedSound(let track, let payload): payloads.append((track, payload))
    case nil: isAtEnd = true
    }
    return !isAtEnd
  }

  /// The next packet of copied sound in the order of the file, in which it lies beside the frames of the same time. Nil where the next ones come with
  /// frames of a later segment; after `next` has given nil, none is left.
  ///
  /// Throws `CodecError`, and what `read` throws.
  public func nextSoundPacket() throws -> (track: Int, packet: CopiedPacket)? {
    while given == packets.count {
      (packets, given) = ([], 0)
      if following != nil || soundTracks.isEmpty { return nil }
      if try !readPart() { return nil }
    }
    given += 1
    return packets[given - 1]
  }

  /// The next piece of coded sound in the order of the file, in which it lies near the frames of the same time: at least one sample, of which the
  /// first is sample `start` from the video's time 0 on. Nil where the next ones come with frames of a later segment; after `next` has given nil, none
  /// is left.
  ///
  /// Throws `CodecError`, what `read` throws, and `CancellationError`.
  public func nextSound() throws -> (track: Int, start: Int, samples: AudioBuffer)? {
    while true {
      if decoded > 0, let piece = try nextPiece(of: payloads[decoded - 1].track) { return piece }
      try Task.checkCancellation()
      if decoded < payloads.count {
        let (track, payload) = payloads[decoded]
        decoded += 1
        try sounds[track].append(payload)
        continue
      }
      (payloads, decoded) = ([], 0)
      if following != nil || sounds.isEmpty { return nil }
      if try !readPart() {
        for sound in sounds { try sound.checkEnd() }
        return nil
      }
    }
  }

  /// Of what its decoder has ready.
  private func nextPiece(of track: Int) throws -> (track: Int, start: Int, samples: AudioBuffer)? {
    while true {
      let first = sounds[track].nextFrame, start = max(first, soundStarts[track])
      guard let buffer = try sounds[track].next() else { return nil }
      if start == first { return (track, start, buffer) }
      if start - first >= buffer.frames { continue }
      return (track, start, try AudioBuffer(format: buffer.format, samples: buffer.samples.map { Array($0[(start - first)...]) }))
    }
  }

  /// Lets `next` go on at a frame, 0 or more; behind the video it gives nil. Packets of copied sound go on about a
  /// second before, coded sound at the sample of the frame's time.
  ///
  /// Throws `CodecError` (invalidOption) for going back where the file is read front to back; there, all that lies between is read.
  public func seek(toFrame frame: Int) throws {
    guard frame >= 0 else { throw CodecError(.invalidOption, "frame \(frame) is before the video") }
    if isStream {
      guard frame >= position - ready.count else {
        throw CodecError(.invalidOption, "a stream that is read front to back cannot go back to frame \(frame)")
      }
      let skipped = frame - (position - ready.count)
      ready.removeLast(min(ready.count, skipped))
      // Coded sound goes on with the next frame, whose time is known once that was read.
      if let next = ready.last { startSound(at: next.time) } else if skipped > 0 { soundAwaitsFrame = true }
      position = max(position, frame)
      return
    }
    let isFound = try CodecError.explainingVideo {
      try parts.seek(to: frame) { track, time in
        soundStarts[track] = sample(at: time, of: track)
        return sounds[track].start(for: soundStarts[track])
      }
    }
    precondition(isFound, "only streams cannot be sought")
    (ready, packets, given, following, segment, isAtEnd) = ([], [], 0, nil, nil, false)
    (payloads, decoded) = ([], 0)
    position = frame
  }

  private func startSound(at time: Int64) {
    for track in sounds.indices { soundStarts[track] = sample(at: time, of: track) }
  }

  /// The first sample of a coded track that is heard at a time in ticks of the video, or after it.
  private func sample(at time: Int64, of track: Int) -> Int {
    let sample = Rational(exactly: 1, sounds[track].format.sampleRate).flatMap { format.timeBase.rescale(time, to: $0) }
    return Int(min(sample ?? .max, 1 << 40))
  }
}

/// A sound track beside a video, coded as `AudioEncoder` does it.
public struct CodedSoundTrack: Sendable {
  public let format: AudioFormat
  /// "mdct" or "tokens"
  public let codec: String
  /// Hz: of the sound before it was resampled to `format`'s rate; nil if it was not.
  public let originalSampleRate: Int?
  /// Frames of all the sound, as coded and at that rate; nil before its end is known.
  public let frames: Int?
  public let originalFrames: Int?

  init(_ decoder: AudioDecoder) {
    (format, codec, originalSampleRate) = (decoder.format, decoder.codec, decoder.originalSampleRate)
    (frames, originalFrames) = (decoder.frames, decoder.originalFrames)
  }
}
