/// A still picture: 8-bit samples in memory, with the metadata that a file carried beside them.
///
/// A value type: copies share storage until one of them is written to. It knows no codec and no file format.
public struct Image: Sendable, Hashable {
  /// What one pixel holds, alpha apart.
  public enum Colour: UInt8, Sendable, Hashable, CaseIterable {
    case grey = 1
    case rgb = 3

    /// Samples per pixel: 1 or 3.
    public var channels: Int { Int(rawValue) }
  }

  /// The longest side that a picture may have, in pixels.
  public static let maxSide = 65_535

  /// 1...65535 pixels, both.
  public let width: Int
  public let height: Int
  public let colour: Colour

  /// `[height, width, channels]`, rows from the top, no padding. `count == width * height * channels`.
  public private(set) var samples: [UInt8]

  /// `[height, width]`, 0 transparent, 255 opaque, not premultiplied. `count == width * height`. Nil: opaque throughout.
  public private(set) var alpha: [UInt8]?

  public var metadata: ImageMetadata

  public var channels: Int { colour.channels }
  public var pixelCount: Int { width * height }

  /// Takes samples `[height, width, channels]` and, if the picture has one, an alpha plane `[height, width]`.
  ///
  /// Throws `ImageError` when a side is outside 1...65535 or an array's length does not match.
  public init(
    width: Int, height: Int, colour: Colour, samples: [UInt8], alpha: [UInt8]? = nil,
    metadata: ImageMetadata = ImageMetadata()
  ) throws(ImageError) {
    try Image.checkSize(width: width, height: height)
    let pixels = width * height
    guard samples.count == pixels * colour.channels else {
      throw ImageError(
        .sampleCount, at: "samples", "\(samples.count) samples for \(width)x\(height)x\(colour.channels)")
    }
    if let alpha, alpha.count != pixels {
      throw ImageError(.sampleCount, at: "alpha", "\(alpha.count) alpha samples for \(width)x\(height)")
    }
    self.width = width
    self.height = height
    self.colour = colour
    self.samples = samples
    self.alpha = alpha
    self.metadata = metadata
  }

  /// Makes a picture by writing straight into its storage.
  ///
  /// `body` gets the sample buffer `[height, width, channels]` and the alpha buffer `[height, width]` (nil without
  /// alpha), both zeroed. Throws `ImageError` for a side outside 1...65535, and whatever `body` throws.
  public init(
    width: Int, height: Int, colour: Colour, hasAlpha: Bool = false, metadata: ImageMetadata = ImageMetadata(),
    initializingWith body: (UnsafeMutableBufferPointer<UInt8>, UnsafeMutableBufferPointer<UInt8>?) throws -> Void
  ) throws {
    try Image.checkSize(width: width, height: height)
    self.width = width
    self.height = height
    self.colour = colour
    self.metadata = metadata
    samples = [UInt8](repeating: 0, count: width * height * colour.channels)
    alpha = hasAlpha ? [UInt8](repeating: 0, count: width * height) : nil
    try withUnsafeMutableSamples { samples, alpha in try body(samples, alpha) }
  }

  /// Throws unless both sides are in 1...65535. For readers that must know before they take memory.
  public static func checkSize(width: Int, height: Int) throws(ImageError) {
    guard width >= 1, height >= 1 else {
      throw ImageError(.size, at: "size", "\(width)x\(height) has no pixels")
    }
    guard width <= maxSide, height <= maxSide else {
      throw ImageError(.size, at: "size", "\(width)x\(height): a side is at most \(maxSide) pixels")
    }
  }

  /// Calls `body` with the samples `[height, width, channels]`; the buffer must not escape.
  public func withUnsafeSamples<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
    try samples.withUnsafeBufferPointer(body)
  }

  /// Calls `body` with the alpha plane `[height, width]`, or nil; the buffer must not escape.
  public func withUnsafeAlpha<R>(_ body: (UnsafeBufferPointer<UInt8>?) throws -> R) rethrows -> R {
    guard let alpha else { return try body(nil) }
    return try alpha.withUnsafeBufferPointer { try body($0) }
  }

  /// Calls `body` with writable samples and alpha; copies them first if another picture shares them.
  public mutating func withUnsafeMutableSamples<R>(
    _ body: (UnsafeMutableBufferPointer<UInt8>, UnsafeMutableBufferPointer<UInt8>?) throws -> R
  ) rethrows -> R {
    guard var plane = alpha else {
      return try samples.withUnsafeMutableBufferPointer { try body($0, nil) }
    }
    // The plane leaves `self` while it is written, so that its buffer has one owner and is not copied.
    alpha = nil
    defer { alpha = plane }
    return try samples.withUnsafeMutableBufferPointer { samples in
      try plane.withUnsafeMutableBufferPointer { try body(samples, $0) }
    }
  }

  /// Replaces or removes the alpha plane `[height, width]`. Throws `ImageError` if its length does not match.
  public mutating func setAlpha(_ plane: [UInt8]?) throws(ImageError) {
    if let plane, plane.count != pixelCount {
      throw ImageError(.sampleCount, at: "alpha", "\(plane.count) alpha samples for \(width)x\(height)")
    }
    alpha = plane
  }
}
