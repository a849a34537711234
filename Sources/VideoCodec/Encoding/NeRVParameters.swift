import Autograd

/// Weights and biases of a decoder under training.
package struct NeRVParameters {
  /// By stage: [outputs * factor * factor, inputs * side * side], and a bias for each row.
  package let weights, biases: [Parameter]

  /// Uniform between plus and minus 1 / sqrt(inputs of a sum), weights and biases.
  package init(_ architecture: NeRVArchitecture, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var (weights, biases): ([Parameter], [Parameter]) = ([], [])
    for (i, stage) in architecture.stages.enumerated() {
      let terms = stage.inputs * stage.side * stage.side
      let bound = 1 / Float(terms).squareRoot()
      weights.append(
        Parameter(
          "weights\(i)", rows: stage.biasCount, columns: terms, values: (0..<stage.weightCount).map { _ in bound * random.nextSigned() }))
      biases.append(
        Parameter("bias\(i)", rows: 1, columns: stage.biasCount, values: (0..<stage.biasCount).map { _ in bound * random.nextSigned() }))
    }
    (self.weights, self.biases) = (weights, biases)
  }

  package var all: [Parameter] { zip(weights, biases).flatMap { [$0, $1] } }
}
