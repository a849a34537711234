/// What options come to.
struct MDCTTuning {
  var analysis = Analysis.Options()
  var group = GroupEncoder.Options()
  /// Nil where the rate says how large steps are.
  var stepIndex: Int?

  init(_ options: AudioEncoder.Options) {
    if case .quality(let quality) = options.rate { stepIndex = Int((2600 - 10 * quality).rounded()) }
    if options.target == .perceptual {
      analysis.bandExponent = 0.3
      analysis.levelExponent = 0.1
      group.hasNoise = true
    }
  }
}
