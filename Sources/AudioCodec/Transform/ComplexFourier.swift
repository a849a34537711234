/// The discrete Fourier transform of a power of two of complex numbers, decimated in time: the same order of operations everywhere.
// bitstream-spec 11.6
final class ComplexFourier: Sendable {
  let size: Int
  /// Where the n-th number stands that `transform` takes.
  let reversed: [Int32]
  /// For stages of 2, 4, ... points, one behind the other.
  private let rootsRe, rootsIm: [Float]

  init(_ size: Int) {
    self.size = size
    var re: [Float] = [], im: [Float] = []
    var points = 2
    while points <= size {
      for j in 0..<points / 2 {
        // Angles of 0..<1 times pi.
        let x = Double(2 * j) / Double(points)
        re.append(Float(x <= 0.5 ? Trigonometry.sine(0.5 - x) : -Trigonometry.sine(x - 0.5)))
        im.append(Float(x <= 0.5 ? -Trigonometry.sine(x) : -Trigonometry.sine(1 - x)))
      }
      points *= 2
    }
    (rootsRe, rootsIm) = (re, im)
    let bits = size.trailingZeroBitCount
    reversed = (0..<size).map { n in (0..<bits).reduce(Int32(0)) { $0 << 1 | Int32(n >> $1 & 1) } }
  }

  /// In place, without scaling: from input in the order of `reversed` to coefficients of exp(-2 pi i k n / size).
  func transform(_ re: UnsafeMutablePointer<Float>, _ im: UnsafeMutablePointer<Float>) {
    rootsRe.withUnsafeBufferPointer { rootsRe in
      rootsIm.withUnsafeBufferPointer { rootsIm in
        var points = 2, first = 0
        while points <= size {
          let step = points / 2
          let wr = rootsRe.baseAddress! + first, wi = rootsIm.baseAddress! + first
          var start = 0
          while start < size {
            let ar = re + start, ai = im + start, br = ar + step, bi = ai + step
            for j in 0..<step {
              let tr = br[j] * wr[j] - bi[j] * wi[j]
              let ti = br[j] * wi[j] + bi[j] * wr[j]
              br[j] = ar[j] - tr
              bi[j] = ai[j] - ti
              ar[j] += tr
              ai[j] += ti
            }
            start += points
          }
          first += step
          points *= 2
        }
      }
    }
  }
}
