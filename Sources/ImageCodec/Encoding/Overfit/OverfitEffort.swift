import Fitting
import Glibc

/// What an effort of 1...9 means for the overfitted codec.
package struct OverfitEffort {
  /// Multiplications per pixel that `ImageEncoder.Options.decoderCost` may name.
  static let decoderCosts = OverfitArchitecture.Preset.allCases.map(\.cost)

  /// Iterations by effort, settling included.
  private static let iterations = [250, 340, 670, 1340, 2700, 4400, 7300, 12200, 19500]
  /// Of the iterations, those that settle the networks.
  private var settling: Double { effort == 1 ? 0.02 : 0.05 }
  /// By what part of the iterations there are more for each level left out. At effort 1 it makes the time the same at all rates.
  private var moreByLevel: Double { effort == 1 ? 0.7 : 1 }

  /// Iterations where all grids are fitted, settling included.
  let iterations: Int
  let preset: OverfitArchitecture.Preset
  private let effort: Int
  private let isGiven: Bool

  /// - Parameters:
  ///   - effort: 1...9
  ///   - decoderCost: one of `decoderCosts`; nil for the effort's own.
  ///   - iterations: instead of the effort's.
  package init(_ effort: Int, decoderCost: Int?, iterations: Int? = nil) {
    self.effort = effort
    isGiven = iterations != nil
    self.iterations = iterations ?? Self.iterations[effort - 1]
    let cost = decoderCost ?? 2000
    preset = OverfitArchitecture.Preset.allCases.first { $0.cost == cost }!
  }

  /// How many of the finest latent grids are left out: those that would take more bits than what they add is worth. Then they
  /// hold next to nothing, and what an iteration without them saves is better spent on more of them. A bit adds lambda to the
  /// loss, and a level has a quarter of the positions of the one below it.
  ///
  /// With 700, 1400 or 2100 iterations, so at about equal time, the loss falls by so much if level 0 is left out, by the ratio of
  /// its detail to lambda: kodim04 .20: 11 %; kodim23 .17: 5, .34: 5, .68: -1.5; kodim15 .25: 5, .49: -.7, .99: -13; kodim20 .34: 3.5;
  /// kodim13 .25: 2.4, 1.26: -4; kodim05 .86: -2. With level 1 as well: kodim13 .91: -6; at effort 1 kodim04, 15, 20, 23 .2 to .33: .6 to
  /// 1.7; with 2000 and 3000 iterations kodim15 .25: .8, kodim23 .20: -3.7.
  func droppedLevels(lambda: Double, detail: OverfitDetail) -> Int {
    var (levels, positions) = (0, 1.0)
    for (level, variance) in detail.variances.enumerated() {
      let worth = level == 0 || effort < 5 ? 0.5 : 0.1
      guard variance < worth * lambda * positions else { break }
      (levels, positions) = (levels + 1, positions / 4)
    }
    return levels
  }

  /// The grids and networks to fit.
  func architecture(width: Int, height: Int, outputs: Int, dropping levels: Int = 0) -> OverfitArchitecture {
    // Colours gain most from a second plane at middle levels; cheap networks have no room for it.
    let isJoined = preset.cost >= 2000 && outputs == 3
    var architecture = OverfitArchitecture(
      preset: preset, width: width, height: height, outputs: outputs, joined: isJoined)
    architecture.latentMask &= ~((1 << levels) - 1)
    return architecture
  }

  /// A fit that shows which prior suits a picture; nil where `schedule` is too short for one beside it.
  ///
  /// Fits of 700 (lambda 0.001) and 1400 iterations (0.004, 0.02) of kodim15, kodim23 and two mosaics of training crops end 0.5 to
  /// 6 % apart from models 6 to 8 and 11 to 13. With 100 iterations the same model is ahead in seven of eight, with 40 in five of six.
  func trial(of schedule: FitSchedule, lambda: Double) -> FitSchedule? {
    let count = min(schedule.total / 27, 250)
    return count < 45 ? nil : OverfitEffort(effort, decoderCost: preset.cost, iterations: count).schedule(lambda: lambda)
  }

  package func schedule(lambda: Double, dropping levels: Int = 0) -> FitSchedule {
    let total = isGiven ? iterations : Int(Double(iterations) * (1 + moreByLevel * Double(levels)))
    let settling = Int((Double(total) * settling).rounded())
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
    // Of the fewest, more are needed to get anywhere than to come to rest.
    if effort == 1 { schedule.temperature.last = 0.1 }
    return schedule
  }
}
