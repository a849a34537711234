/// A positive fraction, such as 1/25 s or 30000/1001 frames a second.
public struct Rational: Sendable, Hashable, CustomStringConvertible {
  /// 1...2^31 - 1, both.
  public let numerator: Int
  public let denominator: Int

  public static let one = Rational(exactly: 1, 1)!

  /// Nil where one of them is outside 1...2^31 - 1. What can be reduced stays as it is: 2/50 s is another time base than 1/25 s.
  public init?(exactly numerator: Int, _ denominator: Int) {
    let range = 1...Int(Int32.max)
    guard range.contains(numerator), range.contains(denominator) else { return nil }
    (self.numerator, self.denominator) = (numerator, denominator)
  }

  public var value: Double { Double(numerator) / Double(denominator) }
  public var reciprocal: Rational { Rational(exactly: denominator, numerator)! }

  /// Without common factors.
  public var reduced: Rational {
    var (a, b) = (numerator, denominator)
    while b != 0 { (a, b) = (b, a % b) }
    return Rational(exactly: numerator / a, denominator / a)!
  }

  /// "30000/1001"; "25" for 25/1.
  public var description: String { denominator == 1 ? "\(numerator)" : "\(numerator)/\(denominator)" }

  /// `ticks` of this many seconds each, in ticks of `other`, to the nearest, halves away from zero. Nil beyond 2^62.
  public func rescale(_ ticks: Int64, to other: Rational) -> Int64? {
    // Below 2^31 * 2^31 both.
    let (up, down) = (UInt64(numerator * other.denominator), UInt64(denominator * other.numerator))
    let (high, low) = ticks.magnitude.multipliedFullWidth(by: up)
    let (sum, carry) = low.addingReportingOverflow(down / 2)
    let top = high + (carry ? 1 : 0)
    guard top < down else { return nil }
    let quotient = down.dividingFullWidth((top, sum)).quotient
    guard quotient <= 1 << 62 else { return nil }
    return ticks < 0 ? -Int64(quotient) : Int64(quotient)
  }
}

/// How far a stored picture has to be turned clockwise before it is shown.
public enum Rotation: UInt16, Sendable, Hashable, CaseIterable {
  case none = 0
  case quarter = 90
  case half = 180
  case threeQuarters = 270

  /// Whether width and height change places.
  public var isSideways: Bool { self == .quarter || self == .threeQuarters }
}

/// How a source's samples stood for colours, by the numbers of ITU-T H.273, which are libav's too. 2: not said.
public struct ColourDescription: Sendable, Hashable {
  public var primaries: UInt8
  public var transfer: UInt8
  /// Of Y'CbCr; 0 for a source of R, G and B.
  public var matrix: UInt8
  /// Whether 8-bit samples use 0...255, instead of 16...235 (luma) and 16...240 (chroma).
  public var isFullRange: Bool
  /// Where chroma samples lie, by libav's numbers: 0 not said, 1 left, 2 centre, 3 top left, 4 top, 5 bottom left, 6 bottom.
  public var chromaLocation: UInt8

  public init(primaries: UInt8 = 2, transfer: UInt8 = 2, matrix: UInt8 = 2, isFullRange: Bool = false, chromaLocation: UInt8 = 0) {
    (self.primaries, self.transfer, self.matrix) = (primaries, transfer, matrix)
    (self.isFullRange, self.chromaLocation) = (isFullRange, chromaLocation)
  }

  /// The matrix, or where it is not said what players take: BT.709 (1) for 1280 columns or more than 576 rows, otherwise BT.601 (6).
  public func resolvedMatrix(width: Int, height: Int) -> UInt8 { matrix != 2 ? matrix : width >= 1280 || height > 576 ? 1 : 6 }
}

/// What all frames of a video have in common.
public struct VideoFormat: Sendable, Hashable {
  /// Pixels of a frame as it is stored, 1...65535.
  public let width: Int
  public let height: Int
  /// Seconds of a tick, in which times and durations of frames count.
  public let timeBase: Rational
  /// Frames a second, where they come at a steady rate or the source names one; nil where it does not.
  public var frameRate: Rational?
  /// Width of a pixel through its height, before `rotation`.
  public var sampleAspectRatio: Rational
  public var rotation: Rotation
  /// Of the source. Frames themselves are R'G'B' of full range, made with its matrix; primaries and transfer are the source's own.
  public var colour: ColourDescription
  /// Bits of a sample in the source, 1...16. Frames have 8.
  public var sourceBitDepth: Int

  /// Throws `ImageError` (size).
  public init(
    width: Int, height: Int, timeBase: Rational, frameRate: Rational? = nil, sampleAspectRatio: Rational = .one, rotation: Rotation = .none,
    colour: ColourDescription = ColourDescription(), sourceBitDepth: Int = 8
  ) throws(ImageError) {
    try Image.checkSize(width: width, height: height)
    (self.width, self.height, self.timeBase, self.frameRate) = (width, height, timeBase, frameRate)
    (self.sampleAspectRatio, self.rotation, self.colour, self.sourceBitDepth) = (sampleAspectRatio, rotation, colour, sourceBitDepth)
  }

  /// Pixels once turned by `rotation`.
  public var shownWidth: Int { rotation.isSideways ? height : width }
  public var shownHeight: Int { rotation.isSideways ? width : height }
}
