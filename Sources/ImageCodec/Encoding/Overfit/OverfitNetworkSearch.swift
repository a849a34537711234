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

    func bits(_ number: Int, _ step: Int) -> Double {
      OverfitParameters.bits(of: original, group: groups[number], step: step, prior: prior).bits
    }
    /// `current` with one group rounded to a step.
    func floats(_ number: Int, _ step: Int) -> [Float] {
      var floats = current
      floats.replaceSubrange(
        groups[number].range,
        with: OverfitParameters.rounded(original, group: groups[number], step: step, prior: prior))
      return floats
    }
    func loss(_ floats: [Float]) throws -> Double {
      try trial()
      graph.floats = floats
      return graph.tape.forward(threads: threads, iteration: 0)
    }
    // Of `current`, without the parameters' bits.
    var standing = try loss(current)
    /// Moves one group's step for as long as the loss falls.
    func improve(_ number: Int) throws {
      let start = steps[number]
      var best = standing + perBit * bits(number, start)
      for direction in [-1, 1] {
        var step = start + direction
        while (0...OverfitParameters.maximumStep).contains(step) {
          let bits = bits(number, step)
          guard bits.isFinite else { break }
          let floats = floats(number, step)
          let value = try loss(floats)
          if value + perBit * bits >= best { break }
          (best, standing, current, steps[number]) = (value + perBit * bits, value, floats, step)
          step += direction
        }
        if steps[number] != start { break }
      }
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
