import Glibc

/// Discrete Fourier transforms of one power of two, radix 2.
struct FourierTransform {
  let size: Int
  /// cos and -sin of 2 pi k / size, k in 0..<size / 2.
  private let cosines, sines: [Double]
  /// Where bit reversal puts each place.
  private let reversed: [Int]

  init(size: Int) {
    precondition(size > 1 && size.nonzeroBitCount == 1, "a power of two")
    self.size = size
    let angles = (0..<(size / 2)).map { 2 * Double.pi * Double($0) / Double(size) }
    (cosines, sines) = (angles.map { cos($0) }, angles.map { -sin($0) })
    let bits = size.trailingZeroBitCount
    reversed = (0..<size).map { place in (0..<bits).reduce(0) { $0 | ((place >> $1) & 1) << (bits - 1 - $1) } }
  }

  /// Squared magnitudes of the first size / 2 + 1 values of the transform of real numbers, [size].
  func power(of samples: [Double]) -> [Double] {
    precondition(samples.count == size)
    var real = reversed.map { samples[$0] }
    var imaginary = [Double](repeating: 0, count: size)
    var half = 1
    while half < size {
      let step = size / (2 * half)
      for start in stride(from: 0, to: size, by: 2 * half) {
        for k in 0..<half {
          let (c, s) = (cosines[k * step], sines[k * step])
          let (i, j) = (start + k, start + k + half)
          let (re, im) = (real[j] * c - imaginary[j] * s, real[j] * s + imaginary[j] * c)
          (real[j], imaginary[j]) = (real[i] - re, imaginary[i] - im)
          (real[i], imaginary[i]) = (real[i] + re, imaginary[i] + im)
        }
      }
      half *= 2
    }
    return (0...(size / 2)).map { real[$0] * real[$0] + imaginary[$0] * imaginary[$0] }
  }
}
