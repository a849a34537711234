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
/// Bytes come a group of about one second at a time. With a quality, sound waits for at most a group and three transform frames (85 ms each
/// at 24 and 48 kHz); with a rate, for about 30 seconds, whose steps are chosen together. The decoder gives out a group as soon as it
/// has it, but for the last 1.5 frames, which need the next one.
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
    guard format.sampleRate <= Self.maximumSampleRate else {
      throw CodecError(
        .invalidOption, "\(format.sampleRate) Hz is more than the \(Self.maximumSampleRate) that are coded. Resample, and give the rate as the original one.")
    }
    switch options.rate {
    case .kbps(let kbps):
      guard kbps.isFinite, kbps > 0 else { throw CodecError(.invalidOption, "\(kbps) kbps is not above 0") }
    case .quality(let quality):
      guard (0...100).contains(quality) else { throw CodecError(.invalidOption, "quality \(quality) is not in 0...100") }
    }
    if let rate = options.originalSampleRate, !(1...AudioFormat.maximumSampleRate).contains(rate) {
      throw CodecError(.invalidOption, "an original rate of \(rate) Hz is not 1 to \(AudioFormat.maximumSampleRate)")
    }
    self.format = format
    hasOriginal = options.originalSampleRate != nil
    encoder = try MDCTEncoder(format, options, write: write)
  }

  private let format: AudioFormat
  private let hasOriginal: Bool
  private let encoder: MDCTEncoder

  /// Encodes more of the sound: any number of frames, of the encoder's format. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError` (invalidOption) for samples that are not finite, what `write` throws, and `CancellationError`.
  public mutating func append(_ buffer: AudioBuffer) throws {
    guard buffer.format == format else {
      throw CodecError(.invalidOption, "the sound has another sample rate or other channels than the encoder was told")
    }
    for (c, channel) in buffer.samples.enumerated() {
      guard let bad = channel.firstIndex(where: { !(abs($0) <= Self.loudest) }) else { continue }
      throw CodecError(.invalidOption, "sample \(encoder.frames + bad) of channel \(c) is \(channel[bad]). Samples are -\(Self.loudest) to \(Self.loudest).")
    }
    if buffer.frames > 0 { try encoder.append(buffer.samples) }
  }

  /// Full scale is 1; what is much louder is no sound.
  static let loudest: Float = 65_536

  /// Ends the file. Nothing can be appended after it.
  ///
  /// - Parameter originalFrames: frames of the sound at `originalSampleRate`; needed if there is one.
  public mutating func finish(originalFrames: Int? = nil) throws -> EncodedAudio {
    guard hasOriginal == (originalFrames != nil) else {
      throw CodecError(.invalidOption, "the original rate and the frames at that rate go together")
    }
    if let count = originalFrames, !(0...1 << 44).contains(count) {
      throw CodecError(.invalidOption, "\(count) original frames are not 0 to 2^44")
    }
    return try encoder.finish(originalFrames: originalFrames)
  }
}
