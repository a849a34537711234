import Autograd
import Coding

/// From fitted numbers to integers: which step each group of parameters is coded in. From the steps that the loss's curvature
/// suggests, all steps, then each group's in turn, move while the whole loss with the parameters' own bits falls.
package struct OverfitNetworkSearch {
  let graph: OverfitGraph
  let prior: OverfitPrior
  let threads: Int
  /// Of each crop, for the curvature.
  let probes: Int

  package init(graph: OverfitGraph, prior: OverfitPrior, probes: Int, threads: Int) {
    (self.graph, self.prior, self.probes, self.threads) = (graph, prior, probes, threads)
  }

  /// A step 2^-k that usually does, for estimates during the fit.
  static func usualStep(_ kind: OverfitGroupKind) -> Int {
    switch kind {
    case .contextWeights, .contextBiases: 6
    case .featureWeights, .featureBiases: 5
    case .upsampling: 8
    case .firstWeights, .secondWeights, .synthesisBiases: 8
    case .convolution0Weights, .convolution1Weights, .convolution2Weights: 7
    case .stabiliserWeights: 9
    }
  }

  /// Leaves the graph with the rounded numbers. `trial` is called before each step of the work and may throw to stop.
  ///
  /// Throws `CodecError` (invalidOption) where no steps do.
  package func quantise(before trial: () throws -> Void) throws -> OverfitParameters {
    _ = graph.evaluate(threads: threads)
    let curvature = try OverfitCurvature(
      graph, grids: graph.roundedGrids, prior: prior, probes: probes, threads: threads, before: trial)
    let rounding = OverfitNetworkRounding(curvature, graph, floats: graph.floats, prior: prior)
    let weight = graph.network.weight
    graph.network.weight = 0  // counted exactly here
    defer { graph.network.weight = weight }

    var best: (parameters: OverfitParameters, loss: Double)?
    /// Whether these steps are the best so far.
    func improves(_ steps: [Int]) throws -> Bool {
      guard steps.allSatisfy({ (0...OverfitParameters.maximumStep).contains($0) }) else { return false }
      guard let parameters = rounding.rounded(steps: steps) else { return false }
      try trial()
      graph.floats = parameters.floats
      let loss = graph.tape.forward(threads: threads, iteration: 0) + graph.perBit * parameters.bits
      if let best, loss >= best.loss { return false }
      best = (parameters, loss)
      return true
    }
    // Steps that are too fine make numbers too large.
    var steps = rounding.likelySteps
    while try !improves(steps) {
      guard steps.contains(where: { $0 > 0 }) else {
        throw CodecError(.invalidOption, "the networks' numbers have become too large to code. Try another lambda or effort.")
      }
      steps = steps.map { max($0 - 1, 0) }
    }
    /// Moves the steps of some groups together.
    func move(_ isOne: (Int) -> Bool) throws {
      for change in [-1, 1] {
        var moved = false
        while try improves(best!.parameters.steps.enumerated().map { isOne($0.offset) ? $0.element + change : $0.element }) { moved = true }
        if moved { return }
      }
    }
    try move { _ in true }
    for number in steps.indices { try move { $0 == number } }
    graph.floats = best!.parameters.floats
    return best!.parameters
  }
}
