import Autograd
import Glibc

/// From fitted numbers to integers: which step each group of parameters is coded in. Groups are taken in turn, and a
/// group's step moves, from where it stands, while the whole loss with the parameters' own bits falls. (Cool-chic searches
/// all steps of a module's weights and biases.)
package struct OverfitNetworkSearch {
  let graph: OverfitGraph
  let prior: OverfitPrior
  let threads: Int

  package init(graph: OverfitGraph, prior: OverfitPrior, threads: Int) {
    (self.graph, self.prior, self.threads) = (graph, prior, threads)
  }

  private var architecture: OverfitArchitecture { graph.architecture }
  private var perBit: Double { graph.lambda / (Double(architecture.width) * Double(architecture.height)) }

  /// A step 2^-k that usually does, to start from.
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

  /// Leaves the graph with the rounded numbers. `step` is called before each trial and may throw to stop.
  package func quantise(before trial: () throws -> Void) throws -> OverfitParameters {
    let original = graph.floats
    let groups = architecture.groups
    // Where bits count little, finer steps do.
    let finer = max(0, Int((log2(0.001 / graph.lambda) / 2).rounded()))
    var steps = groups.map { min(Self.usualStep($0.kind) + finer, OverfitParameters.maximumStep) }
    var current = original
    for (number, group) in groups.enumerated() {
      current.replaceSubrange(
        group.range, with: OverfitParameters.rounded(original, group: group, step: steps[number], prior: prior))
    }
    graph.setRounding(.plain)
    let weight = graph.network.weight
    graph.network.weight = 0  // counted exactly here
    defer { graph.network.weight = weight }

    func loss(_ number: Int, _ step: Int) throws -> Double {
      let group = groups[number]
      let bits = OverfitParameters.bits(of: original, group: group, step: step, prior: prior).bits
      guard bits.isFinite else { return .infinity }
      try trial()
      var floats = current
      floats.replaceSubrange(
        group.range, with: OverfitParameters.rounded(original, group: group, step: step, prior: prior))
      graph.floats = floats
      return graph.tape.forward(threads: threads, iteration: 0) + perBit * bits
    }
    /// Moves one group's step for as long as the loss falls.
    func improve(_ number: Int) throws {
      var best = (step: steps[number], loss: try loss(number, steps[number]))
      for direction in [-1, 1] {
        let start = best.step
        var step = start + direction
        while (0...OverfitParameters.maximumStep).contains(step) {
          let value = try loss(number, step)
          if value >= best.loss { break }
          best = (step, value)
          step += direction
        }
        if best.step != start { break }
      }
      steps[number] = best.step
      current.replaceSubrange(
        groups[number].range,
        with: OverfitParameters.rounded(original, group: groups[number], step: best.step, prior: prior))
    }
    // Groups that come first are tried beside others that have not moved yet, so all are tried twice.
    for _ in 0..<2 {
      let before = steps
      for number in groups.indices { try improve(number) }
      if steps == before { break }
    }
    graph.floats = current
    return try OverfitParameters.quantised(original, architecture: architecture, prior: prior, steps: steps)
  }
}
