import Autograd
import Glibc

/// Weights and biases of a decoder under training.
package struct NeRVParameters {
  /// By stage: [outputs * factor * factor, inputs * side * side], and a bias for each row.
  package let weights, biases: [Parameter]

  /// Uniform between plus and minus 1 / sqrt(inputs of a sum), weights and biases.
  package init(_ architecture: NeRVArchitecture, seed: UInt64) {
    var random = Uniform(seed: seed)
    var (weights, biases): ([Parameter], [Parameter]) = ([], [])
    for (i, stage) in architecture.stages.enumerated() {
      let terms = stage.inputs * stage.side * stage.side
      let bound = 1 / Float(terms).squareRoot()
      weights.append(
        Parameter(
          "weights\(i)", rows: stage.biasCount, columns: terms, values: (0..<stage.weightCount).map { _ in bound * random.next() }))
      biases.append(
        Parameter("bias\(i)", rows: 1, columns: stage.biasCount, values: (0..<stage.biasCount).map { _ in bound * random.next() }))
    }
    (self.weights, self.biases) = (weights, biases)
  }

  package var all: [Parameter] { zip(weights, biases).flatMap { [$0, $1] } }
}

/// Pseudo-random numbers in -1...1, the same on every machine (SplitMix64).
struct Uniform {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

  mutating func next() -> Float {
    state &+= 0x9E37_79B9_7F4A_7C15
    var x = state
    x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
    x ^= x >> 31
    return Float(Int64(x >> 40)) / Float(1 << 23) - 1
  }

  /// Of variance `deviation`^2, cut at twice that.
  mutating func normal(_ deviation: Float) -> Float {
    while true {
      let u = max((next() + 1) / 2, 1e-12), v = next()
      let value = (-2 * logf(u)).squareRoot() * cosf(.pi * v)
      if abs(value) <= 2 { return value * deviation }
    }
  }
}
