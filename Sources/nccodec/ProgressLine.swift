import Dispatch
import NeuralCodecs
import Synchronization

/// A line on the terminal that tells how far a command has come, once it has taken a second.
///
/// Nothing is shown where standard error is no terminal or the user wants quiet. Usable from any thread.
final class ProgressLine: Sendable {
  private struct State {
    var stage: String
    var fraction: Double
    var fit: CodingProgress.Fit?
    var segment: CodingProgress.Segment?
    /// As the codec estimated it at `estimated`.
    var secondsLeft: Double?
    var estimated = ContinuousClock.now
    var isShown = false
    var isEnded = false
  }

  /// Of the whole work, what the codec does; reading and writing files are the rest.
  static let codecShare = 0.9

  private static let patience = Duration.seconds(1)
  private let start = ContinuousClock.now
  private let state: Mutex<State>
  // Dispatch objects may be used from any thread; the protocol does not say so.
  private nonisolated(unsafe) let timer: (any DispatchSourceTimer)?

  init(quiet: Bool, stage: String) {
    state = Mutex(State(stage: stage, fraction: 0))
    guard !quiet, Console.isTerminal(.standardError) else {
      timer = nil
      return
    }
    let timer = DispatchSource.makeTimerSource()
    self.timer = timer
    timer.setEventHandler { [weak self] in self?.draw() }
    timer.schedule(deadline: .now() + 1, repeating: 0.2)
    timer.activate()
  }

  deinit { timer?.cancel() }

  /// What the codec's options take; nil where nothing would be shown.
  var handler: (@Sendable (CodingProgress) -> Void)? {
    if timer == nil { return nil }
    return { [self] in update($0.stage, Self.codecShare * $0.fraction, fit: $0.fit, segment: $0.segment, secondsLeft: $0.secondsLeft) }
  }

  func update(
    _ stage: String, _ fraction: Double, fit: CodingProgress.Fit? = nil, segment: CodingProgress.Segment? = nil, secondsLeft: Double? = nil
  ) {
    if timer == nil { return }
    state.withLock {
      ($0.stage, $0.fraction, $0.fit, $0.segment) = (stage, fraction, fit, segment)
      ($0.secondsLeft, $0.estimated) = (secondsLeft, .now)
    }
    if ContinuousClock.now - start >= Self.patience { draw() }
  }

  /// Takes the line away. Call it before other messages.
  func end() {
    if timer == nil { return }
    timer?.cancel()
    state.withLock { state in
      if state.isShown { Console.write("\r\u{1B}[K", to: .standardError) }
      state.isEnded = true
    }
  }

  private func draw() {
    let passed = ContinuousClock.now - start
    state.withLock { state in
      guard !state.isEnded else { return }
      state.isShown = true
      let secondsLeft = state.secondsLeft.map { $0 - (ContinuousClock.now - state.estimated).inSeconds }
      let text =
        state.fit.map { Self.text($0, secondsLeft: secondsLeft) } ?? state.segment.map { Self.text($0, secondsLeft: secondsLeft) }
        ?? Self.text(state.stage, state.fraction, after: passed)
      Console.write("\r\(text)\u{1B}[K", to: .standardError)
    }
  }

  /// Such as "latents 45 %, 3 s left".
  static func text(_ stage: String, _ fraction: Double, after passed: Duration) -> String {
    let percent = Int((min(max(fraction, 0), 1) * 100).rounded(.down))
    // Too little is known of the speed before a twentieth is done.
    guard fraction >= 0.05 else { return "\(stage) \(percent) %" }
    return "\(stage) \(percent) %, \(left(passed.inSeconds * (1 - fraction) / fraction))"
  }

  /// Such as "fit 120/500, loss 0.00123, 0.345 bpp, 33.21 dB, 12 s left".
  static func text(_ fit: CodingProgress.Fit, secondsLeft: Double?) -> String {
    var parts = ["fit \(fit.iteration)/\(fit.iterations)", "loss \(significant(fit.loss, 3))"]
    if let bpp = fit.bitsPerPixel { parts.append("\(fixed(bpp, 3)) bpp") }
    if let psnr = fit.psnr { parts.append("\(fixed(psnr, 2)) dB") }
    if let secondsLeft { parts.append(left(secondsLeft)) }
    return parts.joined(separator: ", ")
  }

  /// Such as "segment 2/3, epoch 12/30, 33.21 dB, about 123456 bytes, 12 s left".
  static func text(_ segment: CodingProgress.Segment, secondsLeft: Double?) -> String {
    var parts = segment.count == 1 ? [] : ["segment \(segment.number)" + (segment.count.map { "/\($0)" } ?? "")]
    parts.append("epoch \(segment.epoch)/\(segment.epochs)")
    if let psnr = segment.psnr { parts.append("\(fixed(psnr, 2)) dB") }
    if let bytes = segment.byteCount { parts.append("about \(bytes) bytes") }
    if let secondsLeft { parts.append(left(secondsLeft)) }
    return parts.joined(separator: ", ")
  }

  private static func left(_ seconds: Double) -> String {
    let left = Int(min(max(seconds, 0), 1e9).rounded(.up))
    return "\(left < 60 ? "\(left) s" : "\(left / 60) min \(left % 60) s") left"
  }
}

extension Duration {
  fileprivate var inSeconds: Double { Double(components.seconds) + 1e-18 * Double(components.attoseconds) }
}
