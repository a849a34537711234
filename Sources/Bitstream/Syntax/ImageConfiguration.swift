/// The configuration of codecs 1 and 2, the hyperprior and the overfitted image codec:
///
///     width    varint, 1...65535, pixels
///     height   varint, 1...65535, pixels
///     samples  1 byte: bits 0...3 colour, bit 4 alpha, bits 5...7 sRGB
///     quality  1 byte, 0...100; does nothing to decoding in codec 2
// bitstream-spec 4.5
package struct ImageConfiguration: BitstreamStructure, Equatable, Sendable {
  package enum Colour: UInt8, FieldEnumeration {
    case grey = 0
    case rgb = 1

    package var label: String {
      switch self {
      case .grey: "grey"
      case .rgb: "RGB"
      }
    }

    /// Samples of a pixel, without alpha.
    package var channels: Int { self == .grey ? 1 : 3 }
  }

  /// Whether the source says that its samples are sRGB, and with which rendering intent.
  package enum SRGB: UInt8, FieldEnumeration {
    case unstated = 0
    case perceptual = 1
    case relative = 2
    case saturation = 3
    case absolute = 4

    package var label: String {
      switch self {
      case .unstated: "unstated"
      case .perceptual: "perceptual"
      case .relative: "relative colorimetric"
      case .saturation: "saturation"
      case .absolute: "absolute colorimetric"
      }
    }
  }

  package var width: UInt16
  package var height: UInt16
  package var colour: Colour
  /// Whether the payload includes a losslessly coded alpha plane.
  package var hasAlpha: Bool
  package var sRGB: SRGB
  package var quality: UInt8

  package init(
    width: UInt16, height: UInt16, colour: Colour, hasAlpha: Bool = false, sRGB: SRGB = .unstated, quality: UInt8
  ) {
    self.width = width
    self.height = height
    self.colour = colour
    self.hasAlpha = hasAlpha
    self.sRGB = sRGB
    self.quality = quality
  }

  static let blank = ImageConfiguration(width: 1, height: 1, colour: .grey, quality: 0)

  /// The configuration of a track of codec 1, held against `limits`; the inverse is `serialised()`. Offsets of errors
  /// count from the start of the configuration. Throws `malformed`, or `limitExceeded` for too many pixels.
  package init(
    parsing configuration: ArraySlice<UInt8>, limits: ContainerLimits = ContainerLimits()
  ) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self.blank, named: "image configuration")
    try limits.check(width: Int(width), height: Int(height), in: "image configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("width", &width, in: 1...UInt16.max, unit: "pixels")
    try visitor.varint("height", &height, in: 1...UInt16.max, unit: "pixels")
    try visitor.packed("samples") { samples in
      samples.enumeration("colour", &colour, bits: 4)
      samples.flag("alpha", &hasAlpha)
      samples.enumeration("sRGB", &sRGB, bits: 3)
    }
    try visitor.unsigned("quality", &quality, in: 0...100)
  }
}
