import Bitstream
import Glibc

/// Frames' spectra back to samples of a channel: windows that overlap, divided by the sum of their squares.
// bitstream-spec 12.5
final class TokenSynthesis {
  private let mode: TokenMode
  private var nextFrame: Int
  /// From sample `start` on.
  private var sum: [Float] = []
  private var weight: [Float] = []
  private var start: Int

  private static let loudest: Float = 3
  private static let leastWeight: Float = 1e-3
  private static let squares = TokenWindow.values.map { $0 * $0 }

  /// `frame` is the first that is given.
  init(_ mode: TokenMode, from frame: Int) {
    self.mode = mode
    nextFrame = frame
    start = frame * mode.hop + mode.windowStart
  }

  /// The next frame: [1282] logarithms of magnitudes and phases.
  func append(_ spectrum: UnsafePointer<Float>) {
    let window = TokenGeometry.window, bins = TokenGeometry.bins
    let from = nextFrame * mode.hop + mode.windowStart - start
    nextFrame += 1
    if sum.count < from + window {
      let missing = from + window - sum.count
      sum.append(contentsOf: repeatElement(0, count: missing))
      weight.append(contentsOf: repeatElement(0, count: missing))
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: window + 2 * bins) { scratch in
      let frame = scratch.baseAddress!, re = frame + window, im = re + bins
      for k in 0..<bins {
        let magnitude = expf(min(spectrum[k], Self.loudest)), phase = spectrum[bins + k]
        (re[k], im[k]) = (magnitude * cosf(phase), magnitude * sinf(phase))
      }
      TokenWindow.fourier.inverse(re, im, frame)
      let shape = TokenWindow.values, squares = Self.squares
      sum.withUnsafeMutableBufferPointer { sum in for n in 0..<window { sum[from + n] += shape[n] * frame[n] } }
      weight.withUnsafeMutableBufferPointer { weight in for n in 0..<window { weight[from + n] += squares[n] } }
    }
  }

  /// What is known for good since the last call, and the sample at which it begins; after the last frame, what its `hop` reaches.
  func take(isLast: Bool) -> (samples: [Float], start: Int) {
    let end = isLast ? nextFrame * mode.hop : nextFrame * mode.hop + mode.windowStart
    let count = max(0, end - start)
    let samples = (0..<count).map { sum[$0] / max(weight[$0], Self.leastWeight) }
    defer {
      sum.removeFirst(count)
      weight.removeFirst(count)
      start += count
    }
    return (samples, start)
  }
}
