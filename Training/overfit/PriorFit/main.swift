// Fits one set of networks to a mosaic of many pictures, at five lambdas: the priors of codec 2. See ../README.md.
import ArgumentParser
import Autograd
import Fitting
import Glibc
@preconcurrency import ImageCodec
import Media
import MediaIO

@main
struct PriorFit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overfitprior",
    abstract: "Fit the overfitted codec's networks to a mosaic of pictures, for use as a prior.",
    discussion: """
      Writes OUT/MODEL.PRESET.f32 for models 1 to 5: parameters in the order of bitstream-spec 9.3 for the grids of a \
      768x512 picture. Files that are there already are taken as they are, so that a run can be resumed.

      Example: overfitprior mosaic.png --cost 2000 --out priors
      """)

  @Argument(help: "A picture.") var mosaic: String
  @Option(help: "500, 1000, 2000 or 3000 MAC/pixel.") var cost = 2000
  @Option(help: "Folder to write to; it has to exist.") var out: String
  @Option(help: "Iterations of the first fit; the others take a share of them.") var iterations = 600
  @Option var threads = 2

  /// By model, from 1.
  static let lambdas = [0.02, 0.004, 0.001, 0.0004, 0.0001]

  func run() throws {
    guard let preset = OverfitArchitecture.Preset.allCases.first(where: { $0.cost == cost }) else {
      throw ValidationError("no networks of \(cost) MAC/pixel")
    }
    let image = try ImageReader.read(FileIO.read(mosaic)).image
    guard image.channels == 3 else { throw ValidationError("the mosaic has to be in colour") }
    let architecture = OverfitArchitecture(preset: preset, width: image.width, height: image.height)
    let target = OverfitGraph.target(of: image)
    let start = OverfitGraph.start(architecture, prior: OverfitPrior(noneFor: architecture), seed: 1)

    // Model 3 from nothing; 4 and 5 go on from its latents and networks; 2 and 1 from networks alone, because latents
    // that were fitted to a higher rate do not become sparse.
    var graph = self.graph(architecture, target, start)
    try fit(graph, model: 3, iterations, from: 0.6, preset)
    let third = graph.floats
    try fit(graph, model: 4, iterations / 4, from: 0.35, preset)
    try fit(graph, model: 5, iterations / 3, from: 0.35, preset)
    graph = self.graph(architecture, target, third)
    try fit(graph, model: 2, iterations * 2 / 3, from: 0.6, preset)
    graph = self.graph(architecture, target, graph.floats)
    try fit(graph, model: 1, iterations * 2 / 3, from: 0.6, preset)
  }

  private func graph(_ a: OverfitArchitecture, _ target: Variable, _ initial: [Float]) -> OverfitGraph {
    let graph = OverfitGraph(a, target: target, initial: initial, prior: OverfitPrior(noneFor: a), lambda: 0.001)
    graph.pull = 0
    return graph
  }

  private func fit(
    _ graph: OverfitGraph, model: Int, _ iterations: Int, from temperature: Float, _ preset: OverfitArchitecture.Preset
  ) throws {
    let path = "\(out)/\(model).\(preset).f32"
    if let bytes = try? FileIO.read(path), bytes.count == 4 * graph.floats.count {
      graph.floats = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
      return
    }
    graph.lambda = Self.lambdas[model - 1]
    var schedule = FitSchedule(iterations: iterations, settling: 0)
    schedule.latentEps = graph.latentEps
    schedule.temperature = (temperature, 0.08)
    schedule.latentRate = temperature > 0.5 ? 0.03 : 0.01
    schedule.weightRate = temperature > 0.5 ? 0.01 : 0.004
    let fit = Fit(graph.tape, roundings: graph.grids.map(\.rounding), parameters: graph.parameters, schedule: schedule)
    while !fit.isDone { fit.step(threads: threads) }
    let result = graph.evaluate(threads: threads)
    let pixels = Double(graph.architecture.width * graph.architecture.height)
    print("model \(model) \(preset) lambda \(graph.lambda): bpp \(result.bits / pixels), PSNR \(result.psnr)")
    try graph.floats.withUnsafeBytes { try FileIO.write(Array($0), to: path) }
  }
}
