import CLibAV
import Glibc
import Media

/// An encoder of libavcodec for frames of one size: R'G'B' in, packets out.
///
/// Colours become Y'CbCr by the matrix and range of the format's `colour`, and packets say so; a source of R, G and B becomes BT.709 or BT.601
/// (`ColourDescription.resolvedMatrix`) of limited range. Chroma lies left, as H.264 has it, or where the source had it.
final class VideoFrameEncoder {
  let library: LibAVFormat
  /// Of packets: their unit of time.
  let timeBase: Rational
  private(set) var notices: [String] = []
  private let name: String
  private let encoder: String
  private let width: Int
  private let height: Int
  private var opened: UnsafeMutablePointer<AVCodecContext>?
  private var packet: UnsafeMutablePointer<AVPacket>?
  private let scaler: PictureScaler?
  /// Of frames whose packets have not come yet.
  private var durations: [Int64: Int64] = [:]

  /// `timeBase`: what frames' times count in. `isInContainer`: codecs' headers go to `context.extradata`, not into packets.
  ///
  /// Throws `MediaIOError` (unsupported): an encoder that is not there, an option or size that it refuses, with libav's words.
  init(
    _ library: LibAVFormat, _ format: VideoFormat, _ encoding: VideoEncoding, timeBase: Rational, frameRate: Rational?, isInContainer: Bool,
    allowsReordering: Bool = true, named name: String
  ) throws(MediaIOError) {
    (self.library, self.timeBase, self.name, encoder) = (library, timeBase, name, encoding.encoder)
    (width, height) = (format.width, format.height)
    let av = library.av
    guard let codec = av.findEncoderByName(encoding.encoder), codec.pointee.type == AVMEDIA_TYPE_VIDEO else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec (\(av.codecVersionText)) has no encoder of video named \(encoding.encoder)")
    }
    let (sampling, notice) = Self.sampling(encoding, width: width, height: height)
    if let notice { notices.append(notice) }
    guard let pixelFormat = Self.pixelFormat(sampling, of: codec) else {
      throw MediaIOError(.unsupported, at: name, "\(encoding.encoder) takes no 8-bit samples of \(sampling.rawValue)")
    }
    // Of RGB both the matrix and the range are fixed.
    var colour = format.colour
    if sampling == .rgb {
      (colour.matrix, colour.isFullRange, colour.chromaLocation) = (0, true, 0)
    } else {
      let isFromRGB = colour.matrix == 0
      if isFromRGB || !PictureScaler.knows(colour.matrix) {
        colour.matrix = ColourDescription().resolvedMatrix(width: width, height: height)
      }
      colour.isFullRange = pixelFormat.isJPEG || colour.isFullRange && !isFromRGB
      if sampling != .c420 { colour.chromaLocation = sampling == .c422 ? 1 : 0 } else if colour.chromaLocation == 0 { colour.chromaLocation = 1 }
    }
    if pixelFormat != AV_PIX_FMT_GBRP {
      let side = PictureScaler.Side(width: Int32(width), height: Int32(height), format: AV_PIX_FMT_GBRP.rawValue)
      var target = side
      (target.format, target.isFullRange, target.chromaLocation) = (pixelFormat.rawValue, colour.isFullRange, colour.chromaLocation)
      if sampling != .rgb { target.matrix = colour.matrix }
      scaler = try PictureScaler(from: side, to: target, named: name)
    } else {
      scaler = nil
    }

