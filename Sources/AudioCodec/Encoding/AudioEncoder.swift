public import Coding
public import Media

/// What an encoding came to.
public struct EncodedAudio: Sendable, Equatable {
  /// Of the whole file.
  public let byteCount: Int
  public let frames: Int
  /// Of the whole file, 1000 bits a second; 0 of an empty one.
  public let kbps: Double
}

/// Turns sound into an `.ncb` file, piece by piece, in memory that does not grow with its length.
///
///     var encoder = try AudioEncoder(format: format, options: options) { bytes in try file.write(bytes) }
///     while let buffer = try source.next() { try encoder.append(buffer) }
///     let encoded = try encoder.finish()
///
/// The inverse is `AudioDecoder`.
// bitstream-spec 11
public struct AudioEncoder {
  public enum Codec: String, Sendable, CaseIterable {
    /// Transform codec for 16 to 96 kbps a channel.
    case mdct
  }

  public enum Target: String, Sendable, CaseIterable {
    /// What sounds most alike.
    case perceptual
    /// The least squared error, and so the greatest signal-to-noise ratio.
    case meanSquaredError
  }

  public enum Rate: Sendable, Equatable {
    /// 1000 bits a second of all channels together, on average over the file, above 0.
    case kbps(Double)
    /// 0...100: how fine steps are. The rate follows from the sound.
    case quality(Double)
  }

  public struct Options: Sendable {
    public var codec = Codec.mdct
    public var rate = Rate.quality(50)
    public var target = Target.perceptual
    /// In order; keys differ from each other.
    public var tags: [AudioTag] = []
    /// Hz: of the sound before it was resampled to what is given to the encoder; nil if it was not. The file says it, so that it can be
    /// resampled back.
    public var originalSampleRate: Int?
    /// Frames that are to come, if known, for progress alone.
    public var expectedFrames: Int?
    /// Called as the sound is encoded, on the encoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?

    public init() {}
  }

  /// The highest rate that is coded, in Hz. Sound of higher rates is resampled to this one first.
  public static let maximumSampleRate = 48_000

  /// `write` gets the file's bytes, front to back, and may throw.
  ///
  /// Throws `CodecError` (invalidOption) for what cannot be encoded, and what `write` throws.
  public init(format: AudioFormat, options: Options = Options(), write: @escaping ([UInt8]) throws -> Void) throws {
    fatalError("to come")
  }

  /// Encodes more of the sound: any number of frames, of the encoder's format. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError` (invalidOption) for samples that are not finite, what `write` throws, and `CancellationError`.
  public mutating func append(_ buffer: AudioBuffer) throws { fatalError("to come") }

  /// Ends the file. Nothing can be appended after it.
  ///
  /// - Parameter originalFrames: frames of the sound at `originalSampleRate`.
  public mutating func finish(originalFrames: Int? = nil) throws -> EncodedAudio { fatalError("to come") }
}
