import CLibAV
import Media

/// Makes 8-bit R, G and B of one size of whatever a decoder gives.
///
/// Deeper samples are rounded to 8 bits. Alpha is dropped, colours stay as they are stored. Of grey R, G and B are equal. Frames of
/// another size are scaled.
final class PictureConverter {
  let width: Int
  let height: Int
  private let name: String
  private let av: LibAV
  private var scaler: PictureScaler?
  private var planes: PictureBuffer?

  init(_ av: LibAV, width: Int, height: Int, named name: String) {
    (self.av, self.width, self.height, self.name) = (av, width, height, name)
  }

  /// What the samples of a frame stand for, as far as it is said: `fallback` says the rest.
  ///
  /// Throws `MediaIOError` (unsupported) for a matrix that is no plain one, such as ICtCp, whose colours would be wrong.
  static func colour(
    of frame: UnsafePointer<AVFrame>, _ av: LibAV, fallback: ColourDescription, greyIsLimited: Bool, named name: String
  ) throws(MediaIOError) -> ColourDescription {
    let frame = frame.pointee
    guard let descriptor = av.pixelFormat(AVPixelFormat(frame.format)) else {
      throw MediaIOError(.unsupported, at: name, "libav's pixel format \(frame.format)")
    }
    var colour = fallback
    func known(_ number: UInt32) -> UInt8? { number != 2 && number < 256 ? UInt8(number) : nil }
    colour.primaries = known(frame.color_primaries.rawValue) ?? fallback.primaries
    colour.transfer = known(frame.color_trc.rawValue) ?? fallback.transfer
    if frame.chroma_location.rawValue != 0 { colour.chromaLocation = UInt8(truncatingIfNeeded: frame.chroma_location.rawValue) }
    if descriptor.pointee.flags & UInt64(AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL) != 0 {
      (colour.matrix, colour.isFullRange, colour.chromaLocation) = (0, true, 0)
      return colour
    }
    let isGrey = descriptor.pointee.nb_components < 3
    let isJPEGFormat = String(cString: descriptor.pointee.name).hasPrefix("yuvj")
    switch frame.color_range {
    case AVCOL_RANGE_JPEG: colour.isFullRange = true
    case AVCOL_RANGE_MPEG: colour.isFullRange = isJPEGFormat
    default: colour.isFullRange = isJPEGFormat || (isGrey ? !greyIsLimited : fallback.isFullRange)
    }
    let stated = known(frame.colorspace.rawValue) ?? fallback.matrix
    // 0, R, G and B, cannot be meant of Y'CbCr, and 3 is reserved.
    colour.matrix = ColourDescription(matrix: stated == 0 || stated == 3 ? 2 : stated).resolvedMatrix(width: Int(frame.width), height: Int(frame.height))
    guard isGrey || PictureScaler.knows(colour.matrix) else {
      throw MediaIOError(.unsupported, at: name, "colours of matrix \(colour.matrix) (ITU-T H.273)")
    }
    return colour
  }

  /// `colour`: of `colour(of:fallback:greyIsLimited:named:)`. Throws `MediaIOError`.
  func convert(
    _ frame: UnsafePointer<AVFrame>, colour: ColourDescription, time: Int64, duration: Int64
  ) throws(MediaIOError) -> VideoFrame {
    let source = PictureScaler.Side(
      width: frame.pointee.width, height: frame.pointee.height, format: frame.pointee.format,
      matrix: PictureScaler.knows(colour.matrix) ? colour.matrix : 6, isFullRange: colour.isFullRange, chromaLocation: colour.chromaLocation)
    let target = PictureScaler.Side(width: Int32(width), height: Int32(height), format: AV_PIX_FMT_GBRP.rawValue)
    if scaler?.source != source || planes == nil {
      if planes == nil { planes = try PictureBuffer(av, width: width, height: height, format: AV_PIX_FMT_GBRP) }
      scaler = nil
      scaler = try PictureScaler(from: source, to: target, named: name)
    }
    try scaler!.convert(frame, into: planes!.frame, named: name)
    var picture = planes!.makeVideoFrame(time: time, duration: duration)
    // libswscale takes grey for full range, whatever it is told.
    if !colour.isFullRange, av.pixelFormat(AVPixelFormat(frame.pointee.format))!.pointee.nb_components < 3 { picture.stretchLimitedRange() }
    return picture
  }

  /// A frame of R, G and B, scaled. Throws `MediaIOError`.
  func convert(_ frame: VideoFrame) throws(MediaIOError) -> VideoFrame {
    if frame.width == width, frame.height == height { return frame }
    let source = try PictureBuffer(av, width: frame.width, height: frame.height, format: AV_PIX_FMT_GBRP)
    source.fill(with: frame)
    return try convert(source.frame, colour: ColourDescription(matrix: 0, isFullRange: true), time: frame.time, duration: frame.duration)
  }
}

extension VideoFrame {
  /// From 16...235 to 0...255.
  fileprivate mutating func stretchLimitedRange() {
    let table = (0..<256).map { UInt8(min(max(((Int($0) - 16) * 510 + 219) / 438, 0), 255)) }
    withUnsafeMutableSamples { samples in for i in samples.indices { samples[i] = table[Int(samples[i])] } }
  }
}
