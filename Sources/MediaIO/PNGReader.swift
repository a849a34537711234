import CPNGShim
import Media

/// Reads PNG through libpng: every colour type, 1 to 16 bits, interlaced or not. The counterpart of `PNGWriter`.
///
/// 16-bit samples become `round(v * 255 / 65535)`; fewer than 8 bits become `v * 255 / (2^bits - 1)`, which is exact.
/// A palette becomes RGB, or grey when every pixel is grey. tRNS becomes an alpha plane.
package enum PNGReader {
  /// Throws `MediaIOError`. `ReadImage.notices` tells of animation and of chunks that libpng found damaged.
  package static func read(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) throws -> ReadImage {
    guard !bytes.isEmpty else { throw MediaIOError(.empty, at: "PNG", "no bytes") }
    return try bytes.withUnsafeBufferPointer { try read($0, limits: limits) }
  }

  private static func read(_ bytes: UnsafeBufferPointer<UInt8>, limits: ImageLimits) throws -> ReadImage {
    var shimLimits = cpng_limits(
      max_pixels: UInt64(max(limits.maxPixels, 0)), max_metadata_bytes: max(limits.maxMetadataBytes, 1))
    var header = cpng_header()
    var failure = cpng_error()
    guard let reader = cpng_open(bytes.baseAddress!, bytes.count, &shimLimits, &header, &failure) else {
      throw MediaIOError(failure, at: "PNG header")
    }
    defer { cpng_close(reader) }
    try limits.check(width: Int(header.width), height: Int(header.height), format: .png)

    var image = try Image(
      width: Int(header.width), height: Int(header.height), colour: header.colour_samples == 3 ? .rgb : .grey,
      hasAlpha: header.has_alpha != 0
    ) { samples, alpha in
      guard cpng_read(reader, samples.baseAddress!, alpha?.baseAddress, &header, &failure) == Int32(CPNG_OK) else {
        throw MediaIOError(failure, at: "PNG pixels")
      }
    }
    if header.is_palette != 0, image.isGreyThroughout { image = try image.reducedToGrey() }
    image.metadata = ImageMetadata(header.metadata, bitDepth: UInt8(header.bit_depth))
    if let profile = image.metadata.iccProfile, !ICC.fits(profile, colour: image.colour) {
      image.metadata.iccProfile = nil  // an RGB profile on a palette that became grey
    }

    var notices: [String] = []
    if header.is_animated != 0 { notices.append("animated PNG: only the still picture was read") }
    let warnings = Int(cpng_warning_count(reader))
    if warnings > 0 {
      let more = warnings > 1 ? " (and \(warnings - 1) more)" : ""
      notices.append("PNG: \(String(cString: cpng_first_warning(reader)))\(more)")
    }
    return ReadImage(image: image, format: .png, notices: notices)
  }
}

extension Image {
  /// Whether every pixel of an RGB picture has three equal samples.
  var isGreyThroughout: Bool {
    colour == .rgb
      && withUnsafeSamples { samples in
        var pixel = 0
        while pixel < samples.count {
          if samples[pixel] != samples[pixel + 1] || samples[pixel] != samples[pixel + 2] { return false }
          pixel += 3
        }
        return true
      }
  }

  /// The grey picture of an RGB one that is grey throughout; metadata stays.
  func reducedToGrey() throws -> Image {
    let rgb = self
    return try Image(width: width, height: height, colour: .grey, hasAlpha: alpha != nil, metadata: metadata) {
      samples, plane in
      rgb.withUnsafeSamples { from in for i in 0..<samples.count { samples[i] = from[3 * i] } }
      if let plane { rgb.withUnsafeAlpha { _ = plane.update(fromContentsOf: $0!) } }
    }
  }
}

extension ImageMetadata {
  init(_ png: cpng_metadata, bitDepth: UInt8) {
    self.init(sourceBitDepth: bitDepth)
    if png.icc_bytes > 0 { iccProfile = Array(UnsafeBufferPointer(start: png.icc, count: png.icc_bytes)) }
    if png.exif_bytes > 0 { exif = Array(UnsafeBufferPointer(start: png.exif, count: png.exif_bytes)) }
    // sRGB implies the other two: https://www.w3.org/TR/png-3/#srgb-standard-colour-space
    if png.srgb_intent >= 0 {
      sRGBIntent = UInt8(png.srgb_intent)
      return
    }
    if png.has_gamma != 0 { gamma = png.gamma }
    if png.has_chroma != 0 {
      let c = png.chroma
      chromaticities = Chromaticities(
        whiteX: c.0, whiteY: c.1, redX: c.2, redY: c.3, greenX: c.4, greenY: c.5, blueX: c.6, blueY: c.7)
    }
  }
}

extension MediaIOError {
  init(_ failure: cpng_error, at location: String) {
    let code: Code =
      switch failure.code {
      case Int32(CPNG_TRUNCATED): .truncated
      case Int32(CPNG_LIMIT): .tooLarge
      case Int32(CPNG_NO_MEMORY): .outOfMemory
      default: .damaged
      }
    let reason = withUnsafeBytes(of: failure.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    self.init(code, at: location, reason)
  }
}
