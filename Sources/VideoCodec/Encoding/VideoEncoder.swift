public import AudioCodec
public import Coding
public import Media

/// What an encoding came to.
public struct EncodedVideo: Sendable, Equatable {
  /// Of the whole file, sound included.
  public let byteCount: Int
  public let frames: Int
  public let segments: Int
  /// Of the whole file without the sound, by frames and their pixels.
  public let bitsPerPixel: Double
  /// Of the payloads with sound.
  public let soundBytes: Int
  /// In dB: the mean over all frames of each decoded frame's, R, G and B together; 100 is counted where a frame has no error.
  public let psnr: Double
  /// False where `Options.finishesEarly` said so: the last segment was fitted less, and frames may be missing behind it.
  public let isComplete: Bool
}

/// Turns a video into an `.ncb` file, by fitting a small network to each segment of it.
///
///     var options = VideoEncoder.Options()
///     options.rate = .quality(60)
///     let encoder = try VideoEncoder(format: source.format, options: options) { bytes in try file.write(bytes) }
///     while let frame = try source.next() { try encoder.append(frame) }
///     let encoded = try encoder.finish()
///
/// Frames wait until they are a segment, which is then fitted in `append`; memory does not grow with the video's length. Times are kept to the
/// tick, gaps between frames too. The inverse is `VideoDecoder`.
// bitstream-spec 14
public final class VideoEncoder: FrameSink {
  /// How segments are made. Decoders need not know.
  public enum Codec: String, Sendable, CaseIterable {
    /// Embeddings that an encoder makes of the frames (Chen et al. 2023).
    case hnerv
    /// Frames of their numbers alone, by waves of those and a perceptron (Chen et al. 2021).
    case nerv
    /// As `nerv`, with residual blocks of separable convolutions before and behind each enlargement, and a way around them (Ghorbel et al. 2024).
    case nervpp
    /// Small groups of frames, each of which begins with the network of the one before.
    case nirvana
  }

  public enum Rate: Sendable, Equatable {
    /// 0...100
    case quality(Double)
    /// Above 0, of the file without its sound.
    case bitsPerPixel(Double)
    /// Weights and embeddings of each segment's network, above 0.
    case parameters(Int)
  }

  /// What a fit needs to go on another time.
  public struct Checkpoints: Sendable {
    /// One that was saved, of the same frames and options; nil to begin.
    public var resuming: [UInt8]?
    /// Seconds of fitting between two.
    public var interval = 60.0
    /// Called with each, and with one more before an encoding ends by cancellation. May throw, which ends the encoding.
    public var save: @Sendable ([UInt8]) throws -> Void

    public init(resuming: [UInt8]? = nil, save: @escaping @Sendable ([UInt8]) throws -> Void) { (self.resuming, self.save) = (resuming, save) }
  }

  /// A sound track that is coded as `AudioEncoder` does it: what `AudioEncoder.init` takes. Tags, and the progress of `options`, are left out.
  public struct CodedSound: Sendable {
    public var format: AudioFormat
    public var options: AudioEncoder.Options

    public init(format: AudioFormat, options: AudioEncoder.Options) { (self.format, self.options) = (format, options) }
  }

  public struct Options: Sendable {
    public var codec = Codec.hnerv
    public var rate = Rate.quality(50)
    /// 1...9: how long segments are fitted.
    public var effort = 3
    /// How often each frame is fitted, by NIRVANA each group of them, at least 1; nil: by `effort`.
    public var epochs: Int?
    /// Smaller kernels in HNeRV's last stages, which decode in about half the time; files are some 5 to 10 % larger at a quality.
    public var cheapBlocks = false
    /// Threads to use, at least 1; nil for one per core. The result does not depend on it.
    public var threads: Int?
    /// Frames of a segment, 1...4096; nil: at most 256 and 384 MB of samples, and all alike if `expectedFrames` is right. A rest of up to an eighth
    /// goes with the last segment.
    public var segmentFrames: Int?
    /// Sound that will be appended, packet by packet.
    public var soundTracks: [CopiedTrack] = []
    /// Sound that will be appended as samples, to be coded anew.
    public var codedSound: [CodedSound] = []
    /// Frames that are to come, if known: for segments of one size, and for progress.
    public var expectedFrames: Int?
    /// Called after each step of a fit, on the encoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?
    /// Asked after each step: whether to end the fit with what it has come to, and the video with its segment.
    public var finishesEarly: (@Sendable () -> Bool)?
    /// Asked after each step: whether to end with `CancellationError`, as cancelling the surrounding task does.
    public var isCancelled: (@Sendable () -> Bool)?
    public var checkpoints: Checkpoints?

    public init() {}

    /// How often each frame is fitted, by effort 1...9.
    static let epochs = [5, 10, 20, 30, 60, 100, 150, 300, 600]
  }

  public let format: VideoFormat
  private let work: SegmentedEncoding

