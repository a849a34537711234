import Glibc

/// The discrete Fourier transform of five times a power of two of real numbers, by a complex one of half the size: five transforms of a
/// power of two, put together.
final class RealFourier: Sendable {
  let size: Int
  private let half, fifth: Int
  private let fourier: ComplexFourier
  /// exp(-2 pi i k / half) for k below half.
  private let turns: [(re: Float, im: Float)]
  /// exp(-2 pi i k / size) for k up to half.
  private let split: [(re: Float, im: Float)]

  init(_ size: Int) {
    precondition(size % 10 == 0 && (size / 10).nonzeroBitCount == 1, "five times a power of two")
    (self.size, half, fifth) = (size, size / 2, size / 10)
    fourier = ComplexFourier(size / 10)
    func roots(_ count: Int, of points: Int) -> [(re: Float, im: Float)] {
      (0..<count).map { k in
        let angle = -2 * Double.pi * Double(k) / Double(points)
        return (Float(cos(angle)), Float(sin(angle)))
      }
    }
    turns = roots(size / 2, of: size / 2)
    split = roots(size / 2 + 1, of: size)
  }

  /// `re`, `im`: size / 2 + 1 coefficients, of exp(-2 pi i k n / size), without scaling.
  func transform(_ x: UnsafePointer<Float>, _ re: UnsafeMutablePointer<Float>, _ im: UnsafeMutablePointer<Float>) {
    withScratch { a, b, zr, zi in
      for n in 0..<half {
        let to = n % 5 * fifth + Int(fourier.reversed[n / 5])
        (a[to], b[to]) = (x[2 * n], x[2 * n + 1])
      }
      complex(a, b, zr, zi)
      for k in 0...half {
        let i = k == half ? 0 : k, j = k == 0 ? 0 : half - k
        let (er, ei) = (zr[i] + zr[j], zi[i] - zi[j])
        let (dr, di) = (zr[i] - zr[j], zi[i] + zi[j])
        // minus i times the root times the difference
        let w = split[k]
        re[k] = 0.5 * (er + w.re * di + w.im * dr)
        im[k] = 0.5 * (ei + w.im * di - w.re * dr)
      }
    }
  }

  /// size / 2 times the inverse of `transform`; the imaginary parts of the first and last coefficient count as 0.
  func inverse(_ re: UnsafePointer<Float>, _ im: UnsafePointer<Float>, _ x: UnsafeMutablePointer<Float>) {
    withScratch { a, b, zr, zi in
      for k in 0..<half {
        let j = half - k
        let (ik, ij) = (k == 0 ? 0 : im[k], k == 0 ? 0 : im[j])
        let (er, ei) = (re[k] + re[j], ik - ij)
        let (dr, di) = (re[k] - re[j], ik + ij)
        let w = split[k]
        // i times the conjugate root times the difference
        let zr = 0.5 * (er - w.re * di + w.im * dr), zi = 0.5 * (ei + w.re * dr + w.im * di)
        let to = k % 5 * fifth + Int(fourier.reversed[k / 5])
        // Real and imaginary parts change places, so that the transform is the inverse one.
        (a[to], b[to]) = (zi, zr)
      }
      complex(a, b, zr, zi)
      for n in 0..<half { (x[2 * n], x[2 * n + 1]) = (zi[n], zr[n]) }
    }
  }

  private func withScratch(
    _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
  ) {
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 4 * half) {
      let p = $0.baseAddress!
      body(p, p + half, p + 2 * half, p + 3 * half)
    }
  }

  /// Of `half` points; numbers n of `a`, `b` stand by n mod 5, then in the order that `fourier` takes.
  private func complex(
    _ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ re: UnsafeMutablePointer<Float>, _ im: UnsafeMutablePointer<Float>
  ) {
    for part in 0..<5 { fourier.transform(a + part * fifth, b + part * fifth) }
    let c1 = turns[fifth], c2 = turns[2 * fifth]
    turns.withUnsafeBufferPointer { turns in
      for k in 0..<fifth {
        func turned(_ part: Int) -> (Float, Float) {
          let w = turns[part * k], x = a[part * fifth + k], y = b[part * fifth + k]
          return (x * w.re - y * w.im, x * w.im + y * w.re)
        }
        let (r0, i0) = (a[k], b[k])
        let (r1, i1) = turned(1), (r2, i2) = turned(2), (r3, i3) = turned(3), (r4, i4) = turned(4)
        // Five points, by sums and differences of those that mirror each other.
        let (s1r, s1i, d1r, d1i) = (r1 + r4, i1 + i4, r1 - r4, i1 - i4)
        let (s2r, s2i, d2r, d2i) = (r2 + r3, i2 + i3, r2 - r3, i2 - i3)
        (re[k], im[k]) = (r0 + s1r + s2r, i0 + s1i + s2i)
        let (pr, pi) = (r0 + c1.re * s1r + c2.re * s2r, i0 + c1.re * s1i + c2.re * s2i)
        let (qr, qi) = (c1.im * d1r + c2.im * d2r, c1.im * d1i + c2.im * d2i)
        (re[k + fifth], im[k + fifth]) = (pr - qi, pi + qr)
        (re[k + 4 * fifth], im[k + 4 * fifth]) = (pr + qi, pi - qr)
        let (ur, ui) = (r0 + c2.re * s1r + c1.re * s2r, i0 + c2.re * s1i + c1.re * s2i)
        let (vr, vi) = (c2.im * d1r - c1.im * d2r, c2.im * d1i - c1.im * d2i)
        (re[k + 2 * fifth], im[k + 2 * fifth]) = (ur - vi, ui + vr)
        (re[k + 3 * fifth], im[k + 3 * fifth]) = (ur + vi, ui - vr)
      }
    }
  }
}
