import Bitstream
import LatentCoding
import Media
import Metrics
import Tensors

/// Turns a picture into an `.ncb` file. One value may serve many tasks at once.
///
///     var options = ImageEncoder.Options()
///     options.target = .quality(60)
///     let encoded = try ImageEncoder(options: options).encode(image)
///
/// The bytes do not depend on the number of threads. The inverse is `ImageDecoder`.
public struct ImageEncoder: Sendable {
  public enum Target: Sendable, Equatable {
    /// 0 (smallest) to 100 (best).
    case quality(Int)
    /// Bits per pixel of the whole file; the nearest quality is taken.
    case bitsPerPixel(Double)
    /// PSNR in dB over all colour samples; the nearest quality is taken.
    case psnr(Double)
  }

  public struct Options: Sendable {
    public var target = Target.quality(50)
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?
    /// Whether `EncodedImage.psnr` is wanted where the target does not need it; costs a decoding.
    public var measuresPSNR = false
    /// Largest picture accepted, in pixels.
    public var maxPixels = 1 << 27
    /// Called as stages begin, on the encoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?

    public init() {}
  }

  public var options: Options

  public init(options: Options = Options()) { self.options = options }

  /// Encodes a picture; grey, alpha and metadata are kept. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError` for options or pictures that cannot be, and `CancellationError`.
  public func encode(_ image: Image) throws -> EncodedImage {
    try check(image)
    let progress = ProgressReporter(report: options.progress)
    try progress.at(0, "analysis")
    let trial = try trial(of: image)
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
      result = try nearest(wanted, before: step) {
        let encoded = try trial.encode(quality: $0, measuring: options.measuresPSNR)
        return (encoded, encoded.bitsPerPixel)
      }
    case .psnr(let wanted):
      result = try nearest(wanted, before: step) {
        let encoded = try trial.encode(quality: $0, measuring: true)
        return (encoded, encoded.psnr!)
      }
    }
    try progress.at(1, "done")
    return result
  }

  /// How often each magnitude of symbol occurs under each scale index when `image` is coded at `quality`, [64, columns]
  /// with all larger magnitudes in the last column, for latents and hyper-latents: what a model's tables are made from.
  package func symbolCounts(of image: Image, quality: Int, columns: Int) throws -> (latents: [Int], hyper: [Int]) {
    let trial = try trial(of: image)
    var counts = (latents: [Int](repeating: 0, count: 64 * columns), hyper: [Int](repeating: 0, count: 64 * columns))
    _ = try trial.encode(quality: quality, measuring: false) { symbols, indices, isHyper in
      for (symbol, index) in zip(symbols, indices) {
        let slot = Int(index) * columns + min(Int(symbol.magnitude), columns - 1)
        if isHyper { counts.hyper[slot] += 1 } else { counts.latents[slot] += 1 }
      }
    }
    return counts
  }

  private func trial(of image: Image) throws -> ImageTrial {
    let threads = Threads.resolve(options.threads)
    let analysis = try Models.analysis.get()
    return ImageTrial(
      image: image, model: try Models.current.get(), analysis: analysis,
      latents: try analysis.analyse(image, threads: threads),
      alpha: image.withUnsafeAlpha { $0.map { PlaneCoder.encode($0, width: image.width, height: image.height) } },
      threads: threads)
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
    }
  }

  /// The quality whose value, which rises with quality, is nearest to `wanted`: bisection, at most 8 trials.
  private func nearest(
    _ wanted: Double, before step: () throws -> Void, _ trial: (Int) throws -> (EncodedImage, Double)
  ) throws -> EncodedImage {
    var (low, high) = (-1, 101)
    var best: (EncodedImage, miss: Double)?
    while high - low > 1 {
      let quality = (low + high) / 2
      try step()
      let (encoded, value) = try trial(quality)
      if best == nil || abs(value - wanted) < best!.miss { best = (encoded, abs(value - wanted)) }
      if value < wanted { low = quality } else { high = quality }
    }
    return best!.0
  }
}