  /// `write` gets the file's bytes, front to back, and may throw.
  ///
  /// Throws `CodecError`: `invalidOption` for what cannot be encoded, `malformed` for a checkpoint that is none; and what `write` throws.
  public convenience init(format: VideoFormat, options: Options = Options(), write: @escaping ([UInt8]) throws -> Void) throws {
    try self.init(format: format, options: options, fits: NetworkSegments.fits, write: write)
  }

  package init(format: VideoFormat, options: Options, fits: SegmentFits, write: @escaping ([UInt8]) throws -> Void) throws {
    self.format = format
    try options.check()
    work = try SegmentedEncoding(format, options, fits, write: write)
  }

  /// Encodes the frames of a sequence, such as `FrameSource.sequence`, without sound.
  public static func encode<Frames: AsyncSequence>(
    _ frames: Frames, format: VideoFormat, options: Options = Options(), write: @escaping ([UInt8]) throws -> Void
  ) async throws -> EncodedVideo where Frames.Element == VideoFrame {
    let encoder = try VideoEncoder(format: format, options: options, write: write)
    for try await frame in frames { try encoder.append(frame) }
    return try encoder.finish()
  }

  /// Whether `Options.finishesEarly` has ended the video; what is appended is left out then.
  public var hasFinishedEarly: Bool { work.hasFinishedEarly }

  /// Takes a frame of the format's size, whose time comes after the one before and is 0 or more. Where it completes a segment, that is fitted now.
  ///
  /// Throws `CodecError` (invalidOption) for another frame, what `write` throws, and `CancellationError`.
  public func append(_ frame: VideoFrame) throws { try work.append(frame) }

  /// Takes a packet of `Options.soundTracks[track]`, in the order of its times. It goes to the file beside the frames of its time, so packets and
  /// frames are best given together.
  ///
  /// Throws `CodecError` (invalidOption) for times that descend, and what `write` throws.
  public func append(_ packet: CopiedPacket, track: Int) throws { try work.append(packet, track: track) }

  /// Takes more of `Options.codedSound[track]`, from the video's time 0 on, as `AudioEncoder.append` does. It goes to the file beside the frames of
  /// its time, so sound and frames are best given together.
  ///
  /// Throws `CodecError` (invalidOption) for samples that are not finite or of another format, what `write` throws, and `CancellationError`.
  public func append(_ sound: AudioBuffer, track: Int) throws { try work.append(sound, track: track) }

  /// Ends `Options.codedSound[track]`. Needed where it was resampled, with its frames at its `originalSampleRate`; `finish` ends others.
  ///
  /// Throws as `AudioEncoder.finish`.
  public func finishSound(track: Int, originalFrames: Int? = nil) throws { try work.finishSound(track: track, originalFrames: originalFrames) }

  /// Fits what is left and ends the file. Nothing can be appended after it.
  ///
  /// Throws `CodecError` (invalidOption) where there was no frame, what `write` throws, and `CancellationError`.
  public func finish() throws -> EncodedVideo { try work.finish() }
}

extension VideoEncoder.Options {
  fileprivate func check() throws(CodecError) {
    func require(_ condition: Bool, _ reason: String) throws(CodecError) { if !condition { throw CodecError(.invalidOption, reason) } }
    switch rate {
    case .quality(let quality): try require((0...100).contains(quality), "quality \(quality) is not in 0...100")
    case .bitsPerPixel(let bits): try require(bits.isFinite && bits > 0, "\(bits) bits per pixel are not above 0")
    case .parameters(let count): try require((1...1 << 30).contains(count), "\(count) parameters are not 1 to 2^30")
    }
    try require((1...9).contains(effort), "effort \(effort) is not in 1...9")
    if let epochs { try require((1...1_000_000).contains(epochs), "\(epochs) epochs are not 1 to 1000000") }
    if let segmentFrames { try require((1...4096).contains(segmentFrames), "segments of \(segmentFrames) frames are not 1 to 4096") }
    try require(!cheapBlocks || codec == .hnerv, "cheap blocks are of codec hnerv alone")
    if let checkpoints { try require(checkpoints.interval >= 0, "checkpoints every \(checkpoints.interval) s") }
  }

  /// Frames of a segment of this format: as wanted, or else at most 256 and 384 MB of samples, and of a video of known length all alike.
  package func segmentFrames(of format: VideoFormat) -> Int {
    if let segmentFrames { return segmentFrames }
    let most = min(256, max(1, 384_000_000 / (3 * format.width * format.height)))
    guard let expectedFrames, expectedFrames > 0 else { return most }
    let count = (expectedFrames - 1) / most + 1
    return (expectedFrames - 1) / count + 1
  }

  /// Epochs of a segment of so many frames: where they are not said by effort, few frames more often, so that there are as many iterations as for 60. A
  /// group's frames are seen all at once, of a small network, for which it is twenty times as often in the same time, about.
  func epochs(frames: Int) -> Int {
    let usual = Self.epochs[effort - 1]
    return epochs ?? (codec == .nirvana ? 20 * usual : max(usual, usual * 60 / frames))
  }
}
