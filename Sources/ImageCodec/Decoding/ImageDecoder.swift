import Bitstream
public import Coding
import EntropyCoding
import LatentCoding
import Media

/// Turns an `.ncb` file into its picture. One value may serve many tasks at once.
///
///     let image = try ImageDecoder().decode(bytes)
///
/// The same bytes give the same samples on every machine, at any number of threads. The inverse is `ImageEncoder`.
public struct ImageDecoder: Sendable {
  public struct Options: Sendable {
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?
    /// Largest picture accepted, in pixels.
    public var maxPixels = 1 << 27
    /// Most memory that decoding may take, in bytes, by an estimate made before anything is allocated.
    public var maxMemory = 4 << 30
    /// Called as stages begin, on the decoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?

    public init() {}
  }

  public var options: Options

  public init(options: Options = Options()) { self.options = options }

  /// Decodes the first image track. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError` for files that are damaged, too large, or need what this build lacks; `CancellationError`.
  public func decode(_ bytes: [UInt8]) throws -> Image {
    do {
      return try decodeTrack(bytes)
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as EntropyError {
      throw CodecError(.malformed, "the picture's data is damaged: \(error). Get the file again from where it came from.")
    }
  }

  private func decodeTrack(_ bytes: [UInt8]) throws -> Image {
    var limits = ContainerLimits()
    (limits.maxPixels, limits.maxMemory) = (options.maxPixels, options.maxMemory)
    let container = try Container(reading: bytes, limits: limits)
    guard let number = container.tracks.firstIndex(where: { $0.modality == .image }) else {
      throw CodecError(.noImage, "the file has no picture, only: \(container.tracks.map(\.modality.label).joined(separator: ", "))")
    }
    let track = container.tracks[number]
    guard [CodecID.hyperpriorImage, CodecID.overfittedImage].contains(track.codec) else {
      throw CodecError(.unsupported, "the picture is in codec \(track.codec), which is unknown here. Use a newer version of nccodec.")
    }
    let configuration = try ImageConfiguration(parsing: track.configuration, limits: limits)
    let units = container.payloads(ofTrack: UInt32(number))
    guard units.count == 1, let unit = units.first else {
      throw CodecError(.malformed, "the picture has \(units.count) payloads where it shall have one")
    }
    let payload = try ImagePayload.parse(
      unit, into: ImagePayload(alpha: configuration.hasAlpha ? [] : nil, latents: []), named: "picture")

    let progress = ProgressReporter(report: options.progress)
    let samples =
      track.codec == CodecID.overfittedImage
      ? try overfitted(payload, configuration, modelID: track.model, limits: limits, progress: progress)
      : try hyperprior(payload, configuration, modelID: track.model, limits: limits, progress: progress)
    let (width, height) = (Int(configuration.width), Int(configuration.height))
    let alpha = try payload.alpha.map { try PlaneCoder.decode(Array($0), width: width, height: height) }
    try progress.at(1, "done")
    return try Image(
      width: width, height: height, colour: configuration.colour == .grey ? .grey : .rgb, samples: samples,
      alpha: alpha, metadata: ImageMetadata(container.metadata, sRGB: configuration.sRGB, track: UInt32(number)))
  }

  /// The samples of a picture of codec 1, [height, width, channels].
  // bitstream-spec 8
  private func hyperprior(
    _ payload: ImagePayload, _ configuration: ImageConfiguration, modelID: UInt32, limits: ContainerLimits,
    progress: ProgressReporter
  ) throws -> [UInt8] {
    let model = try Models.decoder(modelID)
    try limits.check(memory: Self.memory(configuration), in: "picture")
    let (width, height) = (Int(configuration.width), Int(configuration.height))
    let predictor = HyperpriorPredictor(
      model: model, quality: Int(configuration.quality), height: (height + 15) / 16, width: (width + 15) / 16,
      threads: Threads.resolve(options.threads))
    try progress.at(0, "hyper-latents")
    var reader = try LatentReader(Array(payload.latents))
    predictor.setHyperLatents(try reader.read(indices: predictor.hyperIndices, tables: model.hyperTables))
    for pass in 0..<QuadTreeOrder.passes {
      try progress.at(0.05 + 0.1 * Double(pass), "latents")
      try predictor.run(pass: pass) { try reader.read(indices: $0.indices, tables: model.latentTables) }
    }
    try reader.finish()
    try progress.at(0.45, "synthesis")
    var rgb = [UInt8](repeating: 0, count: 3 * width * height)
    rgb.withUnsafeMutableBufferPointer {
      predictor.synthesise(predictor.latents(), width: width, height: height, into: $0)
    }
    return configuration.colour == .grey ? Self.grey(rgb) : rgb
  }

  /// The samples of a picture of codec 2, [height, width, channels].
  // bitstream-spec 9
  private func overfitted(
    _ payload: ImagePayload, _ configuration: ImageConfiguration, modelID: UInt32, limits: ContainerLimits,
    progress: ProgressReporter
  ) throws -> [UInt8] {
    let threads = Threads.resolve(options.threads)
    let stream = try OverfitStream.parse(
      payload.latents, width: Int(configuration.width), height: Int(configuration.height),
      outputs: configuration.colour.channels, modelID: modelID
    ) { try limits.check(memory: OverfitSynthesis.memory($0, threads: threads), in: "picture") }
    let network = try OverfitNetwork(stream.parameters, formats: stream.formats)
    let model = OverfitEntropyModel(network, threads: threads)
    let grids = try model.decode(stream) {
      try progress.at(0.7 * $0, "latents")
    }
    try progress.at(0.7, "synthesis")
    return OverfitSynthesis(network, threads: threads).samples(grids)
  }

  /// floor((R + G + B + 1) / 3) of each pixel.
  // bitstream-spec 8.5
  static func grey(_ rgb: [UInt8]) -> [UInt8] {
    rgb.withUnsafeBufferPointer { rgb in
      [UInt8](unsafeUninitializedCapacity: rgb.count / 3) { out, count in
        count = rgb.count / 3
        for i in 0..<count {
          let sum = UInt32(rgb[3 * i]) &+ UInt32(rgb[3 * i + 1]) &+ UInt32(rgb[3 * i + 2])
          out[i] = UInt8(truncatingIfNeeded: (sum &+ 1) / 3)
        }
      }
    }
  }

  /// Upper estimate of the memory for a picture, in bytes: activations take about 30 bytes a pixel, samples up to 10.
  private static func memory(_ configuration: ImageConfiguration) -> Int {
    let side = { (n: UInt16) in (Int(n) + 63) / 64 * 64 }
    return 48 * side(configuration.width) * side(configuration.height) + 32 << 20
  }
}
