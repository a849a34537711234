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

  /// Of the last frame: what lies behind the packet's end is padding.
  mutating func cutToDuration() {
    guard let duration, duration < samples[0].count else { return }
    for channel in samples.indices { samples[channel].removeLast(samples[channel].count - duration) }
  }
}

/// Decodes one stream of a demuxer. libavcodec leaves out delay and padding where packets or headers tell of them.
final class AudioFrameDecoder {
  private let demuxer: AudioDemuxer
  private let stream: UnsafeMutablePointer<AVStream>
  private var context: UnsafeMutablePointer<AVCodecContext>?
  private var packet: UnsafeMutablePointer<AVPacket>?
  private var frame: UnsafeMutablePointer<AVFrame>?
  private var isDraining = false

  private(set) var damagedPackets = 0
  /// Why there is no more, where that is not the file's end.
  private(set) var earlyEnd: String?

  private var av: LibAV { demuxer.library.av }

  init(_ demuxer: AudioDemuxer, _ stream: UnsafeMutablePointer<AVStream>, _ codec: UnsafePointer<AVCodec>) throws(MediaIOError) {
    (self.demuxer, self.stream) = (demuxer, stream)
    context = demuxer.library.av.allocateContext(codec)
    packet = demuxer.library.av.allocatePacket()
    frame = demuxer.library.av.allocateFrame()
    guard let context, packet != nil, frame != nil else { throw failure(-ENOMEM) }
    var status = demuxer.library.contextFromParameters(context, stream.pointee.codecpar)
    guard status >= 0 else { throw failure(status) }
    context.pointee.pkt_timebase = stream.pointee.time_base
    context.pointee.thread_count = 1
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
      if status >= 0 { return }
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
    let (rate, base) = (Int64(frame.pointee.sample_rate), context?.pointee.pkt_timebase ?? AVRational(num: 0, den: 1))
    var duration: Int?
    // Milliseconds, as in Matroska, are too coarse to cut by.
    if frame.pointee.pkt_duration > 0, base.num > 0, Int64(base.den) >= rate * Int64(base.num), frame.pointee.pkt_duration < 1 << 31 {
      let (units, denominator) = (frame.pointee.pkt_duration * Int64(base.num), Int64(base.den))
      duration = Int(Double(units) * Double(rate) / Double(denominator) + 0.5)
    }
    return DecodedAudio(sampleRate: Int(rate), layout: layout, samples: samples, duration: duration)
  }

  private func failure(_ status: Int32) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .damaged, at: demuxer.input.name, "libav: \(av.reason(status))")
  }
}
