import Autograd
import Glibc

/// Weights and biases of a decoder under training, and what they are rounded to once that is on.
package struct NeRVParameters {
  /// A matrix or a list of biases.
  package struct Rounded {
    /// What is trained, and what the network computes with.
    package let trained, used: Parameter
    package let rounding: LearnedRounding
  }

  /// By stage: [outputs * factor * factor, inputs * side * side], and a bias for each row.
  package let weights, biases: [Rounded]

  /// Biases are multiples of 2^-8, the last stage's of 2^-10.
  package static func biasFraction(isLast: Bool) -> Int { isLast ? 10 : 8 }

  /// Uniform between plus and minus 1 / sqrt(inputs of a sum), weights and biases.
  package init(_ architecture: NeRVArchitecture, seed: UInt64, appendingTo tape: Tape) {
    var random = SplitMix64(seed: seed)
    func rounded(_ name: String, _ rows: Int, _ columns: Int, _ bound: Float, groups: Int) -> Rounded {
      let trained = Parameter(name, rows: rows, columns: columns, values: (0..<rows * columns).map { _ in bound * random.nextSigned() })
      let used = Parameter("rounded \(name)", rows: rows, columns: columns)
      return Rounded(trained: trained, used: used, rounding: tape.append(LearnedRounding(trained, into: used, groups: groups)))
    }
    var (weights, biases): ([Rounded], [Rounded]) = ([], [])
    for (i, stage) in architecture.stages.enumerated() {
      let terms = stage.inputs * stage.side * stage.side
      let bound = 1 / Float(terms).squareRoot()
      weights.append(rounded("weights\(i)", stage.biasCount, terms, bound, groups: stage.outputs))
      let bias = rounded("bias\(i)", 1, stage.biasCount, bound, groups: 1)
      bias.rounding.logStep.value[0] = -Float(Self.biasFraction(isLast: i == architecture.stages.count - 1))
      biases.append(bias)
    }
    (self.weights, self.biases) = (weights, biases)
  }

  package var trained: [Parameter] { zip(weights, biases).flatMap { [$0.trained, $1.trained] } }
  package var steps: [Parameter] { weights.map(\.rounding.logStep) }

  /// Estimate of all weights' bits, once they are rounded.
  package var bits: Double { weights.reduce(0) { $0 + $1.rounding.bits } }

  /// Rounds from now on, weights at first to steps of a fraction of their mean magnitude. Each bit adds `weight` to the loss.
  package func beginRounding(weight: Double) {
    for part in weights {
      part.rounding.logStep.value[0] = log2f(part.trained.meanMagnitude / 4)
      part.rounding.weight = weight
      part.rounding.isOn = true
    }
    for part in biases { part.rounding.isOn = true }
  }
}

extension Parameter {
  fileprivate var meanMagnitude: Float { max((0..<count).reduce(0) { $0 + value[$1].magnitude } / Float(count), 1e-6) }
}
