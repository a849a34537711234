import Fitting
import ImageCodec
import Media
import Testing

/// Rounding of fitted networks.
@Suite struct OverfitNetworkTests {
  /// A graph after few iterations, its latents rounded.
  private func fitted(_ preset: OverfitArchitecture.Preset, width: Int, height: Int, lambda: Double) throws -> (OverfitGraph, OverfitPrior) {
    let image = try picture(width: width, height: height)
    let architecture = OverfitArchitecture(preset: preset, width: width, height: height)
    let prior = OverfitPrior.trained(for: lambda, architecture)[0]
    let graph = OverfitGraph(
      architecture, target: OverfitGraph.target(of: image),
      initial: OverfitGraph.start(architecture, prior: prior, seed: 1), prior: prior, lambda: lambda)
    var schedule = FitSchedule(iterations: 100, settling: 10)
    schedule.latentEps = graph.latentEps
    let fit = Fit(graph.tape, roundings: graph.grids.map(\.rounding), parameters: graph.parameters, schedule: schedule)
    while !fit.isDone { fit.step(threads: 2) }
    _ = graph.evaluate(threads: 2)
    return (graph, prior)
  }

  /// Rounding with the curvature in mind loses less than rounding to the nearest steps, bits counted.
  @Test(arguments: [(OverfitArchitecture.Preset.low, 0.001), (.high, 0.01)])
  func laterNumbersMakeUp(preset: OverfitArchitecture.Preset, lambda: Double) throws {
    let (graph, prior) = try fitted(preset, width: 160, height: 130, lambda: lambda)
    let floats = graph.floats, grids = graph.roundedGrids
    let curvature = OverfitCurvature(graph, grids: grids, prior: prior, probes: 40, threads: 2) {}
    let rounding = OverfitNetworkRounding(curvature, graph, floats: floats, prior: prior)
    graph.network.weight = 0
    let perBit = lambda / Double(160 * 130)
    func loss(_ parameters: OverfitParameters) -> Double {
      graph.floats = parameters.floats
      return graph.tape.forward(threads: 2, iteration: 0) + perBit * parameters.bits
    }
    let steps = rounding.likelySteps
    let rounded = try #require(rounding.rounded(steps: steps))
    #expect(rounded.steps == steps)
    graph.floats = floats
    let before = graph.tape.forward(threads: 2, iteration: 0)
    let nearest = try OverfitParameters.quantised(floats, architecture: graph.architecture, prior: prior, steps: steps)
    let lost = loss(rounded) - before, lostNearest = loss(nearest) - before
    #expect(lost < 0.7 * lostNearest, "\(lost), to the nearest \(lostNearest), of \(before)")
    // Not because the steps are bad.
    graph.floats = floats
    let usual = loss(try OverfitNetworkSearch(graph: graph, prior: prior, probes: 40, threads: 2).quantise {}) - before
    #expect(usual <= lost, "\(usual) after the search")
  }

  @Test func threadsChangeNothing() throws {
    let (graph, prior) = try fitted(.low, width: 150, height: 70, lambda: 0.002)
    let floats = graph.floats
    let parameters = try [1, 2, 3, 7].map { threads in
      graph.floats = floats
      return try OverfitNetworkSearch(graph: graph, prior: prior, probes: 6, threads: threads).quantise {}
    }
    for other in parameters.dropFirst() { #expect(other == parameters[0]) }
  }
}
