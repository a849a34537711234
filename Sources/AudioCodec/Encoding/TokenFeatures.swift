import Bitstream
import Glibc
import Tensors

/// Frames' spectra as the encoder's network sees them.
enum TokenFeatures {
  /// Lowest frequencies whose phases are told.
  static let phases = 256
  static let count = TokenGeometry.bins + 2 * phases

  /// `x` is [1, n, count] and gets frames' magnitudes to the power of 0.3, and the real and imaginary parts of the lowest ones, divided by
  /// magnitudes to the power of 0.7. `samples` has the first frame's window first, and those of others `mode.hop` further each.
  static func extract(_ samples: UnsafePointer<Float>, _ mode: TokenMode, into x: Tensor<Float>) {
    let bins = TokenGeometry.bins, window = TokenGeometry.window, windowed = TokenWindow.values
    withUnsafeTemporaryAllocation(of: Float.self, capacity: window + 2 * bins) { scratch in
      let frame = scratch.baseAddress!, re = frame + window, im = re + bins
      for t in 0..<x.shape.positions {
        let from = samples + t * mode.hop, to = x.pointer + t * count
        for n in 0..<window { frame[n] = windowed[n] * from[n] }
        TokenWindow.fourier.transform(frame, re, im)
        let scale = 1 / Float(window / 2)
        for k in 0..<bins {
          let (a, b) = (re[k] * scale, im[k] * scale)
          let power = log2f(a * a + b * b + 1e-10)
          to[k] = exp2f(0.15 * power)
          guard k < phases else { continue }
          let flat = exp2f(-0.35 * power)
          to[bins + k] = a * flat
          to[bins + phases + k] = b * flat
        }
      }
    }
  }
}
