import Bitstream
import Media

/// What a picture file says beside its samples, as the container's optional chunks and back.
// bitstream-spec 8.7
extension ImageMetadata {
  private static let chromaticitiesKey = "png:cHRM"

  /// The inverses are `chunks(track:)` and `sRGB`. Chunks of other tracks and unknown keys are ignored.
  init(_ chunks: [Metadatum], sRGB: ImageConfiguration.SRGB, track: UInt32) {
    self.init()
    sRGBIntent = sRGB == .unstated ? nil : sRGB.rawValue - 1
    for chunk in chunks {
      switch chunk {
      case .colourProfile(let profile, track): iccProfile = Array(profile)
      case .gamma(let exponent, track): gamma = exponent
      case .exif(let data, track): exif = Array(data)
      case .text(Self.chromaticitiesKey, let value):
        let v = value.split(separator: " ").compactMap { UInt32($0) }
        guard v.count == 8, v.allSatisfy({ $0 <= 1_000_000 }) else { continue }
        chromaticities = Chromaticities(
          whiteX: v[0], whiteY: v[1], redX: v[2], redY: v[3], greenX: v[4], greenY: v[5], blueX: v[6], blueY: v[7])
      default: continue
      }
    }
  }

  /// The rendering intent as the configuration has it; intents that PNG does not know are left out.
  var sRGB: ImageConfiguration.SRGB {
    sRGBIntent.flatMap { $0 < 4 ? ImageConfiguration.SRGB(rawValue: $0 + 1) : nil } ?? .unstated
  }

  func chunks(track: UInt32) -> [Metadatum] {
    var chunks: [Metadatum] = []
    if let iccProfile, !iccProfile.isEmpty { chunks.append(.colourProfile(iccProfile[...], track: track)) }
    if let gamma, Gamma.range.contains(gamma) { chunks.append(.gamma(gamma, track: track)) }
    if let exif, !exif.isEmpty { chunks.append(.exif(exif[...], track: track)) }
    if let c = chromaticities {
      let values = [c.whiteX, c.whiteY, c.redX, c.redY, c.greenX, c.greenY, c.blueX, c.blueY]
      chunks.append(.text(key: Self.chromaticitiesKey, value: values.map(String.init).joined(separator: " ")))
    }
    return chunks
  }
}
