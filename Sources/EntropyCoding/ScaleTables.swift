/// The 64 standard deviations that a scale index stands for, and the tails of the normal and Laplace distributions at
/// the edges between integers, all in integer arithmetic so that every machine has the same tables.
/// // bitstream-spec 5.3
package enum Scale {
  /// Standard deviations in 2^-16: 0.11 * (64 / 0.11)^(i / 63), rounded. The list itself is normative.
  package static let sigmas: [UInt32] = [
    7209, 7976, 8824, 9762, 10800, 11948, 13219, 14624, 16179, 17900, 19803, 21909, 24238, 26815, 29667, 32821,
    36311, 40172, 44444, 49170, 54398, 60182, 66582, 73661, 81494, 90159, 99746, 110352, 122086, 135068, 149430,
    165319, 182898, 202346, 223862, 247666, 274000, 303135, 335368, 371029, 410481, 454128, 502417, 555840, 614943,
    680332, 752673, 832706, 921249, 1019208, 1127582, 1247480, 1380128, 1526880, 1689236, 1868856, 2067575, 2287425,
    2530652, 2799741, 3097443, 3426801, 3791180, 4194304,
  ]

  /// Quantised N(0, sigma^2) for each scale index, one table per index.
  package static let gaussian = TableSet(scaleTables: gaussianTails(sigma:))
  /// Quantised Laplace of standard deviation sigma for each scale index.
  package static let laplace = TableSet(scaleTables: laplaceTails(sigma:))

  /// Where a table stops: the first k with less than 2^-15 beyond k + 1/2 on one side.
  static let lastTail: Int64 = 1 << 17

  /// P(X > k + 1/2) in 2^-32 for k = 0...R, X normal of standard deviation sigma (2^-16); R at least 1.
  package static func gaussianTails(sigma: UInt32) -> [Int64] { GaussianTail.shared.tails(sigma: sigma) }

  /// P(X > k + 1/2) in 2^-32 for k = 0...R, X Laplace of standard deviation sigma (2^-16); R at least 1.
  package static func laplaceTails(sigma: UInt32) -> [Int64] {
    // Half a step's decay is exp(-a), a = (1/2) * sqrt(2) / sigma, in 2^-60.
    let rootHalf: UInt128 = 815_238_614_083_298_888  // floor(2^60 / sqrt(2))
    let a = UInt64((rootHalf << 16) / UInt128(sigma))
    let half = expMinus(a)
    let step = multiply62(half, half)
    var tail = half >> 1
    var tails: [Int64] = []
    repeat {
      tails.append(Int64(tail >> 30))
      tail = multiply62(tail, step)
    } while tails.count < 2 || tails.last! >= lastTail
    return tails
  }

  /// exp(-a / 2^60) in 2^-62, for a below 16 * 2^60.
  package static func expMinus(_ a: UInt64) -> UInt64 {
    let z = a >> 2  // a / 16 in 2^-62, below 1
    // Horner on the Taylor series, from the 20th term down: s = 1 - z / n * s.
    let one: UInt64 = 1 << 62
    var s = one
    for n in stride(from: UInt64(20), through: 1, by: -1) { s = one - multiply62(z, s) / n }
    for _ in 0..<4 { s = multiply62(s, s) }
    return s
  }

  /// floor(a * b / 2^62)
  package static func multiply62(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let p = a.multipliedFullWidth(by: b)
    return p.high << 2 | p.low >> 62
  }
}

/// The normal distribution's upper tail on a grid of 1/64, from the density's recurrence, and between grid points by
/// a cubic. Error below 2^-30. // bitstream-spec 5.3
struct GaussianTail {
  static let shared = GaussianTail()
  private static let points = 384  // x up to 6

  /// Upper tail at x = j / 64, in 2^-36.
  private var tail: [Int64] = []
  /// Density at x = j / 64, times the grid's 1/64, in 2^-36.
  private var slope: [Int64] = []

  private init() {
    // exp(-(x + h)^2 / 2) = exp(-x^2 / 2) * ratio, and the ratio itself shrinks by exp(-h^2) each step.
    var density: UInt64 = 1_839_796_536_686_825_613  // floor(2^62 / sqrt(2 pi))
    var ratio: UInt64 = 4_611_123_102_832_306_901  // floor(2^62 * exp(-h^2 / 2)), h = 1/64
    let shrink: UInt64 = 4_610_560_255_948_314_623  // floor(2^62 * exp(-h^2))
    var upper: Int64 = 1 << 47  // 2^-48
    for j in 0...Int64(Self.points) {
      tail.append(upper >> 12)
      slope.append(Int64(density >> 32))
      let here = Int64(density >> 14)
      density = Scale.multiply62(density, ratio)
      ratio = Scale.multiply62(ratio, shrink)
      let next = Int64(density >> 14)
      // Trapezoid with end correction (Euler-Maclaurin): h/2 (f0 + f1) + h^2/12 (f0' - f1'), f' = -x f.
      upper -= (24576 * (here + next) + (j + 1) * next - j * here) / 3_145_728
    }
  }

  /// P(X > k + 1/2) in 2^-32 for k = 0...R, X normal with standard deviation sigma (2^-16); R at least 1.
  func tails(sigma: UInt32) -> [Int64] {
    var tails: [Int64] = []
    repeat { tails.append(at(edge: tails.count, sigma: Int64(sigma))) } while tails.count < 2
      || tails.last! >= Scale.lastTail
    return tails
  }

  private func at(edge k: Int, sigma: Int64) -> Int64 {
    // x = (k + 1/2) * 2^16 / sigma; in grid steps of 1/64 that is (2k + 1) * 2^21 / sigma.
    let numerator = Int64(2 * k + 1) << 21
    let j = Int(numerator / sigma)
    guard j < Self.points else { return 0 }
    let t = ((numerator % sigma) << 30) / sigma  // 2^-30
    let d = tail[j + 1] - tail[j]
    let m0 = -slope[j]
    let m1 = -slope[j + 1]
    // Hermite's cubic through both values and slopes, by Horner.
    var v = m0 + m1 - 2 * d
    v = (3 * d - 2 * m0 - m1) + ((v * t) >> 30)
    v = m0 + ((v * t) >> 30)
    v = tail[j] + ((v * t) >> 30)
    return max(0, v >> 4)
  }
}
