import Media

/// The still formats that are read, told apart by their first bytes.
package enum ImageFormat: String, Sendable, CaseIterable, CustomStringConvertible {
  case png = "PNG"
  case jpeg = "JPEG"
  case webp = "WebP"
  case bmp = "BMP"
  case tiff = "TIFF"
  case qoi = "QOI"
  case pnm = "PNM"

  package var description: String { rawValue }

  /// Nil for anything else.
  package init?(sniffing bytes: [UInt8]) {
    func starts(_ prefix: [UInt8], at offset: Int = 0) -> Bool {
      bytes.count >= offset + prefix.count && bytes[offset..<(offset + prefix.count)].elementsEqual(prefix)
    }
    if starts([0x89, 0x50, 0x4E, 0x47]) {
      self = .png
    } else if starts([0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if starts(Array("RIFF".utf8)), starts(Array("WEBP".utf8), at: 8) {
      self = .webp
    } else if starts([0x49, 0x49, 42, 0]) || starts([0x4D, 0x4D, 0, 42]) {
      self = .tiff
    } else if starts(Array("qoif".utf8)) {
      self = .qoi
    } else if starts(Array("BM".utf8)) {
      self = .bmp
    } else if bytes.count > 2, bytes[0] == 0x50, (0x31...0x37).contains(bytes[1]),
      [0x20, 0x09, 0x0A, 0x0D, 0x23].contains(bytes[2])
    {
      self = .pnm
    } else {
      return nil
    }
  }

  package static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

/// A picture, where it came from, and what its user should be told.
package struct ReadImage: Sendable {
  package var image: Image
  package var format: ImageFormat
  /// One line each, such as lost precision, further pages left out, or damaged metadata dropped.
  package var notices: [String]
}

/// Reads a still picture of any supported format from bytes.
package enum ImageReader {
  /// Throws `MediaIOError`: `empty`, `unknownFormat` (naming the formats that are read), or what the format's reader
  /// finds.
  package static func read(_ bytes: [UInt8], limits: ImageLimits = ImageLimits()) throws -> ReadImage {
    guard !bytes.isEmpty else { throw MediaIOError(.empty, at: "picture", "no bytes") }
    guard let format = ImageFormat(sniffing: bytes) else {
      throw MediaIOError(
        .unknownFormat, at: "picture", "not a picture in a known format (\(ImageFormat.names) are read)")
    }
    var result =
      format == .png
      ? try PNGReader.read(bytes, limits: limits) : try StillReader.read(bytes, format: format, limits: limits)
    let depth = result.image.metadata.sourceBitDepth
    if depth > 8 { result.notices.insert("\(depth)-bit samples were rounded to 8 bits", at: 0) }
    return result
  }
}
