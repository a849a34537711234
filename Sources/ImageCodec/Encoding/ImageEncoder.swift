public import Coding
import Media

/// Turns a picture into an `.ncb` file. One value may serve many tasks at once.
///
///     var options = ImageEncoder.Options()
///     options.target = .quality(60)
///     let encoded = try ImageEncoder(options: options).encode(image)
///
/// The bytes do not depend on the number of threads. The inverse is `ImageDecoder`.
public struct ImageEncoder: Sendable {
  public enum Codec: String, Sendable, CaseIterable {
    /// Networks trained once: encodes in a fraction of a second.
    case hyperprior
    /// A small network and its latents, fitted to this picture: encodes in seconds to minutes, and smaller.
    case overfit
  }

  public enum Target: Sendable, Equatable {
    /// 0 (smallest) to 100 (best). The codecs' qualities are about equally good, not equally large.
    case quality(Int)
    /// Bits per pixel of the whole file. The hyperprior takes the nearest quality; the overfitted codec comes near.
    case bitsPerPixel(Double)
    /// PSNR in dB over all colour samples, met as `bitsPerPixel` is.
    case psnr(Double)
    /// The overfitted codec minimises: mean squared error of samples 0...1 + lambda * bits per pixel. At most 1; a
    /// quality q is lambda = 0.04 * 400^(-q / 100).
    case lambda(Double)
  }

  public struct Options: Sendable {
    /// Nil: the hyperprior below effort 4, the overfitted codec from there.
    public var codec: Codec?
    public var target = Target.quality(50)
    /// 1 (fastest) to 9 (best). The hyperprior has but one.
    public var effort = 1
    /// Multiplications per pixel that decoding an overfitted picture may take, nominally: 500, 1000, 2000 or 3000. Nil:
    /// 2000. For the overfitted codec alone.
    public var decoderCost: Int?
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?
    /// Whether `EncodedImage.psnr` is wanted where the target does not need it; costs the hyperprior a decoding.
    public var measuresPSNR = false
    /// Largest picture accepted, in pixels.
    public var maxPixels = 1 << 27
    /// Most memory that a fit may take, in bytes, by an estimate made before anything is allocated.
    public var maxMemory = 16 << 30
    /// Called as stages begin and, at most ten times a second, after iterations of a fit; on the encoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?
    /// Asked after each iteration of a fit: true ends the fit there, and the best so far becomes the file, which says so
    /// in `EncodedImage.fit`. What is done then no longer looks at the task's cancellation, so that
    /// `{ Task.isCancelled }` makes a file of a cancelled encoding.
    public var finishesEarly: (@Sendable () -> Bool)?

    /// Of a fit, instead of the effort's: at least 1. For tests and measurements.
    package var iterations: Int?

    public init() {}

    /// What `codec` and `effort` come to.
    public var chosenCodec: Codec { codec ?? (effort >= 4 ? .overfit : .hyperprior) }
  }

  public var options: Options

  public init(options: Options = Options()) { self.options = options }

  /// Encodes a picture; grey, alpha and metadata are kept. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError` for options or pictures that cannot be, and `CancellationError`.
  public func encode(_ image: Image) throws -> EncodedImage {
    try check(image)
    switch options.chosenCodec {
    case .hyperprior: return try hyperprior(image)
    case .overfit: return try OverfitEncoder(image, options: options).encode()
    }
  }

  private func hyperprior(_ image: Image) throws -> EncodedImage {
    let progress = ProgressReporter(report: options.progress)
    try progress.at(0, "analysis")
    let trial = try HyperpriorTrial(image, threads: Threads.resolve(options.threads))
    var steps = 0.0
    func step() throws {
      try progress.at(0.3 + 0.7 * steps / (steps + 3), "latents")
      steps += 1
    }
    let result: EncodedImage
    switch options.target {
    case .quality(let quality):
      try step()
      result = try trial.encode(quality: quality, measuring: options.measuresPSNR)
    case .bitsPerPixel(let wanted):
      result = try trial.nearest(bitsPerPixel: wanted, measuring: options.measuresPSNR, before: step)
    case .psnr(let wanted): result = try trial.nearest(psnr: wanted, before: step)
    case .lambda: preconditionFailure("check lets no lambda through")
    }
    try progress.at(1, "done")
    return result
  }

