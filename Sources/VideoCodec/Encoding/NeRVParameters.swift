import Autograd
import Glibc

/// Weights and biases of a decoder under training, and what they are rounded to once that is on.
package struct NeRVParameters {
  /// A matrix or a list of biases: what the network computes with is what is trained, rounded, and of weights their initial values besides.
  package struct Rounded {
    package let trained, used: Parameter
    package let rounding: LearnedRounding
    /// Weights begin between plus and minus this; biases at 0.
    package let bound: Double
  }

  /// Of `NeRVArchitecture.layers`: [outputs * factor * factor, inputs * side * side], and a bias for each row.
  package let weights, biases: [Rounded]

  /// Biases are multiples of 2^-8, the last stage's of 2^-10.
  package static func biasFraction(isLast: Bool) -> Int { isLast ? 10 : 8 }

  /// Weights begin as `InitialWeights` between plus and minus this.
  package static func bound(_ stage: NeRVArchitecture.Stage) -> Double { 1 / Double(stage.inputs * stage.side * stage.side).squareRoot() }

  package init(_ architecture: NeRVArchitecture, appendingTo tape: Tape) {
    var (weights, biases): ([Rounded], [Rounded]) = ([], [])
    let layers = architecture.layers
    for (i, stage) in layers.enumerated() {
      var initial = InitialWeights(stage: i)
      let bound = Self.bound(stage)
      let (rows, columns, scale) = (stage.biasCount, stage.inputs * stage.side * stage.side, Float(bound) * 0x1p-23)
      let centre = Parameter("centres\(i)", rows: rows, columns: columns, values: (0..<stage.weightCount).map { _ in scale * Float(initial.next()) })
      func rounded(_ name: String, _ centre: Parameter?, _ rows: Int, _ columns: Int, groups: Int) -> Rounded {
        let trained = Parameter(name, rows: rows, columns: columns), used = Parameter("rounded \(name)", rows: rows, columns: columns)
        let rounding = tape.append(LearnedRounding(trained, into: used, centre: centre, groups: groups))
        return Rounded(trained: trained, used: used, rounding: rounding, bound: centre == nil ? 0 : bound)
      }
      weights.append(rounded("weights\(i)", centre, rows, columns, groups: stage.outputs))
      let bias = rounded("bias\(i)", nil, 1, rows, groups: 1)
      bias.rounding.logStep.value[0] = -Float(Self.biasFraction(isLast: i == layers.count - 1))
      biases.append(bias)
    }
    (self.weights, self.biases) = (weights, biases)
  }

  package var trained: [Parameter] { zip(weights, biases).flatMap { [$0.trained, $1.trained] } }
  package var steps: [Parameter] { weights.map(\.rounding.logStep) }

  /// Estimate of all weights' bits, once they are rounded.
  package var bits: Double { weights.reduce(0) { $0 + $1.rounding.bits } }

  /// By layer: what is trained of the weights, in steps.
  package var changes: [[Int16]] {
    weights.map { part in
      let inverse = 1 / part.rounding.step
      return (0..<part.trained.count).map { Int16(max(-16383, min(16383, (part.trained.value[$0] * inverse).rounded(.toNearestOrEven)))) }
    }
  }

  /// By layer: biases in their steps.
  var biasSteps: [[Int16]] {
    biases.map { part in part.trained.elements.map { Int16(max(-8191, min(8191, ($0 / part.rounding.step).rounded(.toNearestOrEven)))) } }
  }

  /// A number of an embedding, in steps, as it is coded.
  static func embedding(_ steps: Float) -> Int16 { Int16(max(-8191, min(8191, steps.rounded()))) }

  /// The last stage's biases, by which frames of a network that is not fitted yet have this mean of each channel, in 0...1.
  func begin(mean: [Double]) {
    let biases = self.biases[self.biases.count - 1].trained
    for channel in 0..<3 { biases.value[channel] = Float(atanh(max(-0.9, min(0.9, 2 * mean[channel] - 1)))) }
  }

  /// Steps that are a fraction of the weights' mean change.
  func beginRounding() {
    for part in weights { part.rounding.logStep.value[0] = log2f(part.trained.meanMagnitude / 4) }
  }
}

extension Parameter {
  fileprivate var meanMagnitude: Float { max((0..<count).reduce(0) { $0 + value[$1].magnitude } / Float(count), 1e-6) }
}
