import Fitting

/// What an effort of 1...9 means for the overfitted codec.
struct OverfitEffort {
  /// Multiplications per pixel that `ImageEncoder.Options.decoderCost` may name.
  static let decoderCosts = OverfitArchitecture.Preset.allCases.map(\.cost)

  /// Iterations by effort, settling included.
  private static let iterations = [130, 250, 500, 950, 1700, 2800, 4500, 7500, 12000]
  /// Of the iterations, those that settle the networks.
  private static let settling = 0.05

  let iterations: Int
  let preset: OverfitArchitecture.Preset

  /// - Parameters:
  ///   - effort: 1...9
  ///   - decoderCost: one of `decoderCosts`; nil for the effort's own.
  ///   - iterations: instead of the effort's.
  init(_ effort: Int, decoderCost: Int?, iterations: Int? = nil) {
    self.iterations = iterations ?? Self.iterations[effort - 1]
    let cost = decoderCost ?? 2000
    preset = OverfitArchitecture.Preset.allCases.first { $0.cost == cost }!
  }

  var schedule: FitSchedule {
    let settling = Int((Double(iterations) * Self.settling).rounded())
    return FitSchedule(iterations: iterations - settling, settling: settling)
  }
}