    // SVT-AV1 has a log of its own.
    if encoding.encoder == "libsvtav1" { setenv("SVT_LOG", "1", 0) }
    opened = av.allocateContext(codec)
    packet = av.allocatePacket()
    guard let context = opened, packet != nil else { throw failure(-ENOMEM, "memory") }
    (context.pointee.width, context.pointee.height) = (Int32(width), Int32(height))
    context.pointee.pix_fmt = pixelFormat
    context.pointee.time_base = AVRational(num: Int32(timeBase.numerator), den: Int32(timeBase.denominator))
    // Without a rate encoders would take ticks for frames; times are what counts.
    let rate = frameRate ?? Rational(exactly: 25, 1)!
    context.pointee.framerate = AVRational(num: Int32(rate.numerator), den: Int32(rate.denominator))
    let ratio = format.sampleAspectRatio
    context.pointee.sample_aspect_ratio = AVRational(num: Int32(ratio.numerator), den: Int32(ratio.denominator))
    context.pointee.color_primaries = AVColorPrimaries(UInt32(colour.primaries))
    context.pointee.color_trc = AVColorTransferCharacteristic(UInt32(colour.transfer))
    context.pointee.colorspace = AVColorSpace(UInt32(colour.matrix))
    context.pointee.color_range = colour.isFullRange ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
    context.pointee.chroma_sample_location = AVChromaLocation(UInt32(colour.chromaLocation))
    context.pointee.thread_count = Int32(max(1, encoding.threads))
    context.pointee.flags |= AV_CODEC_FLAG_BITEXACT
    if isInContainer { context.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER }
    if !allowsReordering { context.pointee.max_b_frames = 0 }
    for (option, value) in encoding.options {
      // 1: AV_OPT_SEARCH_CHILDREN, the encoder's own among them.
      let status = av.setOption(context, option, value, 1)
      guard status >= 0 else { throw failure(status, "option \(option)=\(value)") }
    }
    let status = av.open(context, codec, nil)
    guard status >= 0 else { throw failure(status, "\(width)x\(height), \(av.name(ofPixelFormat: pixelFormat.rawValue))") }
  }

  deinit {
    library.av.freeContext(&opened)
    library.av.freePacket(&packet)
  }

  var context: UnsafeMutablePointer<AVCodecContext> { opened! }

  /// Encodes a frame of the format's size, or with nil what is left; `take` gets each packet that comes of it, its times in `timeBase`, and may
  /// change it. `time` and `duration`: the frame's in `timeBase`.
  ///
  /// Throws `MediaIOError`, and what `take` throws.
  func encode(
    _ frame: VideoFrame?, time: Int64 = 0, duration: Int64 = 1, _ take: (UnsafeMutablePointer<AVPacket>) throws(MediaIOError) -> Void
  ) throws(MediaIOError) {
    var picture: PictureBuffer?
    if let frame {
      precondition(frame.width == width && frame.height == height, "of the size that this was made for")
      picture = try prepared(frame)
      picture!.frame.pointee.pts = time
      picture!.frame.pointee.pkt_duration = duration
      durations[time] = duration
    }
    var status = library.av.sendFrame(context, picture?.frame)
    guard status >= 0 else { throw failure(status, "encoding") }
    while let packet {
      status = library.av.receivePacket(context, packet)
      if status == -EAGAIN || status == LibAVFormat.end { return }
      guard status >= 0 else { throw failure(status, "encoding") }
      if let duration = durations.removeValue(forKey: packet.pointee.pts) { packet.pointee.duration = duration }
      defer { library.av.clearPacket(packet) }
      try take(packet)
    }
  }

  /// As the encoder takes it, in memory that it may keep.
  private func prepared(_ frame: VideoFrame) throws(MediaIOError) -> PictureBuffer {
    let av = library.av
    let planes = try PictureBuffer(av, width: width, height: height, format: AV_PIX_FMT_GBRP)
    planes.fill(with: frame)
    var picture = planes
    if let scaler {
      picture = try PictureBuffer(av, width: width, height: height, format: AVPixelFormat(scaler.target.format))
      try scaler.convert(planes.frame, into: picture.frame, named: name)
    }
    let context = context.pointee
    picture.frame.pointee.color_primaries = context.color_primaries
    picture.frame.pointee.color_trc = context.color_trc
    picture.frame.pointee.colorspace = context.colorspace
    picture.frame.pointee.color_range = context.color_range
    picture.frame.pointee.chroma_location = context.chroma_sample_location
    picture.frame.pointee.sample_aspect_ratio = context.sample_aspect_ratio
    return picture
  }

  private static func sampling(_ encoding: VideoEncoding, width: Int, height: Int) -> (VideoSampling, notice: String?) {
    if let stated = encoding.sampling { return (stated, nil) }
    switch encoding.encoder {
    case "ffv1", "png", "libx264rgb", "rawvideo", "utvideo", "huffyuv": return (.rgb, nil)
    case "libx264", "libx265", "libsvtav1":
      if width % 2 == 0, height % 2 == 0 { return (.c420, nil) }
      return (.c444, "\(width)x\(height) is odd: chroma is at full resolution (4:4:4), which not all players play")
    default: return (.c420, nil)
    }
  }

  private static func pixelFormat(_ sampling: VideoSampling, of codec: UnsafePointer<AVCodec>) -> AVPixelFormat? {
    let wanted = sampling.pixelFormats
    guard let list = codec.pointee.pix_fmts else { return wanted.first { $0 != AV_PIX_FMT_GBRP } }
    var known: [AVPixelFormat] = []
    while list[known.count] != AV_PIX_FMT_NONE { known.append(list[known.count]) }
    // Motion JPEG is of full range; of limited range only where it is told to be unusual.
    return codec.pointee.id == AV_CODEC_ID_MJPEG ? wanted.last(where: known.contains) : wanted.first(where: known.contains)
  }

  private func failure(_ status: Int32, _ what: String) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "\(encoder), \(what): \(library.av.reason(status))")
  }
}

extension AVPixelFormat {
  /// Those that mean full range by themselves.
  fileprivate var isJPEG: Bool { [AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P].contains(self) }
}
