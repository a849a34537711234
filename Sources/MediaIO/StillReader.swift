import CLibAV
import Glibc
import Media

/// Reads JPEG, WebP, BMP, TIFF, QOI and PNM stills through libavcodec.
///
/// YCbCr becomes RGB by `YCbCrPicture`; everything else keeps its exact samples, more than 8 bits rounded to nearest.
/// Grey stays grey. Orientation is kept as metadata, never applied.
package enum StillReader {
  /// Throws `MediaIOError`; those from libav carry its message. PNG is `PNGReader`'s.
  package static func read(_ bytes: [UInt8], format: ImageFormat, limits: ImageLimits = ImageLimits()) throws
    -> ReadImage
  {
    precondition(format != .png)
    guard !bytes.isEmpty else { throw MediaIOError(.empty, at: "\(format)", "no bytes") }
    guard ImageFormat(sniffing: bytes) == format else {
      throw MediaIOError(.damaged, at: "\(format)", "the bytes do not start as \(format)")
    }
    let container = try StillContainer(bytes, format: format, limits: limits)
    guard let codec = try LibAV.load().findDecoder(codec(for: format, bytes)) else {
      throw MediaIOError(.unsupported, at: "\(format)", "this libavcodec was built without its decoder")
    }
    let frame = try DecodedFrame(container.bytesToDecode ?? bytes, codec: codec, format: "\(format)", limits: limits)
    var image = try frame.makeImage(
      format: "\(format)", usesAlpha: container.usesAlpha, isFullRange: format == .jpeg || format == .tiff)
    if container.isPremultiplied { image.divideByAlpha() }
    if let alpha = image.alpha, format == .bmp || frame.isPalette, alpha.allSatisfy({ $0 == 255 }) {
      try image.setAlpha(nil)
    }
    if frame.isPalette, image.isGreyThroughout { image = try image.reducedToGrey() }
    image.metadata.exif = container.exif
    var notices = container.notices
    if let profile = container.iccProfile {
      if ICC.fits(profile, colour: image.colour) {
        image.metadata.iccProfile = profile
      } else {
        notices.append("\(format): an ICC profile that does not suit the picture was left out")
      }
    }
    return ReadImage(image: image, format: format, notices: notices)
  }

  private static func codec(for format: ImageFormat, _ bytes: [UInt8]) -> AVCodecID {
    switch format {
    case .jpeg: AV_CODEC_ID_MJPEG
    case .webp: AV_CODEC_ID_WEBP
    case .bmp: AV_CODEC_ID_BMP
    case .tiff: AV_CODEC_ID_TIFF
    case .qoi: AV_CODEC_ID_QOI
    case .pnm:
      switch bytes[1] {
      case 0x31, 0x34: AV_CODEC_ID_PBM
      case 0x32, 0x35: AV_CODEC_ID_PGM
      case 0x33, 0x36: AV_CODEC_ID_PPM
      default: AV_CODEC_ID_PAM
      }
    case .png: AV_CODEC_ID_NONE
    }
  }
}

/// One frame from libavcodec. Owns the AVFrame.
final class DecodedFrame {
  let av: LibAV
  let frame: UnsafeMutablePointer<AVFrame>
  let descriptor: UnsafePointer<AVPixFmtDescriptor>

  var width: Int { Int(frame.pointee.width) }
  var height: Int { Int(frame.pointee.height) }
  var isPalette: Bool { has(AV_PIX_FMT_FLAG_PAL) }

  func has(_ flag: Int32) -> Bool { descriptor.pointee.flags & UInt64(flag) != 0 }

  /// Decodes a file's first picture. The whole file is one packet: each of these decoders reads its own container.
  init(_ bytes: [UInt8], codec: UnsafePointer<AVCodec>, format: String, limits: ImageLimits) throws {
    let av = try LibAV.load()
    func fail(_ code: Int32) -> MediaIOError {
      MediaIOError(code == -ENOMEM ? .outOfMemory : .damaged, at: "\(format) pixels", "libav: \(av.reason(code))")
    }
    guard bytes.count <= Int(Int32.max) - 64 else {
      throw MediaIOError(.tooLarge, at: "\(format)", "\(bytes.count) bytes")
    }
    var context = av.allocateContext(codec)
    var packet = av.allocatePacket()
    var frame = av.allocateFrame()
    defer {
      av.freeContext(&context)
      av.freePacket(&packet)
      av.freeFrame(&frame)
    }
    guard let context, let packet, let decoded = frame else { throw fail(-ENOMEM) }
    // Decoders ask for sides rounded up to blocks, at most 64; the exact limit is checked before or after them.
    context.pointee.max_pixels = Int64(limits.maxPixels) + 64 * 2 * 65_536
    context.pointee.thread_count = 1
    // Concealed damage would be coded as if it were the picture.
    context.pointee.err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE
    var status = av.open(context, codec, nil)
    guard status >= 0 else { throw fail(status) }
    status = av.newPacket(packet, Int32(bytes.count))
    guard status >= 0 else { throw fail(status) }
    bytes.withUnsafeBufferPointer { packet.pointee.data.update(from: $0.baseAddress!, count: $0.count) }
    packet.pointee.flags |= AV_PKT_FLAG_KEY

    status = av.sendPacket(context, packet)
    if status >= 0 { status = av.receiveFrame(context, decoded) }
    if status == -EAGAIN {
      _ = av.sendPacket(context, nil)
      status = av.receiveFrame(context, decoded)
    }
    guard status >= 0 else { throw fail(status) }
    guard decoded.pointee.decode_error_flags == 0, decoded.pointee.flags & AV_FRAME_FLAG_CORRUPT == 0 else {
      throw MediaIOError(.damaged, at: "\(format) pixels", "libav concealed damage")
    }
    try limits.check(width: Int(decoded.pointee.width), height: Int(decoded.pointee.height), named: format)
    guard let descriptor = av.pixelFormat(AVPixelFormat(rawValue: decoded.pointee.format)) else {
      throw MediaIOError(.unsupported, at: "\(format) pixels", "pixel format \(decoded.pointee.format)")
    }
    self.av = av
    self.descriptor = descriptor
    self.frame = decoded
    frame = nil  // now ours
  }

  deinit {
    var frame: UnsafeMutablePointer<AVFrame>? = frame
    av.freeFrame(&frame)
  }
}

extension Image {
  /// Undoes premultiplication: `round(v * 255 / alpha)`, 0 where alpha is 0.
  mutating func divideByAlpha() {
    let channels = channels
    withUnsafeMutableSamples { samples, alpha in
      guard let alpha else { return }
      for pixel in 0..<alpha.count where alpha[pixel] != 255 {
        let a = Int(alpha[pixel])
        for i in (pixel * channels)..<((pixel + 1) * channels) {
          samples[i] = a == 0 ? 0 : UInt8(min(255, (Int(samples[i]) * 255 + a / 2) / a))
        }
      }
    }
  }
}
