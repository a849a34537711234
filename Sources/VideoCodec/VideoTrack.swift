import Bitstream
import Coding
import Media

// A video's format as the track chunk has it (bitstream-spec 14.1), and back.

extension TrackHeader {
  /// The inverse is `VideoFormat.init(_:maxPixels:)`. Throws `CodecError` (invalidOption) for what the syntax has no room for.
  init(_ format: VideoFormat, _ family: NetworkFamily) throws(CodecError) {
    var configuration = VideoConfiguration()
    (configuration.width, configuration.height) = (UInt32(format.width), UInt32(format.height))
    configuration.aspect = (UInt32(format.sampleAspectRatio.numerator), UInt32(format.sampleAspectRatio.denominator))
    configuration.rate = format.frameRate.map { (UInt32($0.numerator), UInt32($0.denominator)) }
    configuration.turns = UInt8(format.rotation.rawValue / 90)
    let colour = format.colour
    (configuration.isFullRange, configuration.chromaLocation) = (colour.isFullRange, colour.chromaLocation)
    (configuration.primaries, configuration.transfer, configuration.matrix) = (colour.primaries, colour.transfer, colour.matrix)
    guard (1...16).contains(format.sourceBitDepth) else {
      throw CodecError(.invalidOption, "a source of \(format.sourceBitDepth) bits is not 1 to 16")
    }
    configuration.bitDepth = format.sourceBitDepth
    configuration.family = family
    let base = TimeBase(numerator: UInt32(format.timeBase.numerator), denominator: UInt32(format.timeBase.denominator))
    do {
      self.init(
        modality: .video, codec: CodecID.networkVideo, timeBase: base, configuration: try configuration.serialised()[...])
    } catch {
      throw CodecError(.invalidOption, error.description)
    }
  }
}

extension VideoFormat {
  /// Of the track of a video of codec 8, with its configuration. Throws `CodecError`: `unsupported` for another codec or model, `malformed`.
  static func read(_ track: TrackHeader) throws -> (format: VideoFormat, family: NetworkFamily) {
    guard track.codec == CodecID.networkVideo else {
      throw CodecError(.unsupported, "the video is in codec \(track.codec), which is unknown here. Use a newer version of nccodec.")
    }
    guard track.model == 0 else {
      throw CodecError(.unsupported, "the video needs model \(track.model), which is unknown here. Use a newer version of nccodec.")
    }
    let configuration = try VideoConfiguration(parsing: track.configuration)
    func rational(_ numerator: UInt32, _ denominator: UInt32) throws(CodecError) -> Rational {
      guard let number = Rational(exactly: Int(numerator), Int(denominator)) else {
        throw CodecError.damagedVideo("\(numerator)/\(denominator) is beyond what a time base may be")
      }
      return number
    }
    // A timed track has one.
    let base = track.timeBase!
    let format = try VideoFormat(
      width: Int(configuration.width), height: Int(configuration.height), timeBase: rational(base.numerator, base.denominator),
      frameRate: configuration.rate.map { try rational($0.numerator, $0.denominator) },
      sampleAspectRatio: rational(configuration.aspect.numerator, configuration.aspect.denominator),
      // Two bits have four quarter turns.
      rotation: Rotation(rawValue: UInt16(configuration.turns) * 90)!,
      colour: ColourDescription(
        primaries: configuration.primaries, transfer: configuration.transfer, matrix: configuration.matrix,
        isFullRange: configuration.isFullRange, chromaLocation: configuration.chromaLocation),
      sourceBitDepth: configuration.bitDepth)
    return (format, configuration.family)
  }
}

extension CodecError {
  static func damagedVideo(_ reason: String) -> CodecError { CodecError(.malformed, "the file's video is damaged: \(reason).") }

  /// What `body` throws, as users are told it.
  static func explainingVideo<R>(_ body: () throws -> R) throws -> R {
    do {
      return try body()
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as ImageError {
      throw CodecError.damagedVideo("\(error)")
    }
  }
}
