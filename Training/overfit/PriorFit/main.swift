// Fits one set of networks to a mosaic of many pictures, at five lambdas: the priors of codec 2. See ../README.md.
import ArgumentParser
import Autograd
import Fitting
import Glibc
@preconcurrency import ImageCodec
import Media
import MediaIO
import Tensors

@main
struct PriorFit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overfitprior",
    abstract: "Fit the overfitted codec's networks to a mosaic of pictures, for use as a prior.",
    discussion: """
      Writes OUT/MODEL.PRESET.f32 for models 1 to 5, or with --joined 6 to 10: parameters in the order of bitstream-spec 9.3 for \
      the grids of a 768x512 picture. Files that are there already are taken as they are, so that a run can be resumed.

      Example: overfitprior mosaic.png --cost 2000 --joined --out priors
      """)

  @Argument(help: "A picture.") var mosaic: String
  @Option(help: "500, 1000, 2000 or 3000 MAC/pixel.") var cost = 2000
  @Flag(help: "With joined hyper-latents.") var joined = false
  @Option(help: "Folder to write to; it has to exist.") var out: String
  @Option(help: "Iterations of a fit.") var iterations = 700
  @Flag(help: "With --joined: start from random networks, not from model 3.") var fresh = false
  @Option(help: "Of the random numbers that the first fit starts from.") var seed: UInt64 = 1
  @Option var threads = 2

  func run() throws {
    guard let preset = OverfitArchitecture.Preset.allCases.first(where: { $0.cost == cost }) else {
      throw ValidationError("no networks of \(cost) MAC/pixel")
    }
    let image = try ImageReader.read(FileIO.read(mosaic)).image
    guard image.channels == 3 else { throw ValidationError("the mosaic has to be in colour") }
    let target = OverfitGraph.target(of: image)
    var all = OverfitArchitecture(preset: preset, width: 768, height: 512, joined: joined)
    (all.width, all.height) = (image.width, image.height)

    // Model 3 comes from random networks, model 8 from model 3 or random ones, and the others of each five from these. Latents
    // always start from zero: those that were fitted to a higher rate do not become sparse. At low rates the codec leaves out
    // level 0, so what belongs to it stays as it was, for the few pictures that need it all the same.
    let middle = try networks(ofModel: 3, preset) { try fit(start(all), all, target, model: 3) }
    var coarse = all
    coarse.latentMask &= ~1
    for (model, architecture) in [(4, all), (5, all), (2, coarse), (1, coarse)] {
      _ = try networks(ofModel: model, preset) {
        let start = middle.moved(from: all, to: architecture).values
        let (values, taken) = try fit(start, architecture, target, model: model).moved(from: architecture, to: all)
        return middle.indices.map { taken[$0] ? values[$0] : middle[$0] }
      }
    }
  }

  /// Random networks, or those of model 3 and small random weights for joined hyper-latents.
  private func start(_ architecture: OverfitArchitecture) -> [Float] {
    guard joined, !fresh, let prior = try? OverfitPrior(modelID: 3, for: architecture) else {
      return OverfitGraph.start(architecture, prior: OverfitPrior(noneFor: architecture), seed: seed)
    }
    var values = OverfitGraph.start(architecture, prior: prior, seed: seed)
    var random = SplitMix64(seed: seed)
    let weights = architecture.tensors.first { $0.role == .synthesisFirst && !$0.isBias }!
    for i in weights.range where values[i] == 0 { values[i] = 0.07 * random.nextSigned() }
    return values
  }

  /// A model's networks: those of its file, or else what `fit` gives, which then are written.
  private func networks(
    ofModel model: Int, _ preset: OverfitArchitecture.Preset, fit: () throws -> [Float]
  ) throws -> [Float] {
    let path = "\(out)/\(model + (joined ? 5 : 0)).\(preset).f32"
    let count = OverfitArchitecture(preset: preset, width: 768, height: 512, joined: joined).parameterCount
    if let bytes = try? FileIO.read(path), bytes.count == 4 * count {
      return bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
    let networks = try fit()
    try networks.withUnsafeBytes { try FileIO.write(Array($0), to: path) }
    return networks
  }

  /// Fits networks from `start` and latents from zero.
  private func fit(_ start: [Float], _ architecture: OverfitArchitecture, _ target: Variable, model: Int) throws -> [Float] {
    let lambda = OverfitPrior.lambdas[model - 1]
    let graph = OverfitGraph(architecture, target: target, initial: start, prior: OverfitPrior(noneFor: architecture), lambda: lambda)
    graph.pull = 0
    var schedule = OverfitEffort(9, decoderCost: cost, iterations: iterations).schedule(lambda: lambda)
    schedule.latentEps = graph.latentEps
    let fit = Fit(graph.tape, roundings: graph.grids.map(\.rounding), parameters: graph.parameters, schedule: schedule)
    while !fit.isDone {
      graph.lambda = lambda * Double(fit.rateFactor)
      fit.step(threads: threads)
    }
    graph.lambda = lambda
    let result = graph.evaluate(threads: threads)
    let pixels = Double(architecture.width * architecture.height)
    print("model \(model + (joined ? 5 : 0)), lambda \(lambda): loss \(1000 * result.loss), bpp \(result.bits / pixels), PSNR \(result.psnr)")
    fflush(nil)
    return graph.floats
  }
}

extension [Float] {
  /// Networks of one set of grids for another, and which numbers the first has.
  fileprivate func moved(from source: OverfitArchitecture, to target: OverfitArchitecture) -> (values: [Float], taken: [Bool]) {
    let ones = [Int8](repeating: 1, count: count)
    let moved = OverfitPriorTables.adapted(map { Int32(($0 * 65536).rounded()) }, ones, from: source, to: target)
    return (moved.values.map { Float($0) / 65536 }, moved.offsets.map { $0 == 1 })
  }
}
