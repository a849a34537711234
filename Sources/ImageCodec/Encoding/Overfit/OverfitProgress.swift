import Coding


/// Tells how far a fit has come, at most ten times a second. Units are iterations' work.
struct OverfitProgress {
  private let report: (@Sendable (CodingProgress) -> Void)?
  private var units = 1.0
  private var done = 0.0
  private let start = ContinuousClock.now
  private var last: ContinuousClock.Instant?
  private var lastStage = ""

  init(_ report: (@Sendable (CodingProgress) -> Void)?) { self.report = report }

  /// What there is to do in all.
  mutating func plan(_ work: Double) { units = work }

  mutating func add(_ work: Double) { done += work }

  mutating func fit(_ fit: CodingProgress.Fit) { send("fit", fit, isLast: false) }

  mutating func stage(_ stage: String, isLast: Bool = false) { send(stage, nil, isLast: isLast) }

  private mutating func send(_ stage: String, _ fit: CodingProgress.Fit?, isLast: Bool) {
    guard let report else { return }
    let now = ContinuousClock.now
    if stage == lastStage, let last, now - last < .milliseconds(100) { return }
    (last, lastStage) = (now, stage)
    let fraction = isLast ? 1 : min(done / units, 0.99)
    let passed = now - start
    let seconds = Double(passed.components.seconds) + 1e-18 * Double(passed.components.attoseconds)
    let left = isLast ? 0 : done > 0 ? seconds * max(0, units - done) / done : nil
    report(CodingProgress(fraction: fraction, stage: stage, secondsLeft: left, fit: fit))
  }
}
