import CPNGShim
import Glibc
import Media

/// Writes 8-bit PNG through libpng with the metadata that PNG can hold. The counterpart of `PNGReader`.
package enum PNGWriter {
  package struct Options: Sendable {
    /// zlib's level, 0 (stored) to 9 (smallest).
    package var compressionLevel: Int
    package var filter: Filter

    package init(compressionLevel: Int = 6, filter: Filter = .adaptive) {
      self.compressionLevel = compressionLevel
      self.filter = filter
    }

    /// On decoded Kodak pictures about a seventh of the default's time, for files about 5 % larger.
    package static let fast = Options(compressionLevel: 1, filter: .average)
  }

  /// How samples are predicted before they are deflated (PNG 3, 9.2).
  package enum Filter: Sendable {
    /// Each row's own, chosen by libpng.
    case adaptive
    /// The average of left and above throughout: on photographs nearly as small as choosing, without trying five.
    case average
  }

  /// The PNG file's bytes. Metadata that libpng refuses (a damaged profile, say) is left out. Throws `MediaIOError`.
  package static func write(_ image: Image, options: Options = Options()) throws -> [UInt8] {
    precondition((0...9).contains(options.compressionLevel), "a compression level is 0...9")
    let metadata = image.metadata
    // libpng aborts the whole picture over some metadata, so what it would refuse is held back here.
    let icc = metadata.iccProfile.flatMap { ICC.fits($0, colour: image.colour) ? $0 : nil } ?? []
    let exif = metadata.exif.flatMap { TIFFStructure($0) != nil ? $0 : nil } ?? []
    return try icc.withUnsafeBufferPointer { icc in
      try exif.withUnsafeBufferPointer { exif in
        var fields = cpng_metadata()
        fields.icc = icc.baseAddress
        fields.icc_bytes = icc.count
        fields.exif = exif.baseAddress
        fields.exif_bytes = exif.count
        fields.srgb_intent = -1
        // A profile overrides sRGB, and a file should not have both (PNG 3, 11.3.2.3).
        if let intent = metadata.sRGBIntent, intent <= 3, icc.isEmpty { fields.srgb_intent = Int32(intent) }
        if let gamma = metadata.gamma, (1...0x7FFF_FFFF).contains(gamma) {
          fields.has_gamma = 1
          fields.gamma = gamma
        }
        if let c = metadata.chromaticities {
          fields.has_chroma = 1
          fields.chroma = (c.whiteX, c.whiteY, c.redX, c.redY, c.greenX, c.greenY, c.blueX, c.blueY)
        }
        return try write(image, fields, options)
      }
    }
  }

  private static func write(_ image: Image, _ fields: cpng_metadata, _ options: Options) throws -> [UInt8] {
    var fields = fields
    let filter = options.filter == .adaptive ? CPNG_FILTER_ADAPTIVE : CPNG_FILTER_AVERAGE
    var failure = cpng_error()
    var out: UnsafeMutablePointer<UInt8>?
    var size = 0
    var warning = [CChar](repeating: 0, count: 200)
    let code = image.withUnsafeSamples { samples in
      image.withUnsafeAlpha { alpha in
        cpng_write(
          UInt32(image.width), UInt32(image.height), Int32(image.channels), samples.baseAddress!, alpha?.baseAddress,
          &fields, Int32(options.compressionLevel), Int32(filter), &out, &size, &warning, &failure)
      }
    }
    guard code == Int32(CPNG_OK), let out else { throw MediaIOError(failure, at: "PNG writer") }
    defer { free(out) }
    return Array(UnsafeBufferPointer(start: out, count: size))
  }
}

/// What must hold of an ICC profile before libpng accepts it for a picture (ICC.1:2010, 7.2).
enum ICC {
  /// Whether the profile's own length, signature and colour space suit a picture of that colour.
  static func fits(_ profile: [UInt8], colour: Image.Colour) -> Bool {
    guard profile.count >= 132, profile.count <= Int(Int32.max) else { return false }
    let length = profile[0..<4].reduce(0) { $0 << 8 | Int($1) }
    guard length == profile.count, profile[36..<40].elementsEqual("acsp".utf8) else { return false }
    return profile[16..<20].elementsEqual((colour == .rgb ? "RGB " : "GRAY").utf8)
  }
}
