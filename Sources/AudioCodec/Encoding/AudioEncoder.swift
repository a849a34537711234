import Bitstream
public import Coding
public import Media

/// What an encoding came to.
public struct EncodedAudio: Sendable, Equatable {
  /// Of the whole file.
  public let byteCount: Int
  public let frames: Int
  /// Of the whole file, 1000 bits a second; 0 of an empty one.
  public let kbps: Double
  /// Of tokens: 75 or 40 frames a second, and 1...8 levels; nil of other codecs.
  public internal(set) var framesPerSecond: Int?
  public internal(set) var levels: Int?
}

/// Turns sound into an `.ncb` file, piece by piece, in memory that does not grow with its length.
///
///     var encoder = try AudioEncoder(format: format, options: options) { bytes in try file.write(bytes) }
///     while let buffer = try source.next() { try encoder.append(buffer) }
///     let encoded = try encoder.finish()
///
/// Of `mdct`, bytes come a group of about one second at a time. With a quality, sound waits for at most a group and three transform frames (85 ms each
/// at 24 and 48 kHz); with a rate, for about 30 seconds, whose steps are chosen together. The decoder gives out a group as soon as it
/// has it, but for the last 1.5 frames, which need the next one.
///
/// Of `tokens`, a group comes when a quarter more than its length has been given (`Options.groupSeconds`, 10 by default), and no later
/// than its networks need: a sample can be given out when 14 frames (of 320 samples at 75 a second, of 600 at 40) and 1280 samples behind it have
/// been given, 5760 or 9680 samples.
///
/// The inverse is `AudioDecoder`.
// bitstream-spec 11, 12
public struct AudioEncoder {
  public enum Codec: String, Sendable, CaseIterable {
    /// Transform codec for 16 to 96 kbps a channel.
    case mdct
    /// Tokens of a neural codec for 0.48 to 5.6 kbps a channel, of sound at 24 kHz.
    case tokens

    /// The one for a rate, of all channels together: `tokens` below 8 kbps a channel.
    public static func suited(toKbps kbps: Double, channels: Int) -> Codec { kbps < 8 * Double(channels) ? .tokens : .mdct }

    /// Hz at which sound of a sample rate is given to the encoder: what differs is resampled first.
    public func codedSampleRate(of sampleRate: Int) -> Int {
      self == .tokens ? TokenGeometry.sampleRate : min(sampleRate, AudioEncoder.maximumSampleRate)
    }
  }

  public enum Target: String, Sendable, CaseIterable {
    /// What sounds most alike.
    case perceptual
    /// The least squared error, and so the greatest signal-to-noise ratio.
    case meanSquaredError
  }

  public enum Rate: Sendable, Equatable {
    /// 1000 bits a second of all channels together, above 0. Of `mdct`, the whole file's average; of `tokens`, what they take at most before
    /// entropy coding, so that only files of few seconds may take more.
    case kbps(Double)
    /// 0...100: how fine steps are, or how many tokens there are. The rate follows from the sound.
    case quality(Double)
  }

  public struct Options: Sendable {
    public var codec = Codec.mdct
    public var rate = Rate.quality(50)
    /// Of `mdct`.
    public var target = Target.perceptual
    /// Of `tokens`: 75 or 40; nil for what the rate comes to.
    public var framesPerSecond: Int?
    /// Of `tokens`: 1...8 levels of a frame; nil for what the rate comes to.
    public var levels: Int?
    /// Of `tokens`: sound of a group, 0.02...10 seconds; decoding from one takes up to 6.8 or 12.7 seconds before it. Short ones are
    /// for live use.
    public var groupSeconds = 10.0
    /// Of `tokens`: called with each group's, on the encoding thread.
    public var tokens: (@Sendable (AudioTokens) -> Void)?
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

  /// 1000 bits a second and channel that `tokens` take before entropy coding where a rate chooses, from the lowest up.
  public static let tokenRates: [Double] = TokenSetting.usual.map(\.rawKbps)

  /// `write` gets the file's bytes, front to back, and may throw.
  ///
  /// Throws `CodecError` (invalidOption) for what cannot be encoded, and what `write` throws.
  public init(format: AudioFormat, options: Options = Options(), write: @escaping ([UInt8]) throws -> Void) throws {
    try self.init(format: format, options: options, to: SoundFile(write))
  }

  /// Into a track, such as a video's.
  package init(format: AudioFormat, options: Options, to output: any SoundOutput) throws {
    guard options.codec != .tokens || format.sampleRate == TokenGeometry.sampleRate else {
      throw CodecError(
        .invalidOption,
        "\(format.sampleRate) Hz is not the \(TokenGeometry.sampleRate) that tokens are of. Resample, and give the rate as the original one.")
    }
    guard (0.02...10).contains(options.groupSeconds) else {
      throw CodecError(.invalidOption, "groups of \(options.groupSeconds) seconds are not 0.02 to 10")
    }
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
    switch options.codec {
    case .mdct: encoder = try MDCTEncoder(format, options, to: output)
    case .tokens: encoder = try TokenEncoder(format, options, to: output)
    }
  }

  /// The file of tokens that are there already, `options.codec` and rate aside: as long as their frames, or so many samples at 24 kHz less that
  /// they end in the last frame.
  ///
  /// Throws `CodecError` (invalidOption) for tokens that cannot be, what `write` throws, and `CancellationError`.
  public static func encode(
    _ tokens: AudioTokens, layout: ChannelLayout, samples: Int? = nil, options: Options = Options(), write: @escaping ([UInt8]) throws -> Void
  ) throws -> EncodedAudio {
    guard let mode = TokenMode(framesPerSecond: tokens.framesPerSecond) else {
      throw CodecError(.invalidOption, "\(tokens.framesPerSecond) frames of tokens a second are neither 75 nor 40")
    }
    guard (1...TokenGeometry.maximumLevels).contains(tokens.levels), tokens.channels == layout.count else {
      throw CodecError(
        .invalidOption, "tokens of \(tokens.channels) channels and \(tokens.levels) levels are not \(layout.count) and 1 to \(TokenGeometry.maximumLevels)")
    }
    for (c, channel) in tokens.indices.enumerated() {
      for (level, indices) in channel.enumerated() {
        guard let bad = indices.firstIndex(where: { Int($0) >= TokenGeometry.codes(level: level) }) else { continue }
        throw CodecError(
          .invalidOption, "token \(indices[bad]) of channel \(c), level \(level), frame \(bad) is not below \(TokenGeometry.codes(level: level))")
      }
    }
    let samples = samples ?? tokens.frames * mode.hop
    guard (samples + mode.hop - 1) / mode.hop == tokens.frames else {
      throw CodecError(.invalidOption, "\(samples) samples do not end in the last of \(tokens.frames) frames")
    }
    let file = try TokenFileWriter(TokenSetting(mode: mode, levels: tokens.levels), layout, options, to: SoundFile(write))
    try file.append(tokens.indices)
    return try file.finish(samples: samples, originalFrames: nil)
  }

  private let format: AudioFormat
  private let hasOriginal: Bool
  private let encoder: any SoundEncoder

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
