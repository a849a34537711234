import Fitting
import Glibc

/// The scale of qualities: a quality's lambda gives about the hyperprior's PSNR at that quality (Kodak's mean: 26 dB at 0,
/// 31 at 40, 34 at 60, 38 at 80).
enum OverfitQuality {
  /// lambda = 0.04 * 400^(-q / 100); `quality` need not lie in 0...100.
  static func lambda(_ quality: Double) -> Double { 0.04 * pow(400, -quality / 100) }

  /// The nearest quality in 0...100.
  static func quality(_ lambda: Double) -> Int {
    Int(min(max(-100 * log(lambda / 0.04) / log(400), 0), 100).rounded())
  }
}

/// Finds the lambda with which the finished file has the rate or the PSNR that is asked for: the fit runs in cycles, each
/// starting from the last one's latents and networks with softer rounding and a lambda corrected by the last one's miss.
///
/// Moving lambda within a cycle was tried and is worse: rates fall by half or more while a fit runs, so that its first
/// half says too little, and latents hardly follow in its second half, where rounding is sharp, but cost more.
struct OverfitRateControl {
  /// d ln(bits) / d ln(lambda) and d PSNR / d ln(lambda) of fits that start from each other.
  private static let rateSlope = -0.37
  private static let psnrSlope = -2.4
  private static let range = log(1e-7)...log(1)
  /// What is near enough: a share of the bits, and dB.
  private static let tolerance = (rate: 0.01, psnr: 0.05)

  let target: ImageEncoder.Target
  private var logarithm: Double
  /// After each correction: what the next result would be, ln(bits) or dB, if lambda alone mattered.
  private var expected: [Double] = []

  init(_ target: ImageEncoder.Target, lambda: Double) {
    self.target = target
    logarithm = log(lambda)
  }

  var lambda: Double {
    if case .lambda(let exact) = target { return exact }
    return exp(logarithm)
  }

  /// Whether lambda has to be found.
  var isSearching: Bool {
    switch target {
    case .quality, .lambda: false
    case .bitsPerPixel, .psnr: true
    }
  }

  /// The cycles that a fit may have: one, or two and then more while the target is missed.
  func cycles(_ schedule: FitSchedule) -> [FitSchedule] {
    guard isSearching else { return [schedule] }
    // Shorter ones than `least` come to nothing.
    func cycle(_ share: Double, least: Int, isGentle: Bool) -> FitSchedule {
      var cycle = schedule
      cycle.iterations = max(Int(Double(schedule.iterations) * share), min(schedule.iterations, least))
      cycle.settling = max(1, Int(Double(schedule.settling) * share))
      if isGentle {
        cycle.temperature.first = min(0.3, schedule.temperature.first)
        cycle.latentRate *= 0.5
        cycle.weightRate *= 0.5
      }
      return cycle
    }
    var again = cycle(0.5, least: 80, isGentle: false)
    var gentle = cycle(0.25, least: 50, isGentle: true)
    (again.rateFactor, gentle.rateFactor) = (1, 1)
    (again.restart, gentle.restart) = (0, 0)
    return [cycle(0.6, least: 150, isGentle: false), again] + [FitSchedule](repeating: gentle, count: 8)
  }

  /// How far a result is from the target, in tolerances; 0 where there is none.
  func miss(bitsPerPixel: Double, psnr: Double) -> Double {
    switch target {
    case .quality, .lambda: 0
    case .bitsPerPixel(let wanted): abs(log(bitsPerPixel / wanted)) / Self.tolerance.rate
    // A lossless picture has infinite PSNR.
    case .psnr(let wanted): abs(min(psnr, 100) - wanted) / Self.tolerance.psnr
    }
  }

  /// Corrects lambda by what the last cycle came to.
  mutating func correct(bitsPerPixel: Double, psnr: Double) {
    let (value, wanted, slope): (Double, Double, Double)
    switch target {
    case .quality, .lambda: return
    case .bitsPerPixel(let bits): (value, wanted, slope) = (log(bitsPerPixel), log(bits), Self.rateSlope)
    case .psnr(let decibels): (value, wanted, slope) = (min(psnr, 100), decibels, Self.psnrSlope)
    }
    // A gentle cycle changes something even where lambda stays; the next one will change a little less.
    let drift = expected.count > 2 ? 0.6 * (value - expected.last!) : 0
    let step = min(max((wanted - value - drift) / slope, -3), 3)
    expected.append(value + slope * step)
    logarithm = min(max(logarithm + step, Self.range.lowerBound), Self.range.upperBound)
  }

  /// Where to start: the lambda of the hyperprior's quality that comes nearest.
  ///
  /// - Parameter trial: gives the hyperprior's result that is nearest to a target, with its PSNR.
  static func start(
    _ target: ImageEncoder.Target, trial: (ImageEncoder.Target) throws -> EncodedImage
  ) rethrows -> OverfitRateControl {
    switch target {
    case .lambda(let lambda): return OverfitRateControl(target, lambda: lambda)
    case .quality(let quality): return OverfitRateControl(target, lambda: OverfitQuality.lambda(Double(quality)))
    case .bitsPerPixel(let wanted):
      // The hyperprior needs about that much more for the same PSNR.
      let like = 1.5 * wanted
      let near = try trial(.bitsPerPixel(like))
      var control = OverfitRateControl(target, lambda: OverfitQuality.lambda(Double(near.quality)))
      control.correct(bitsPerPixel: near.bitsPerPixel / like * wanted, psnr: 0)
      return control
    case .psnr:
      let near = try trial(target)
      var control = OverfitRateControl(target, lambda: OverfitQuality.lambda(Double(near.quality)))
      control.correct(bitsPerPixel: 1, psnr: near.psnr!)
      return control
    }
  }
}
