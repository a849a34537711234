import Bitstream
import LatentCoding
import Media
import Metrics
import Tensors

/// One picture, analysed, to be coded at any quality.
struct HyperpriorTrial {
  let image: Image
  let model: HyperpriorModel
  let analysis: AnalysisModel
  let latents: AnalysisModel.Latents
  let alpha: [UInt8]?
  let threads: Int

  init(_ image: Image, threads: Int) throws {
    self.image = image
    self.threads = threads
    model = try Models.current.get()
    analysis = try Models.analysis.get()
    latents = try analysis.analyse(image, threads: threads)
    alpha = image.withUnsafeAlpha { $0.map { PlaneCoder.encode($0, width: image.width, height: image.height) } }
  }

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
      bytes: bytes, codec: .hyperprior, quality: quality,
      bitsPerPixel: 8 * Double(bytes.count) / Double(image.pixelCount), psnr: measuring ? measured(predictor) : nil)
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

  /// The trial whose value, which rises with quality, is nearest to `wanted`: bisection, at most 8 trials. `step` is called
  /// before each and may throw to stop.
  func nearest(
    bitsPerPixel wanted: Double, measuring: Bool = false, before step: () throws -> Void
  ) throws -> EncodedImage {
    try nearest(wanted, before: step) {
      let encoded = try encode(quality: $0, measuring: measuring)
      return (encoded, encoded.bitsPerPixel)
    }
  }

  func nearest(psnr wanted: Double, before step: () throws -> Void) throws -> EncodedImage {
    try nearest(wanted, before: step) {
      let encoded = try encode(quality: $0, measuring: true)
      return (encoded, encoded.psnr!)
    }
  }

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
