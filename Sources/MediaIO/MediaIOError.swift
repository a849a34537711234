/// Why a media file could not be read or written. Equal by code.
package struct MediaIOError: Error, Sendable, Hashable, CustomStringConvertible {
  package enum Code: String, Sendable, Hashable {
    /// No bytes at all.
    case empty
    /// Not a format that is read here.
    case unknownFormat
    /// The format is known, this use of it is not.
    case unsupported
    /// A file without sound, where sound is wanted.
    case noAudio
    /// A file without video, where video is wanted.
    case noVideo
    /// The bytes end inside the picture.
    case truncated
    /// The bytes contradict their format.
    case damaged
    /// Larger than `ImageLimits` allows, or than a picture can be.
    case tooLarge
    /// The library could not take memory.
    case outOfMemory
    /// The target exists and may not be overwritten.
    case exists
    /// The operating system refused: no such file, no permission, disk full.
    case system
  }

  package let code: Code
  /// The file, or the part of the format.
  package let location: String
  package let reason: String

  package init(_ code: Code, at location: String, _ reason: String) {
    self.code = code
    self.location = location
    self.reason = reason
  }

  package static func == (a: MediaIOError, b: MediaIOError) -> Bool { a.code == b.code }
  package func hash(into hasher: inout Hasher) { hasher.combine(code) }
  package var description: String { "\(location): \(reason)" }
}

/// What a reader may take from a file that it does not know.
package struct ImageLimits: Sendable {
  /// Width times height, checked against the header before pixels are allocated. 2^28 pixels are 768 MiB of RGB.
  package var maxPixels: Int
  /// Bytes of one ICC profile or one EXIF block, inflated.
  package var maxMetadataBytes: Int

  package init(maxPixels: Int = 1 << 28, maxMetadataBytes: Int = 8 << 20) {
    self.maxPixels = maxPixels
    self.maxMetadataBytes = maxMetadataBytes
  }

  /// Throws `tooLarge` for a picture beyond these limits or beyond 65,535 a side.
  func check(width: Int, height: Int, format: ImageFormat) throws(MediaIOError) {
    try check(width: width, height: height, named: "\(format)")
  }

  func check(width: Int, height: Int, named format: String) throws(MediaIOError) {
    guard width >= 1, height >= 1 else {
      throw MediaIOError(.damaged, at: "\(format) header", "\(width)x\(height) has no pixels")
    }
    guard width <= 65_535, height <= 65_535 else {
      throw MediaIOError(.tooLarge, at: "\(format) header", "\(width)x\(height): a side is at most 65535 pixels")
    }
    guard width * height <= maxPixels else {
      throw MediaIOError(.tooLarge, at: "\(format) header", "\(width)x\(height) is more than \(maxPixels) pixels")
    }
  }
}
