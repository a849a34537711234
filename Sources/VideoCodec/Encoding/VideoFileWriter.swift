import AudioCodec
import Bitstream
import Coding
import Media

/// Writes the chunks of a file with video, sound beside the frames of its time.
// bitstream-spec 14.2
final class VideoFileWriter {
  private var writer: ContainerWriter<ClosureSink>?
  private let output = ClosureSink.Record()
  private let format: VideoFormat
  private var copied: [CopiedTrackWriter] = []
  private var coded: [AudioEncoder] = []
  /// Seconds up to which a coded track's payloads are there, less the lead; infinite at its end.
  private var codedUntil: [Double] = []
  /// In the order of their times, with those in seconds: segments wait for coded sound of their time, which comes late, and sound for segments.
  private var waiting: [(seconds: Double, isVideo: Bool, payload: Payload)] = []
  private var payloads = 0
  private(set) var frames = 0
  private(set) var segments = 0
  private(set) var soundBytes = 0

  /// What was written, and segments that wait.
  var byteCount: Int { waiting.reduce(output.byteCount) { $0 + ($1.isVideo ? $1.payload.data.count : 0) } }
  /// By so many seconds coded sound comes earlier than frames of its time: its decoders know the last samples of a payload by the next one.
  private static let lead = 1.0

  init(_ format: VideoFormat, _ options: VideoEncoder.Options, write: @escaping ([UInt8]) throws -> Void) throws {
    self.format = format
    let header = try TrackHeader(format, options.codec.family)
    let outputs = options.codedSound.enumerated().map { track, sound in
      SoundBesideVideo { [weak self] payload in try self?.keep(payload, ofCoded: track, sampleRate: sound.format.sampleRate) }
    }
    coded = try zip(options.codedSound, outputs).map { try AudioEncoder(format: $0.format, options: $0.options, to: $1) }
    codedUntil = coded.map { _ in -Self.lead }
    do {
      var writer = try ContainerWriter(ClosureSink(write, output))
      try writer.append(header)
      for track in options.soundTracks {
        var sound = try CopiedTrackWriter(track)
        sound.number = try writer.append(sound.header)
        copied.append(sound)
      }
      for output in outputs { output.number = try writer.append(output.header!) }
      self.writer = consume writer
    } catch let error as BitstreamError {
      throw output.explained(error)
    }
  }

  /// A segment of frames with these times, which come after those of the one before.
  func append(_ times: [(time: Int64, duration: Int64)], _ data: [UInt8], isLast: Bool) throws {
    var header = VideoPayloadHeader(times: times)
    (header.isLast, header.first) = (isLast, UInt64(frames))
    let payload: Payload
    do {
      payload = Payload(start: UInt64(times[0].time), data: (try header.serialised() + data)[...])
    } catch {
      throw CodecError(.invalidOption, error.description)
    }
    // Behind the sound of the time before.
    let seconds = Double(times[0].time) * format.timeBase.value
    waiting.insert((seconds, true, payload), at: waiting.firstIndex { $0.seconds >= seconds } ?? waiting.count)
    frames += times.count
    segments += 1
    try writeReady()
  }

  func append(_ packet: CopiedPacket, track: Int) throws {
    guard copied.indices.contains(track) else { throw CodecError(.invalidOption, "there is no copied sound track \(track)") }
    if let payload = try copied[track].append(packet) { keep(payload, of: track) }
  }

  func append(_ sound: AudioBuffer, track: Int) throws {
    guard coded.indices.contains(track) else { throw CodecError(.invalidOption, "there is no coded sound track \(track)") }
    if codedUntil[track] == .infinity { throw CodecError(.invalidOption, "nothing comes after the end of sound track \(track)") }
    try coded[track].append(sound)
  }

  func finishSound(track: Int, originalFrames: Int?) throws {
    guard coded.indices.contains(track) else { throw CodecError(.invalidOption, "there is no coded sound track \(track)") }
    if codedUntil[track] == .infinity { return }
    _ = try coded[track].finish(originalFrames: originalFrames)
    codedUntil[track] = .infinity
    try writeReady()
  }

  private func keep(_ payload: Payload, of track: Int) {
    let base = copied[track].header.timeBase!
    keep(payload, at: Double(payload.start) * Double(base.numerator) / Double(base.denominator))
  }

  private func keep(_ payload: Payload, ofCoded track: Int, sampleRate: Int) throws {
    let seconds = Double(payload.start) / Double(sampleRate) - Self.lead
    keep(payload, at: seconds)
    codedUntil[track] = seconds
    try writeReady()
  }

  private func keep(_ payload: Payload, at seconds: Double) {
    soundBytes += payload.data.count
    // Tracks come about in step, so that the place is near the end.
    waiting.insert((seconds, false, payload), at: waiting.lastIndex { $0.seconds <= seconds }.map { $0 + 1 } ?? 0)
  }

  /// Segments whose coded sound is there, and what comes before them.
  private func writeReady() throws {
    let until = codedUntil.min() ?? .infinity
    guard let last = waiting.lastIndex(where: { $0.isVideo && $0.seconds <= until }) else { return }
    for (_, _, payload) in waiting[...last] { try write(payload) }
    waiting.removeFirst(last + 1)
  }

  private func write(_ payload: Payload) throws {
    payloads += 1
    do { try writer!.append(payload) } catch { throw output.explained(error) }
  }

  /// Ends the file; gives its bytes.
  func finish() throws -> Int {
    for track in copied.indices { if let payload = try copied[track].finish() { keep(payload, of: track) } }
    for track in coded.indices { try finishSound(track: track, originalFrames: nil) }
    for (_, _, payload) in waiting { try write(payload) }
    waiting = []
    do { return try writer.take()!.finish(hasIndex: payloads > 1).byteCount } catch { throw output.explained(error) }
  }
}

extension VideoEncoder.Codec {
  var family: NetworkFamily {
    switch self {
    case .hnerv: .hnerv
    case .nerv: .nerv
    case .nervpp: .nervpp
    case .nirvana: .nirvana
    }
  }
}
