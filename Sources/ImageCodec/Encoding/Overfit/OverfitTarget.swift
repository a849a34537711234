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

/// Moves lambda during a fit so that the finished file has the rate or the PSNR that is asked for.
struct OverfitRateControl {
  /// d ln(bits) / d ln(lambda) and d PSNR / d ln(lambda), as Kodak has them on average.
  private static let rateSlope = -0.52
  private static let psnrSlope = -2.6
  private static let range = log(1e-7)...log(1)

  let target: ImageEncoder.Target
  private var logarithm: Double

  init(_ target: ImageEncoder.Target, lambda: Double) {
    self.target = target
    logarithm = log(lambda)
  }

  var lambda: Double {
    if case .lambda(let exact) = target { return exact }
    return exp(logarithm)
  }

  /// Whether lambda may move.
  var adapts: Bool {
    switch target {
    case .quality, .lambda: false
    case .bitsPerPixel, .psnr: true
    }
  }

  /// Takes in what a file would have now. `gain` is the share of the miss that is made up for.
  mutating func observe(bitsPerPixel: Double, psnr: Double, gain: Double) {
    let miss: Double
    switch target {
    case .quality, .lambda: return
    case .bitsPerPixel(let wanted): miss = log(wanted / max(bitsPerPixel, 1e-6)) / Self.rateSlope
    case .psnr(let wanted): miss = (wanted - min(psnr, 100)) / Self.psnrSlope
    }
    logarithm = min(max(logarithm + gain * min(max(miss, -2), 2), Self.range.lowerBound), Self.range.upperBound)
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
      control.observe(bitsPerPixel: near.bitsPerPixel / like * wanted, psnr: .nan, gain: 1)
      return control
    case .psnr:
      let near = try trial(target)
      var control = OverfitRateControl(target, lambda: OverfitQuality.lambda(Double(near.quality)))
      control.observe(bitsPerPixel: .nan, psnr: near.psnr!, gain: 1)
      return control
    }
  }
}
