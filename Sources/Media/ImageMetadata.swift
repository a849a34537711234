/// What a picture file says beside its samples.
public struct ImageMetadata: Sendable, Hashable {
  /// An ICC profile, as it stands in the file (uncompressed).
  public var iccProfile: [UInt8]?

  /// File gamma in 1/100000, as in PNG's gAMA chunk: 45455 is 1/2.2.
  public var gamma: UInt32?

  /// PNG's sRGB rendering intent, 0...3. It implies gamma and chromaticities, so those are nil beside it.
  public var sRGBIntent: UInt8?

  public var chromaticities: Chromaticities?

  /// EXIF as a TIFF structure: it starts with "II*\0" or "MM\0*", without JPEG's "Exif\0\0".
  public var exif: [UInt8]?

  /// Bits per sample in the file that the picture came from, 1...16; more than 8 means that precision was lost.
  public var sourceBitDepth: UInt8

  public init(
    iccProfile: [UInt8]? = nil, gamma: UInt32? = nil, sRGBIntent: UInt8? = nil,
    chromaticities: Chromaticities? = nil, exif: [UInt8]? = nil, sourceBitDepth: UInt8 = 8
  ) {
    self.iccProfile = iccProfile
    self.gamma = gamma
    self.sRGBIntent = sRGBIntent
    self.chromaticities = chromaticities
    self.exif = exif
    self.sourceBitDepth = sourceBitDepth
  }

  /// How a viewer should turn the picture, 1...8 as in EXIF tag 274; 1 (as stored) when the EXIF does not say.
  /// The samples are never turned by readers here.
  public var orientation: UInt8 { exif.flatMap(EXIF.orientation(in:)) ?? 1 }

  /// CIE xy of white and primaries in 1/100000, as in PNG's cHRM chunk.
  public struct Chromaticities: Sendable, Hashable {
    public var whiteX, whiteY, redX, redY, greenX, greenY, blueX, blueY: UInt32

    public init(
      whiteX: UInt32, whiteY: UInt32, redX: UInt32, redY: UInt32, greenX: UInt32, greenY: UInt32, blueX: UInt32,
      blueY: UInt32
    ) {
      self.whiteX = whiteX
      self.whiteY = whiteY
      self.redX = redX
      self.redY = redY
      self.greenX = greenX
      self.greenY = greenY
      self.blueX = blueX
      self.blueY = blueY
    }
  }
}
