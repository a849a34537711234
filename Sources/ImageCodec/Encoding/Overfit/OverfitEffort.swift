import Fitting
import Glibc

/// What an effort of 1...9 means for the overfitted codec.
struct OverfitEffort {
  /// Multiplications per pixel that `ImageEncoder.Options.decoderCost` may name.
  static let decoderCosts = OverfitArchitecture.Preset.allCases.map(\.cost)

  /// Iterations by effort, settling included.
  private static let iterations = [195, 340, 670, 1340, 2700, 4400, 7300, 12200, 19500]
  /// Of the iterations, those that settle the networks.
  private static let settling = 0.05

  /// Iterations where all grids are fitted, settling included.
  let iterations: Int
  let preset: OverfitArchitecture.Preset
  private let effort: Int
  private let isGiven: Bool

  /// - Parameters:
  ///   - effort: 1...9
  ///   - decoderCost: one of `decoderCosts`; nil for the effort's own.
  ///   - iterations: instead of the effort's.
  init(_ effort: Int, decoderCost: Int?, iterations: Int? = nil) {
    self.effort = effort
    isGiven = iterations != nil
    self.iterations = iterations ?? Self.iterations[effort - 1]
    let cost = decoderCost ?? 2000
    preset = OverfitArchitecture.Preset.allCases.first { $0.cost == cost }!
  }

  /// How many of the finest latent grids are left out. At low rates they hold next to nothing, and what an iteration
  /// without them saves is better spent on more of them: on six training crops at equal time, level 0 costs 8 % of the
  /// loss at lambda 0.004 and 7 % at 0.02, and gains 12 % at 0.001; level 1 makes no difference at 0.02 and takes half the time.
  func droppedLevels(lambda: Double) -> Int {
    lambda < 0.0025 ? 0 : lambda < 0.012 || effort > 4 ? 1 : 2
  }

  /// The grids and networks to fit.
  func architecture(width: Int, height: Int, outputs: Int, lambda: Double) -> OverfitArchitecture {
    var architecture = OverfitArchitecture(preset: preset, width: width, height: height, outputs: outputs)
    architecture.latentMask &= ~((1 << droppedLevels(lambda: lambda)) - 1)
    return architecture
  }

  func schedule(lambda: Double) -> FitSchedule {
    let total = isGiven ? iterations : iterations * (1 + droppedLevels(lambda: lambda))
    let settling = Int((Double(total) * Self.settling).rounded())
    var schedule = FitSchedule(iterations: total - settling, settling: settling)
    // The more bits there are, the farther latents go, and the longer they do so under soft rounding: 0 from lambda 0.001
    // on, 1 at 0.0001.
    let x = Float(min(max(log10(0.001 / max(lambda, 1e-9)), 0), 1))
    schedule.latentRate = 0.014 + 0.006 * x
    schedule.temperature.first = 0.4 + 0.2 * x
    schedule.rateFactor = 1.5 - 0.5 * x
    schedule.restart = 40 - Int(20 * x)
    // Few iterations have to go in longer steps.
    if total < 800 {
      schedule.latentRate = 0.02
      schedule.temperature.first = 0.5 + 0.1 * x
      schedule.rateFactor = 2 - x
      schedule.restart = 20
    }
    return schedule
  }
}
