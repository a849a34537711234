import Bitstream
import Coding
import Media

/// Writes the chunks of a file with video, sound beside the frames of its time.
// bitstream-spec 14.2
final class VideoFileWriter {
  private var writer: ContainerWriter<ClosureSink>?
  private let output = ClosureSink.Record()
  private let format: VideoFormat
  private var sounds: [CopiedTrackWriter] = []
  /// Those of sound that comes after the last segment written, in the order of their times, with those in seconds.
  private var waiting: [(seconds: Double, payload: Payload)] = []
  private var payloads = 0
  private(set) var frames = 0
  private(set) var segments = 0
  private(set) var soundBytes = 0

  var byteCount: Int { output.byteCount }

  init(_ format: VideoFormat, _ codec: VideoEncoder.Codec, _ soundTracks: [CopiedTrack], write: @escaping ([UInt8]) throws -> Void) throws {
    self.format = format
    let header = try TrackHeader(format, codec.family)
    do {
      var writer = try ContainerWriter(ClosureSink(write, output))
      try writer.append(header)
      for track in soundTracks {
        var sound = try CopiedTrackWriter(track)
        sound.number = try writer.append(sound.header)
        sounds.append(sound)
      }
      self.writer = consume writer
    } catch let error as BitstreamError {
      throw output.explained(error)
    }
  }

  /// A segment of frames with these times, which come after those of the one before.
  func append(_ times: [(time: Int64, duration: Int64)], _ data: [UInt8], isLast: Bool) throws {
    var header = VideoPayloadHeader(times: times)
    (header.isLast, header.first) = (isLast, UInt64(frames))
    // Sound of the time before.
    let seconds = Double(times[0].time) * format.timeBase.value
    let earlier = waiting.prefix { $0.seconds < seconds }
    for (_, payload) in earlier { try write(payload) }
    waiting.removeFirst(earlier.count)
    let payload: Payload
    do {
      payload = Payload(start: UInt64(times[0].time), data: (try header.serialised() + data)[...])
    } catch {
      throw CodecError(.invalidOption, error.description)
    }
    try write(payload)
    frames += times.count
    segments += 1
  }

  func append(_ packet: CopiedPacket, track: Int) throws {
    guard sounds.indices.contains(track) else { throw CodecError(.invalidOption, "there is no sound track \(track)") }
    if let payload = try sounds[track].append(packet) { keep(payload, track) }
  }

  private func keep(_ payload: Payload, _ track: Int) {
    let base = sounds[track].header.timeBase!
    let seconds = Double(payload.start) * Double(base.numerator) / Double(base.denominator)
    soundBytes += payload.data.count
    // Tracks come about in step, so that the place is near the end.
    let place = waiting.lastIndex { $0.seconds <= seconds }.map { $0 + 1 } ?? 0
    waiting.insert((seconds, payload), at: place)
  }

  private func write(_ payload: Payload) throws {
    payloads += 1
    do { try writer!.append(payload) } catch { throw output.explained(error) }
  }

  /// Ends the file; gives its bytes.
  func finish() throws -> Int {
    for track in sounds.indices { if let payload = try sounds[track].finish() { keep(payload, track) } }
    for (_, payload) in waiting { try write(payload) }
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