  /// How often each magnitude of symbol occurs under each scale index when `image` is coded at `quality`, [64, columns]
  /// with all larger magnitudes in the last column, for latents and hyper-latents: what a model's tables are made from.
  package func symbolCounts(of image: Image, quality: Int, columns: Int) throws -> (latents: [Int], hyper: [Int]) {
    let trial = try HyperpriorTrial(image, threads: Threads.resolve(options.threads))
    var counts = (latents: [Int](repeating: 0, count: 64 * columns), hyper: [Int](repeating: 0, count: 64 * columns))
    _ = try trial.encode(quality: quality, measuring: false) { symbols, indices, isHyper in
      for (symbol, index) in zip(symbols, indices) {
        let slot = Int(index) * columns + min(Int(symbol.magnitude), columns - 1)
        if isHyper { counts.hyper[slot] += 1 } else { counts.latents[slot] += 1 }
      }
    }
    return counts
  }

  private func check(_ image: Image) throws {
    guard image.pixelCount <= options.maxPixels else {
      throw CodecError(
        .limitExceeded,
        "\(image.width)x\(image.height) are more than the \(options.maxPixels) pixels allowed. Raise maxPixels, or make the picture smaller.")
    }
    switch options.target {
    case .quality(let q):
      guard (0...100).contains(q) else { throw CodecError(.invalidOption, "quality \(q) is not in 0...100") }
    case .bitsPerPixel(let x), .psnr(let x):
      guard x.isFinite, x > 0 else { throw CodecError(.invalidOption, "the target \(x) is not a positive number") }
    case .lambda(let x):
      guard x > 0, x <= 1 else { throw CodecError(.invalidOption, "lambda \(x) is not above 0 and at most 1") }
    }
    guard (1...9).contains(options.effort) else {
      throw CodecError(.invalidOption, "effort \(options.effort) is not in 1...9")
    }
    if let cost = options.decoderCost, !OverfitEffort.decoderCosts.contains(cost) {
      throw CodecError(.invalidOption, "the decoder cost \(cost) is none of 500, 1000, 2000 and 3000 multiplications a pixel")
    }
    if options.chosenCodec == .hyperprior {
      let advice = "Choose the overfitted codec, or an effort of 4 or more."
      if case .lambda = options.target {
        throw CodecError(.invalidOption, "the hyperprior has qualities but no lambda. \(advice)")
      }
      if options.decoderCost != nil {
        throw CodecError(.invalidOption, "the hyperprior has but one decoder cost. \(advice)")
      }
    }
  }
}

/// A finished file and what is known of it.
public struct EncodedImage: Sendable {
  /// How an overfitted picture came to be.
  public struct Fit: Sendable, Equatable {
    /// Of the loss at the fit's end; see `ImageEncoder.Target.lambda`.
    public let lambda: Double
    /// Iterations done, and how many the effort asks for: more where `finishesEarly` ended the fit.
    public let iterations: Int
    public let wantedIterations: Int
    /// What the fit's own estimate makes of the file.
    public let estimatedBytes: Double

    public var isComplete: Bool { iterations >= wantedIterations }
  }

  /// The whole `.ncb` file.
  public let bytes: [UInt8]
  public let codec: ImageEncoder.Codec
  /// 0...100; of an overfitted picture the one whose lambda is nearest.
  public let quality: Int
  /// 8 * bytes / pixels
  public let bitsPerPixel: Double
  /// Of the decoder's samples, in dB over all colour samples, infinite where nothing was lost; nil if it was not measured.
  public let psnr: Double?
  /// Nil for the hyperprior.
  public let fit: Fit?

  init(bytes: [UInt8], codec: ImageEncoder.Codec, quality: Int, bitsPerPixel: Double, psnr: Double?, fit: Fit? = nil) {
    (self.bytes, self.codec, self.quality) = (bytes, codec, quality)
    (self.bitsPerPixel, self.psnr, self.fit) = (bitsPerPixel, psnr, fit)
  }
}
