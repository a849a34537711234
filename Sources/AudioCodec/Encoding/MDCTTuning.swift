/// What options come to. The numbers were chosen on audio-train, by SI-SDR and ViSQOL.
struct MDCTTuning {
  var analysis = Analysis.Options()
  var group = GroupEncoder.Options()
  /// Nil where the rate says how large steps are.
  var stepIndex: Int?

  init(_ options: AudioEncoder.Options) {
    let isPerceptual = options.target == .perceptual
    self.init(isPerceptual: isPerceptual)
    // Quality 50 is about 45 kbps of mono sound at 24 kHz.
    if case .quality(let quality) = options.rate {
      stepIndex = Int((isPerceptual ? 2930 - 9 * quality : 2600 - 10 * quality).rounded())
    }
  }

  init(isPerceptual: Bool) {
    analysis.bias = 0.005
    group.lambda = isPerceptual ? 0.08 : 0.1
    guard isPerceptual else { return }
    analysis.bandExponent = 0.6
    analysis.levelExponent = 0.2
    group.hasNoise = true
    group.noiseReduction = 2
    group.holes = 4
  }
}
