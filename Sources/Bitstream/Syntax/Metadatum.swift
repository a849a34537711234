/// Something about a track or the file that no decoder needs to get at the samples.
// bitstream-spec 4
package enum Metadatum: Equatable, Sendable {
  /// An ICC profile of the track's samples. At most one a track.
  case colourProfile(ArraySlice<UInt8>, track: UInt32 = 0)
  /// 100,000 times the encoding exponent, as in PNG's gAMA. At most one a track.
  case gamma(UInt32, track: UInt32 = 0)
  /// EXIF data, from its TIFF header on. At most one a track.
  case exif(ArraySlice<UInt8>, track: UInt32 = 0)
  /// A key occurs at most once a file; keys are compared byte by byte.
  case text(key: String, value: String)
  /// Tracks that hold the same in several qualities, level 0 first. At most one a file.
  case levels([Levels.Level])

  /// The largest profile, EXIF block or text value, in bytes.
  package static let maximumBytes = 1 << 26

  package var chunkType: ChunkType {
    switch self {
    case .colourProfile: .colourProfile
    case .gamma: .gamma
    case .exif: .exif
    case .text: .text
    case .levels: .levels
    }
  }

  /// The payload of a chunk of `type`, which has rank 1. The inverse is `structure(trackCount:)`.
  package static func parse(
    _ payload: ArraySlice<UInt8>, type: ChunkType, trackCount: Int, at offset: Int
  ) throws(BitstreamError) -> Metadatum {
    let track = TrackReference(of: trackCount)
    let name = type.name
    switch type {
    case .colourProfile:
      let chunk = try ColourProfile.parse(payload, into: ColourProfile(track: track), named: name, at: offset)
      return .colourProfile(chunk.profile, track: chunk.track.number)
    case .gamma:
      let chunk = try Gamma.parse(payload, into: Gamma(track: track), named: name, at: offset)
      return .gamma(chunk.exponent, track: chunk.track.number)
    case .exif:
      let chunk = try Exif.parse(payload, into: Exif(track: track), named: name, at: offset)
      return .exif(chunk.data, track: chunk.track.number)
    case .text:
      let chunk = try TextEntry.parse(payload, into: TextEntry(), named: name, at: offset)
      return .text(key: chunk.key, value: chunk.value)
    case .levels:
      let chunk = try Levels.parse(payload, into: Levels(trackCount: trackCount), named: name, at: offset)
      return .levels(chunk.levels)
    default:
      preconditionFailure("\(type) holds no metadata")
    }
  }

  /// What the chunk's payload is written from. The inverse is `parse(_:type:trackCount:at:)`.
  package func structure(trackCount: Int) -> any BitstreamStructure {
    switch self {
    case .colourProfile(let profile, let track):
      ColourProfile(track: TrackReference(track, of: trackCount), profile: profile)
    case .gamma(let exponent, let track): Gamma(track: TrackReference(track, of: trackCount), exponent: exponent)
    case .exif(let data, let track): Exif(track: TrackReference(track, of: trackCount), data: data)
    case .text(let key, let value): TextEntry(key: key, value: value)
    case .levels(let levels): Levels(levels, trackCount: trackCount)
    }
  }
}
