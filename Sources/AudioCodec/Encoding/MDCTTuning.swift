import Glibc
/// What options come to.
struct MDCTTuning {
  var analysis = Analysis.Options()
  var group = GroupEncoder.Options()
  /// Nil where the rate says how large steps are.
  var stepIndex: Int?

  init(_ options: AudioEncoder.Options) {
    self.init(isPerceptual: options.target == .perceptual)
    if case .quality(let quality) = options.rate { stepIndex = Int((2600 - 10 * quality).rounded()) }
  }

  init(isPerceptual: Bool) {
    func env(_ n: String, _ d: Float) -> Float { getenv(n).map { Float(String(cString: $0))! } ?? d }
    group.lambda = env("LAMBDA", 0.1)
    analysis.bias = env("BIAS", 0.005)
    guard isPerceptual else { return }
    analysis.bandExponent = env("BAND", 0.5)
    analysis.levelExponent = env("LEVEL", 0.2)
    group.hasNoise = env("NOISE", 1) > 0
    group.holes = Int(env("HOLES", 4))
    group.noiseReduction = env("NRED", 0)
  }
}
