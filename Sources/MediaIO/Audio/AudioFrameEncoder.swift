import CLibAV
import Glibc
import Media

/// An encoder of libavcodec, set up for a sound as near to what it is as the encoder takes.
final class AudioFrameEncoder {
  /// What the encoder takes.
  let format: AudioFormat
  /// Samples of a frame; the last one may have fewer.
  private(set) var frameSize = 0
  private(set) var context: UnsafeMutablePointer<AVCodecContext>?
  private(set) var packet: UnsafeMutablePointer<AVPacket>?
  private(set) var notices: [String] = []
  private let library: LibAVFormat
  private var current: UnsafeMutablePointer<AVFrame>?
  private var given = 0

  /// Throws `MediaIOError` (unsupported).
  init(
    _ library: LibAVFormat, _ file: AudioFileFormat, _ source: AudioFormat, _ options: AudioWriter.Options, named name: String
  ) throws {
    self.library = library
    let encoderName = file.encoder(options.samples)
    guard let codec = library.av.findEncoderByName(encoderName) else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec was built without its encoder \(encoderName)")
    }
    let rate = Self.rate(source.sampleRate, of: codec)
    let layout = try Self.layout(source.layout, of: codec, library, named: name, as: file)
    format = try AudioFormat(sampleRate: rate, layout: source.layout)
    if rate != source.sampleRate { notices.append("\(file.rawValue) has no \(source.sampleRate) Hz: \(rate) Hz were written") }
    if let notice = layout.notice { notices.append(notice) }

    context = library.av.allocateContext(codec)
    packet = library.av.allocatePacket()
    guard let context, packet != nil else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    context.pointee.sample_fmt = Self.sampleFormat(options.samples, of: codec)
    context.pointee.bits_per_raw_sample = Int32(options.samples.bits)
    context.pointee.sample_rate = Int32(rate)
    context.pointee.ch_layout = layout.layout
    context.pointee.time_base = AVRational(num: 1, den: Int32(rate))
    context.pointee.thread_count = 1
    context.pointee.flags |= AV_CODEC_FLAG_BITEXACT
    // Containers with a header of their own want the codec's in it.
    if file == .m4a || file == .flac { context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER }
    if !file.isLossless {
      let bitRate = options.kbps.map { $0 * 1000 } ?? Double(file.defaultBitRate(channels: source.layout.count))
      context.pointee.bit_rate = Int64(min(max(bitRate, 1), 1e9))
    }
    let status = library.av.open(context, codec, nil)
    guard status >= 0 else {
      let what = "\(rate) Hz, \(library.name(of: layout.layout))"
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) does not take \(what): \(library.av.reason(status))")
    }
    frameSize = context.pointee.frame_size > 0 ? Int(context.pointee.frame_size) : 4096
  }

  deinit {
    library.av.freeContext(&context)
    library.av.freePacket(&packet)
    library.av.freeFrame(&current)
  }

  /// A fresh frame for so many samples, at the next time; the one before it is given up. Nil without memory.
  func frame(_ count: Int) -> UnsafeMutablePointer<AVFrame>? {
    library.av.freeFrame(&current)
    current = library.av.allocateFrame()
    guard let frame = current, let context else { return nil }
    frame.pointee.nb_samples = Int32(count)
    frame.pointee.format = context.pointee.sample_fmt.rawValue
    frame.pointee.ch_layout = context.pointee.ch_layout
    frame.pointee.sample_rate = context.pointee.sample_rate
    frame.pointee.pts = Int64(given)
    guard library.av.newFrameBuffer(frame, 0) >= 0 else { return nil }
    given += count
    return frame
  }

  /// The rate itself if the encoder takes it, or else the next higher one, or the highest.
  private static func rate(_ wanted: Int, of codec: UnsafePointer<AVCodec>) -> Int {
    guard let list = codec.pointee.supported_samplerates else { return wanted }
    var rates: [Int] = []
    while list[rates.count] != 0 { rates.append(Int(list[rates.count])) }
    if rates.isEmpty || rates.contains(wanted) { return wanted }
    return rates.filter { $0 > wanted }.min() ?? rates.max()!
  }

  private static func sampleFormat(_ samples: AudioSampleFormat, of codec: UnsafePointer<AVCodec>) -> AVSampleFormat {
    guard let list = codec.pointee.sample_fmts else { return AV_SAMPLE_FMT_FLT }
    var formats: [AVSampleFormat] = []
    while list[formats.count] != AV_SAMPLE_FMT_NONE { formats.append(list[formats.count]) }
    // Floats where there are any: of the lossless ones, PCM's float alone.
    let preferred =
      samples == .int16 && !formats.contains(AV_SAMPLE_FMT_FLTP)
      ? [AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_S16, AV_SAMPLE_FMT_S16P]
      : [AV_SAMPLE_FMT_FLTP, AV_SAMPLE_FMT_FLT, AV_SAMPLE_FMT_S32, AV_SAMPLE_FMT_S32P]
    return preferred.first(where: formats.contains) ?? formats[0]
  }

  /// The layout itself if the encoder takes it, or another of as many channels in the same order.
  private static func layout(
    _ wanted: ChannelLayout, of codec: UnsafePointer<AVCodec>, _ library: LibAVFormat, named name: String, as file: AudioFileFormat
  ) throws(MediaIOError) -> (layout: AVChannelLayout, notice: String?) {
    var layout = AVChannelLayout()
    (layout.order, layout.nb_channels) = (AV_CHANNEL_ORDER_UNSPEC, Int32(wanted.count))
    if wanted.mask != 0, library.layoutFromMask(&layout, wanted.mask) < 0 {
      throw MediaIOError(.unsupported, at: name, "loudspeakers of mask \(wanted.mask)")
    }
    var known: [AVChannelLayout] = []
    if let list = codec.pointee.ch_layouts { while list[known.count].nb_channels > 0 { known.append(list[known.count]) } }
    if known.isEmpty {
      // Encoders without a list want an order all the same, where they are not PCM's.
      if wanted.mask == 0, file != .wav { library.layoutByDefault(&layout, Int32(wanted.count)) }
      return (layout, nil)
    }
    if wanted.mask != 0, known.contains(where: { $0.order == layout.order && $0.u.mask == layout.u.mask }) { return (layout, nil) }
    guard let other = known.first(where: { Int($0.nb_channels) == wanted.count }) else {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) cannot hold \(library.name(of: layout))")
    }
    let notice = wanted.mask == 0 ? nil : "\(file.rawValue) has no \(library.name(of: layout)): the channels were written as \(library.name(of: other))"
    return (other, notice)
  }
}
