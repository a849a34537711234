import CLibAV
import Glibc

/// Samples of one frame of libavcodec.
struct DecodedAudio {
  let sampleRate: Int
  let layout: AVChannelLayout?
  /// [channel][frame]
  var samples: [[Float]]
  /// In samples, as the container says; nil where it does not say it to the sample.
  let duration: Int?

  mutating func cut(to length: Int) {
    guard length < samples[0].count else { return }
    for channel in samples.indices { samples[channel].removeLast(samples[channel].count - length) }
  }
}

/// Decodes one stream of a demuxer, without the delay at its beginning and the padding at its end.
final class AudioFrameDecoder {
  /// Who knows where the sound ends.
  enum Ending {
    /// libavcodec, which also leaves out the delay, or else the last packet's duration.
    case lastPacket
    /// All packets' durations together, after so many samples of delay.
    case sum(afterSkipping: Int)
  }

  private let ending: Ending
  private let demuxer: Demuxer
  private let stream: UnsafeMutablePointer<AVStream>
  private var context: UnsafeMutablePointer<AVCodecContext>?
  private var packet: UnsafeMutablePointer<AVPacket>?
  private var frame: UnsafeMutablePointer<AVFrame>?
  private var isDraining = false
  /// Of `Ending.sum`: samples that packets stand for, that are still to be skipped, and that were given.
  private var sum = 0
  private var toSkip = 0
  private var given = 0

  private(set) var damagedPackets = 0
  /// Why there is no more, where that is not the file's end.
  private(set) var earlyEnd: String?

  private var av: LibAV { demuxer.library.av }

  init(
    _ demuxer: Demuxer, _ stream: UnsafeMutablePointer<AVStream>, _ codec: UnsafePointer<AVCodec>, _ ending: Ending
  ) throws(MediaIOError) {
    (self.demuxer, self.stream, self.ending) = (demuxer, stream, ending)
    context = demuxer.library.av.allocateContext(codec)
    packet = demuxer.library.av.allocatePacket()
    frame = demuxer.library.av.allocateFrame()
    guard let context, packet != nil, frame != nil else { throw failure(-ENOMEM) }
    var status = demuxer.library.contextFromParameters(context, stream.pointee.codecpar)
    guard status >= 0 else { throw failure(status) }
    context.pointee.pkt_timebase = stream.pointee.time_base
    context.pointee.thread_count = 1
    if case .sum(let delay) = ending {
      context.pointee.flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL
      toSkip = delay
    }
    status = av.open(context, codec, nil)
    guard status >= 0 else { throw failure(status) }
  }

  deinit {
    av.freeContext(&context)
    av.freePacket(&packet)
    av.freeFrame(&frame)
  }

  /// Nil at the end. Throws `MediaIOError`.
  func next() throws(MediaIOError) -> DecodedAudio? {
    guard let context, let frame else { return nil }
    while true {
      let status = av.receiveFrame(context, frame)
      switch status {
      case 0...: return try decoded(frame)
      case LibAVFormat.end: return nil
      case -EAGAIN: try feed(context)
      case -ENOMEM: throw failure(status)
      default:
        damagedPackets += 1
        // A decoder that fails while it is drained has nothing left to say.
        if isDraining { return nil }
      }
    }
  }

  private func feed(_ context: UnsafeMutablePointer<AVCodecContext>) throws(MediaIOError) {
    while let packet {
      var status = demuxer.library.readFrame(demuxer.context, packet)
      if let failure = demuxer.input.failure { throw failure }
      guard status >= 0 else {
        if status == -ENOMEM { throw failure(status) }
        if status != LibAVFormat.end { earlyEnd = av.reason(status) }
        isDraining = true
        _ = av.sendPacket(context, nil)
        return
      }
      defer { av.clearPacket(packet) }
      guard packet.pointee.stream_index == stream.pointee.index else { continue }
      status = av.sendPacket(context, packet)
      if status >= 0 {
        // Where the end lies before the last packet's beginning, libavformat's duration is negative, and has lost its sign.
        let duration = Int64(Int32(truncatingIfNeeded: packet.pointee.duration))
        let length = samples(abs(duration), rate: Int64(context.pointee.sample_rate)) ?? 0
        sum += duration < 0 ? -length : length
        return
      }
      if status == -ENOMEM { throw failure(status) }
      damagedPackets += 1
    }
  }

  private func decoded(_ frame: UnsafeMutablePointer<AVFrame>) throws(MediaIOError) -> DecodedAudio {
    let layout = frame.pointee.ch_layout
    guard layout.nb_channels > 0, frame.pointee.sample_rate > 0,
      let samples = AudioSamples.floats(of: frame, channels: Int(layout.nb_channels))
    else {
      throw MediaIOError(.unsupported, at: demuxer.input.name, "samples of libav's format \(frame.pointee.format)")
    }
    let rate = Int(frame.pointee.sample_rate)
    var audio = DecodedAudio(
      sampleRate: rate, layout: layout, samples: samples, duration: self.samples(frame.pointee.pkt_duration, rate: Int64(rate)))
    guard case .sum = ending else { return audio }
    if toSkip > 0 {
      let skipped = min(toSkip, samples[0].count)
      for channel in audio.samples.indices { audio.samples[channel].removeFirst(skipped) }
      toSkip -= skipped
    }
    given += audio.samples[0].count
    return audio
  }

  /// Of the last frame that `next` gave: how many of its samples are no padding.
  func length(ofLast audio: DecodedAudio) -> Int {
    switch ending {
    case .lastPacket: audio.duration ?? audio.samples[0].count
    case .sum(let delay): max(0, sum - delay - (given - audio.samples[0].count))
    }
  }

  /// A packet's duration in samples; nil where its unit is too coarse to cut by, such as Matroska's milliseconds.
  private func samples(_ duration: Int64, rate: Int64) -> Int? {
    let base = stream.pointee.time_base
    guard duration > 0, duration < 1 << 31, base.num > 0, Int64(base.den) >= rate * Int64(base.num) else { return nil }
    return Int(Double(duration * Int64(base.num)) * Double(rate) / Double(base.den) + 0.5)
  }

  private func failure(_ status: Int32) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .damaged, at: demuxer.input.name, "libav: \(av.reason(status))")
  }
}
