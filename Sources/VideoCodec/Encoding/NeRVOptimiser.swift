import Autograd
import Glibc

/// Changes a fit's parameters after each iteration.
final class NeRVOptimiser {
  /// Of `Muon`: the largest singular value of a change, as a share of that of a matrix of initial weights, and as such for HNeRV's encoder, whose matrices
  /// begin near 0. A stem's network, which has no encoder to follow, wants less; where stages add, less still, and the less the longer the fit is, as what
  /// changes add up to grows with their number.
  private static func decoderRate(_ architecture: NeRVArchitecture, iterations: Int) -> Float {
    guard architecture.stages.contains(where: { !$0.sums.isEmpty }) else { return architecture.stem != nil ? 0.05 : 0.07 }
    return 0.04 * min(1, (1800 / Float(iterations)).squareRoot())
  }
  private static let encoderRate: Float = 0.0007
  /// Adam's, of what is no matrix.
  private static let vectorRate = 1e-3
  /// Factors of two that steps of rounding can go, in all.
  private static let octaves = 8.0

  private let settings: NeRVSettings
  private let iterations: Int
  private let adam = Adam()
  private let muon = Muon(beta: 0.9)
  private let steps = Adam()
  private let rate: Float
  private let learnsSteps: Bool

  /// `rate` multiplies all rates but that of the steps of rounding, which stay as they are unless `learnsSteps`.
  init(_ graph: NeRVGraph, _ settings: NeRVSettings, iterations: Int, rate: Float = 1, learnsSteps: Bool = true) {
    (self.settings, self.iterations, self.rate, self.learnsSteps) = (settings, iterations, rate, learnsSteps)
    for (weights, biases) in zip(graph.decoder.weights, graph.decoder.biases) {
      add(weights.trained, rate: Self.decoderRate(graph.architecture, iterations: iterations) * weights.initialNorm)
      adam.add(biases.trained)
    }
    for parameter in graph.encoderParameters {
      add(parameter, rate: Self.encoderRate * max(1, Float(parameter.rows) / Float(parameter.columns)).squareRoot())
    }
    for step in graph.decoder.steps + [graph.embeddingStep] { steps.add(step) }
  }

  private func add(_ parameter: Parameter, rate: Float) {
    if settings.method == .orthogonal, parameter.rows > 1 { muon.add(parameter, rate: rate) } else { adam.add(parameter) }
  }

  /// After iteration `number`; `rounded` is the share of those with rounding that are done, nil before the first.
  func step(_ number: Int, rounded: Double?, threads: Int) {
    let schedule = Double(self.rate) * schedule(Double(number) / Double(iterations))
    switch settings.method {
    case .published(let rate): adam.step(rate: Float(rate * schedule), threads: threads)
    case .orthogonal:
      adam.step(rate: Float(Self.vectorRate * schedule), threads: threads)
      muon.step(rate: Float(schedule), threads: threads)
    }
    guard let rounded, learnsSteps else { return }
    let roundings = Double(iterations) * settings.roundedShare
    steps.step(rate: Float(Self.octaves / roundings * (1 + cos(.pi * rounded))), threads: threads)
  }

  /// A linear rise from a tenth, then a cosine to 0.
  private func schedule(_ part: Double) -> Double {
    let rise = settings.method == .orthogonal ? 0.03 : 0.1
    return part < rise ? 0.1 + 0.9 * part / rise : 0.5 * (1 + cos(.pi * (part - rise) / (1 - rise)))
  }

  /// The inverse is `restore(_:)`.
  var state: [Float] { adam.state + muon.state + steps.state }

  /// False for a state of other parameters; some may have been taken.
  func restore(_ state: ArraySlice<Float>) -> Bool {
    let (first, second) = (adam.state.count, muon.state.count)
    guard state.count >= first + second else { return false }
    return adam.restore(state.prefix(first)) && muon.restore(state.dropFirst(first).prefix(second)) && steps.restore(state.dropFirst(first + second))
  }
}

extension NeRVParameters.Rounded {
  /// The largest singular value of matrices of so many independent numbers that are even between plus and minus `bound`, about.
  fileprivate var initialNorm: Float {
    Float(bound / 3.0.squareRoot()) * (Float(trained.rows).squareRoot() + Float(trained.columns).squareRoot())
  }
}