/// A finished file and what is known of it.
public struct EncodedImage: Sendable {
  /// The whole `.ncb` file.
  public let bytes: [UInt8]
  /// 0...100
  public let quality: Int
  /// 8 * bytes / pixels
  public let bitsPerPixel: Double
  /// In dB over all colour samples, infinite where nothing was lost; nil if it was not measured.
  public let psnr: Double?
}

/// One picture, analysed, to be coded at any quality.
private struct ImageTrial {
  let image: Image
  let model: HyperpriorModel
  let analysis: AnalysisModel
  let latents: AnalysisModel.Latents
  let alpha: [UInt8]?
  let threads: Int

  /// `observe` sees every batch of symbols with their scale indices: hyper-latents, then the parts of the passes.
  func encode(
    quality: Int, measuring: Bool, observe: ((_ symbols: [Int16], _ indices: [UInt8], _ isHyper: Bool) -> Void)? = nil
  ) throws -> EncodedImage {
    let grid = latents.latents.shape
    let predictor = HyperpriorPredictor(
      model: model, quality: quality, height: grid.height, width: grid.width, threads: threads)
    let quantiser = LatentQuantiser(model: model, analysis: analysis, quality: quality)
    var writer = LatentWriter()
    let hyper = hyperSymbols(quality: quality)
    writer.append(hyper, indices: predictor.hyperIndices, tables: model.hyperTables)
    observe?(hyper, predictor.hyperIndices, true)
    predictor.setHyperLatents(hyper)
    for pass in 0..<QuadTreeOrder.passes {
      try Task.checkCancellation()
      predictor.run(pass: pass) { prediction in
        let symbols = quantiser.symbols(for: prediction, of: latents.latents, threads: threads)
        writer.append(symbols, indices: prediction.indices, tables: model.latentTables)
        observe?(symbols, prediction.indices, false)
        return symbols
      }
    }
    let payload = ImagePayload(alpha: alpha.map { $0[...] }, latents: writer.finish()[...])
    let bytes = try file(payload.serialised(), quality: quality)
    return EncodedImage(
      bytes: bytes, quality: quality, bitsPerPixel: 8 * Double(bytes.count) / Double(image.pixelCount),
      psnr: measuring ? measured(predictor) : nil)
  }

  private func hyperSymbols(quality: Int) -> [Int16] {
    let gain = analysis.hyperGain[quality]
    let z = latents.hyperLatents
    return (0..<z.shape.count).map { i in
      let value = (z.pointer[i] * gain[gain.startIndex + i % gain.count]).rounded()
      return Int16(min(max(value, -16384), 16384))
    }
  }

  private func file(_ payload: [UInt8], quality: Int) throws -> [UInt8] {
    let configuration = ImageConfiguration(
      width: UInt16(image.width), height: UInt16(image.height), colour: image.colour == .grey ? .grey : .rgb,
      hasAlpha: alpha != nil, sRGB: image.metadata.sRGB, quality: UInt8(quality))
    let track = TrackHeader(
      modality: .image, codec: CodecID.hyperpriorImage, model: model.modelID,
      configuration: try configuration.serialised()[...])
    return try Container(
      tracks: [track], metadata: image.metadata.chunks(track: 0), payloads: [Payload(data: payload[...])]
    ).serialised()
  }

  /// Decodes what the predictor holds, as the decoder would, and compares.
  private func measured(_ predictor: HyperpriorPredictor) -> Double {
    var rgb = [UInt8](repeating: 0, count: 3 * image.pixelCount)
    rgb.withUnsafeMutableBufferPointer {
      predictor.synthesise(predictor.latents(), width: image.width, height: image.height, into: $0)
    }
    let samples = image.colour == .grey ? ImageDecoder.grey(rgb) : rgb
    // Sizes are those of `image`, so the decoded picture can be made.
    let decoded = try! Image(width: image.width, height: image.height, colour: image.colour, samples: samples)
    return try! psnr(image, decoded)
  }
}
