import Fitting
import Glibc

/// Rounds a fitted network's numbers to any steps, so that those that come later make up for the errors of those before, and
/// numbers that cost bits and change little go back to the prior.
package struct OverfitNetworkRounding {
  /// Numbers that are rounded together, in the order in which that is done.
  private struct Block {
    let places: [Int]
    let rounding: CompensatedRounding
  }

  private let architecture: OverfitArchitecture
  private let groups: [OverfitGroup]
  /// By parameter.
  private let groupOf: [Int]
  private let prior: OverfitPrior
  private let floats: [Float]
  /// What a bit adds to the loss.
  private let perBit: Double
  private let blocks: [Block]

  /// Shares of the diagonal that are added to it, as the matrices are estimates.
  private static let damping = 0.05
  /// Added to the diagonals, times what a bit costs: the loss is no parabola, and numbers that hardly change it shall not go far
  /// to make up for others. Without, rounding at lambda 0.02 makes the loss of kodim23 10 % higher instead of 4 % lower.
  private static let stiffness = (context: 300.0, synthesis: 3000.0)
  /// Passes, each with the scales that fit the last one's integers.
  private static let passes = 2

  /// - Parameter floats: the graph's numbers, where the loss has its minimum.
  package init(_ curvature: OverfitCurvature, _ graph: OverfitGraph, floats: [Float], prior: OverfitPrior) {
    architecture = graph.architecture
    groups = architecture.groups
    groupOf = groups.enumerated().flatMap { Array(repeating: $0.offset, count: $0.element.range.count) }
    self.prior = prior
    self.floats = floats
    perBit = graph.perBit
    // Weights first: biases can make up for them.
    let tensors = architecture.tensors
    let order = (tensors.filter { !$0.isBias } + tensors.filter(\.isBias)).flatMap { Array($0.range) }
    let split = curvature.context.size
    let context = order.filter { $0 < split }, synthesis = order.filter { $0 >= split }
    let stiffness = (context: Self.stiffness.context * perBit, synthesis: Self.stiffness.synthesis * perBit)
    blocks = [
      Block(
        places: context,
        rounding: CompensatedRounding(count: context.count, damping: Self.damping) { i, j in
          curvature.contextScale * Double(curvature.context[context[i], context[j]]) + (i == j ? stiffness.context : 0)
        }),
      Block(
        places: synthesis,
        rounding: CompensatedRounding(count: synthesis.count, damping: Self.damping) { i, j in
          curvature.synthesisScale * Double(curvature.synthesis[synthesis[i] - split, synthesis[j] - split])
            + (i == j ? stiffness.synthesis : 0)
        }),
    ]
  }

  /// By group, k of the step D = 2^-k that costs least by the parabola: with the second derivative c, errors between -D / 2 and D / 2
  /// cost c D^2 / 24 on average, and bits rise as log2(1 / D), so c D^2 / 12 is a bit's cost / ln 2.
  package var likelySteps: [Int] {
    var sums = [Double](repeating: 0, count: groups.count)
    for block in blocks {
      for (i, place) in block.places.enumerated() { sums[groupOf[place]] += block.rounding.curvature(i) }
    }
    return zip(groups, sums).map { group, sum in
      let step = (12 * perBit / M_LN2 * Double(group.range.count) / sum).squareRoot()
      return min(max(Int((-log2(step)).rounded()), 0), OverfitParameters.maximumStep)
    }
  }

  /// Parameters with these steps, by group; nil where they cannot be coded or no integer network holds them.
  package func rounded(steps: [Int]) -> OverfitParameters? {
    let cost = OverfitParameterCost.shared
    var integers: [Int32] = []
    for (group, step) in zip(groups, steps) {
      integers += OverfitParameters.quantised(floats, range: group.range, step: step, prior: prior)
    }
    func bases() -> [Int]? {
      let best = groups.map { cost.best(integers[$0.range], offsets: prior.offsets[$0.range]) }
      return best.allSatisfy(\.bits.isFinite) ? best.map(\.base) : nil
    }
    for _ in 0..<Self.passes {
      guard let bases = bases() else { return nil }
      for block in blocks {
        _ = block.rounding.round(block.places.map { Double(floats[$0]) }) { i, wanted, square in
          let place = block.places[i], step = steps[groupOf[place]]
          let scale = Double(1 << step), centre = prior.integer(place, step: step)
          let index = OverfitParameters.index(base: bases[groupOf[place]], offset: prior.offsets[place])
          let nearest = Int((min(max(wanted, -1024), 1024) * scale).rounded()) - centre
          var best = (cost: Double.infinity, n: nearest)
          for n in [nearest, nearest - 1, nearest + 1, 0] {
            let error = Double(centre + n) / scale - wanted
            let loss = square * error * error + perBit * Double(cost.bits(Int32(n), index: index))
            if loss < best.cost { best = (loss, n) }
          }
          integers[place] = Int32(best.n)
          return Double(centre + best.n) / scale
        }
      }
    }
    guard let bases = bases() else { return nil }
    let parameters = OverfitParameters(
      architecture: architecture, prior: prior, steps: steps, bases: bases, integers: integers)
    // Formats with few bits, which leave sums the most room.
    let isSound = (try? OverfitNetwork(parameters, formats: OverfitFormats(planes: 1, hidden: 1, outputs: 1))) != nil
    return isSound ? parameters : nil
  }
}
