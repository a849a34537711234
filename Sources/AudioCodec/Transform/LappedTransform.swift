/// Blocks of an orthonormal lapped transform: neighbouring blocks are mixed around the boundary between them, then each block is
/// transformed by a DCT-IV. The result is an MDCT with windows of any slopes.
///
/// Float arithmetic in a stated order, from tables that are made by additions, multiplications, divisions and square roots alone: the
/// same result on every machine.
// bitstream-spec 11.6
package final class LappedTransform: Sendable {
  /// Coefficients of the longest block, a power of two.
  let longest: Int
  /// Of blocks of `longest >> i`.
  private let cosines: [DCT4]
  /// Slopes of `longest >> i` samples: cosine and sine of the rotation of the samples i behind and before the boundary.
  private let slopes: [[(near: Float, far: Float)]]

  package init(longest: Int, depth: Int) {
    self.longest = longest
    cosines = (0...depth).map { DCT4(longest >> $0) }
    slopes = (0...depth).map { Self.slope(longest >> $0) }
  }

  /// The angle goes half way between a sine window's and one that is flat at its ends.
  private static func slope(_ length: Int) -> [(near: Float, far: Float)] {
    (0..<length / 2).map { i in
      // Halves of turns, 1/4...1/2 of pi.
      let t = Double(length + 2 * i + 1) / Double(2 * length)
      let sine = Trigonometry.sine(t / 2)
      let angle = (t + sine * sine) / 4
      return (Float(Trigonometry.sine(angle)), Float(Trigonometry.sine(0.5 - angle)))
    }
  }

  /// In place, `samples.count` a block's size.
  package func transform(_ samples: UnsafeMutableBufferPointer<Float>) {
    cosines[longest.trailingZeroBitCount - samples.count.trailingZeroBitCount].transform(samples)
  }

  /// Before `transform`: mixes what lies `overlap / 2` samples before and behind `boundary`. The inverse is `separate`.
  package func mix(_ samples: UnsafeMutablePointer<Float>, at boundary: Int, overlap: Int) {
    let slope = slopes[longest.trailingZeroBitCount - overlap.trailingZeroBitCount]
    for i in 0..<overlap / 2 {
      let (near, far) = slope[i]
      let behind = samples[boundary + i], before = samples[boundary - 1 - i]
      samples[boundary + i] = near * behind + far * before
      samples[boundary - 1 - i] = near * before - far * behind
    }
  }

  /// The inverse of `mix`, for samples before and behind the boundary in places of their own: `before` points at the boundary's end.
  package func separate(_ before: UnsafeMutablePointer<Float>, _ behind: UnsafeMutablePointer<Float>, overlap: Int) {
    let slope = slopes[longest.trailingZeroBitCount - overlap.trailingZeroBitCount]
    for i in 0..<overlap / 2 {
      let (near, far) = slope[i]
      let a = behind[i], b = before[-1 - i]
      behind[i] = near * a - far * b
      before[-1 - i] = near * b + far * a
    }
  }
}

/// Sines and cosines that are the same everywhere.
package enum Trigonometry {
  /// The sine of `x` times pi, 0...1/2.
  package static func sine(_ x: Double) -> Double {
    // Taylor's series of the smaller angle; the last term is below 2^-60.
    x <= 0.25 ? taylorSine(x * Double.pi) : taylorCosine((0.5 - x) * Double.pi)
  }

  private static func taylorSine(_ x: Double) -> Double {
    let s = x * x
    var sum = 1.0
    for n in [18.0, 16, 14, 12, 10, 8, 6, 4, 2] { sum = 1 - s * sum / (n * (n + 1)) }
    return x * sum
  }

  private static func taylorCosine(_ x: Double) -> Double {
    let s = x * x
    var sum = 1.0
    for n in [18.0, 16, 14, 12, 10, 8, 6, 4, 2] { sum = 1 - s * sum / (n * (n - 1)) }
    return sum
  }
}

/// The orthonormal DCT-IV, its own inverse, by a complex FFT of half the size.
// bitstream-spec 11.6
private final class DCT4: Sendable {
  private let half: Int
  /// exp(-i pi (8 n + 1) / (8 size)), scaled by (2 / size)^(1/4) so that both turns make the whole scale.
  private let turns: [(re: Float, im: Float)]
  private let fourier: ComplexFourier

  init(_ size: Int) {
    let half = size / 2
    self.half = half
    let scale = (2.0 / Double(size)).squareRoot().squareRoot()
    turns = (0..<half).map { n in
      let x = Double(8 * n + 1) / Double(8 * size)
      return (Float(scale * Trigonometry.sine(0.5 - x)), Float(-scale * Trigonometry.sine(x)))
    }
    fourier = ComplexFourier(half)
  }

  func transform(_ x: UnsafeMutableBufferPointer<Float>) {
    let size = 2 * half
    withUnsafeTemporaryAllocation(of: Float.self, capacity: size) { scratch in
      let re = scratch.baseAddress!, im = re + half, x = x.baseAddress!
      turns.withUnsafeBufferPointer { turns in
        for n in 0..<half {
          let a = x[2 * n], b = x[size - 1 - 2 * n], t = turns[n]
          let to = Int(fourier.reversed[n])
          re[to] = a * t.re - b * t.im
          im[to] = a * t.im + b * t.re
        }
        fourier.transform(re, im)
        for k in 0..<half {
          let a = re[k], b = im[k], t = turns[k]
          x[2 * k] = a * t.re - b * t.im
          x[size - 1 - 2 * k] = -(a * t.im + b * t.re)
        }
      }
    }
  }
}
