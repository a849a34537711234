import Autograd
import Glibc

/// Weights and biases of a decoder under training, and what they are rounded to once that is on.
package struct NeRVParameters {
  /// A matrix or a list of biases: what the network computes with is what is trained, rounded, and of weights their initial values besides.
  package struct Rounded {
    package let trained, used: Parameter
    /// What the network would compute with if all that is trained were 0.
    package let centre: Parameter
    package let rounding: LearnedRounding
    /// Weights begin between plus and minus this; biases at 0.
    package let bound: Double
  }

  /// Of `NeRVArchitecture.layers`: [outputs * factor * factor, inputs * side * side], and a bias for each row.
  package let weights, biases: [Rounded]

  /// Biases are multiples of 2^-8, the last stage's of 2^-10.
  package static func biasFraction(isLast: Bool) -> Int { isLast ? 10 : 8 }

  /// Weights begin as `InitialWeights` between plus and minus this.
  package static func bound(_ stage: NeRVArchitecture.Stage) -> Double { 1 / Double(stage.columns).squareRoot() }

  package init(_ architecture: NeRVArchitecture, appendingTo tape: Tape) {
    var (weights, biases): ([Rounded], [Rounded]) = ([], [])
    let layers = architecture.layers
    for (i, stage) in layers.enumerated() {
      var initial = InitialWeights(stage: i)
      let bound = Self.bound(stage)
      let (rows, columns, scale) = (stage.biasCount, stage.columns, Float(bound) * 0x1p-23)
      let centre = Parameter("centres\(i)", rows: rows, columns: columns, values: (0..<stage.weightCount).map { _ in scale * Float(initial.next()) })
      func rounded(_ name: String, _ centre: Parameter, bound: Double, groups: Int) -> Rounded {
        let (rows, columns) = (centre.rows, centre.columns)
        let trained = Parameter(name, rows: rows, columns: columns), used = Parameter("rounded \(name)", rows: rows, columns: columns)
        let rounding = tape.append(LearnedRounding(trained, into: used, centre: centre, groups: groups))
        return Rounded(trained: trained, used: used, centre: centre, rounding: rounding, bound: bound)
      }
      weights.append(rounded("weights\(i)", centre, bound: bound, groups: stage.outputs))
      let bias = rounded("bias\(i)", Parameter("centres of bias\(i)", rows: 1, columns: rows), bound: 0, groups: 1)
      bias.rounding.logStep.value[0] = -Float(Self.biasFraction(isLast: i == layers.count - 1))
      biases.append(bias)
    }
    (self.weights, self.biases) = (weights, biases)
  }

  package var trained: [Parameter] { zip(weights, biases).flatMap { [$0.trained, $1.trained] } }
  package var steps: [Parameter] { weights.map(\.rounding.logStep) }

  /// Estimate of all weights' bits, once they are rounded.
  package var bits: Double { bits(withBiases: false) }

  func bits(withBiases: Bool) -> Double { (weights + (withBiases ? biases : [])).reduce(0) { $0 + $1.rounding.bits } }

  /// What is trained, in steps.
  package var numbers: CodedNumbers {
    CodedNumbers(weights: weights.map { $0.steps(limit: 16383) }, biases: biases.map { $0.steps(limit: 8191) })
  }

  /// Goes on from a group's numbers: those become what is known, and what is trained their change.
  func begin(after numbers: CodedNumbers) {
    for (i, part) in weights.enumerated() {
      var initial = InitialWeights(stage: i)
      let (scale, step) = (Float(part.bound) * 0x1p-23, part.rounding.step)
      for k in 0..<part.centre.count { part.centre.value[k] = scale * Float(initial.next()) + step * Float(numbers.weights[i][k]) }
    }
    for (i, part) in biases.enumerated() { for k in 0..<part.centre.count { part.centre.value[k] = part.rounding.step * Float(numbers.biases[i][k]) } }
    for parameter in trained { parameter.value.update(repeating: 0, count: parameter.count) }
  }

  /// A number of an embedding, in steps, as it is coded.
  static func embedding(_ steps: Float) -> Int16 { Int16(max(-8191, min(8191, steps.rounded()))) }

  /// Sets the last stage's biases, by which frames of a network that is not fitted yet have this mean of each channel, in 0...1.
  func begin(mean: [Double]) {
    let biases = self.biases[self.biases.count - 1].trained
    for channel in 0..<biases.count { biases.value[channel] = Float(atanh(max(-0.9, min(0.9, 2 * mean[channel % 3] - 1)))) }
  }

  /// Steps that are a fraction of the weights' mean change.
  func beginRounding() {
    for part in weights { part.rounding.logStep.value[0] = log2f(part.trained.meanMagnitude / 4) }
  }
}

extension NeRVParameters.Rounded {
  fileprivate func steps(limit: Float) -> [Int16] {
    let inverse = 1 / rounding.step
    return (0..<trained.count).map { Int16(max(-limit, min(limit, (trained.value[$0] * inverse).rounded(.toNearestOrEven)))) }
  }
}

extension Parameter {
  fileprivate var meanMagnitude: Float { max((0..<count).reduce(0) { $0 + value[$1].magnitude } / Float(count), 1e-6) }
}
