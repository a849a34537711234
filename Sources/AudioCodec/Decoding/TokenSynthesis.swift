import Bitstream
import Glibc
import Tensors

/// What the network says of frames back to samples of a channel: pulses and noise, each filtered, and a part with phases of its own make frames'
/// spectra; windows that overlap, divided by the sum of their squares, make the sound of these.
// bitstream-spec 12.5
final class TokenSynthesis {
  private let mode: TokenMode
  private let access: TokenAccess
  private var excitation: TokenExcitation
  /// The next frame that is given, and the next whose spectrum is made.
  private var given, made: Int
  /// [outputs] of frames `made`..<`given`, as far as they are used: they wait for pitches.
  private var waiting: [[Float]] = []
  private var isComplete = false
  /// From sample `start` on.
  private var sum: [Float] = []
  private var weight: [Float] = []
  private var start: Int

  private static let loudest: Float = 3
  private static let leastWeight: Float = 1e-3
  private static let squares = TokenWindow.values.map { $0 * $0 }

  /// `frame` is the first that is given.
  init(_ mode: TokenMode, channel: Int, from frame: Int, _ access: TokenAccess) {
    self.mode = mode
    self.access = access
    excitation = TokenExcitation(mode, channel: channel, from: frame, access)
    given = frame
    made = max(frame, access.spectra)
    start = made * mode.hop + mode.windowStart
  }

  /// The next frame: logarithms of pulses', noise's and the free part's magnitudes, that one's phases, logits of pitches.
  func append(_ values: UnsafePointer<Float>) {
    excitation.append(logits: values + 4 * TokenGeometry.bins)
    if given >= made { waiting.append(Array(UnsafeBufferPointer(start: values, count: 4 * TokenGeometry.bins))) }
    given += 1
    makeSpectra()
  }

  /// There are no more frames.
  func finish() {
    excitation.finish()
    isComplete = true
    makeSpectra()
  }

  private func makeSpectra() {
    while let values = waiting.first, excitation.reaches(windowOf: made) {
      waiting.removeFirst()
      add(values)
    }
  }

  private func add(_ values: [Float]) {
    let window = TokenGeometry.window, bins = TokenGeometry.bins
    let from = made * mode.hop + mode.windowStart - start
    if sum.count < from + window {
      let missing = from + window - sum.count
      sum.append(contentsOf: repeatElement(0, count: missing))
      weight.append(contentsOf: repeatElement(0, count: missing))
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: window + 7 * bins) { scratch in
      let frame = scratch.baseAddress!, levels = frame + window
      let pulses = (re: levels + 3 * bins, im: levels + 4 * bins), noise = (re: levels + 5 * bins, im: levels + 6 * bins)
      values.withUnsafeBufferPointer { values in
        levels.update(from: values.baseAddress!, count: 3 * bins)
        Tensor.exponentiate(levels, 3 * bins, highest: Self.loudest)
        excitation.copyPulses(windowOf: made, to: frame)
        TokenWindow.fourier.transform(frame, pulses.re, pulses.im)
        excitation.copyNoise(windowOf: made, to: frame)
        TokenWindow.fourier.transform(frame, noise.re, noise.im)
        let scale = 1 / Float(window / 2)
        for k in 0..<bins {
          let tonal = levels[k] * scale, noisy = levels[bins + k] * scale, free = levels[2 * bins + k], phase = values[3 * bins + k]
          pulses.re[k] = tonal * pulses.re[k] + noisy * noise.re[k] + free * cosf(phase)
          pulses.im[k] = tonal * pulses.im[k] + noisy * noise.im[k] + free * sinf(phase)
        }
      }
      TokenWindow.fourier.inverse(pulses.re, pulses.im, frame)
      let shape = TokenWindow.values, squares = Self.squares
      sum.withUnsafeMutableBufferPointer { sum in for n in 0..<window { sum[from + n] += shape[n] * frame[n] } }
      weight.withUnsafeMutableBufferPointer { weight in for n in 0..<window { weight[from + n] += squares[n] } }
    }
    made += 1
    excitation.forget(before: made)
  }

  /// What is known for good since the last call, and the sample at which it begins; after the last frame, what its `hop` reaches.
  func take() -> (samples: [Float], start: Int) {
    let end = isComplete ? given * mode.hop : made * mode.hop + mode.windowStart
    let count = max(0, min(end - start, sum.count))
    let samples = (0..<count).map { sum[$0] / max(weight[$0], Self.leastWeight) }
    defer {
      sum.removeFirst(count)
      weight.removeFirst(count)
      start += count
    }
    return (samples, start)
  }
}
