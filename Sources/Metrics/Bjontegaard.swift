import Glibc

/// One point of a rate-distortion curve.
package struct RatePoint: Sendable, Hashable {
  /// Rate in any unit, above zero, such as bits per pixel.
  package var rate: Double
  /// Quality, more is better, such as PSNR in dB.
  package var quality: Double

  package init(rate: Double, quality: Double) {
    self.rate = rate
    self.quality = quality
  }

  /// The mean rate and mean quality of several pictures' points at one setting.
  package static func mean(of points: [RatePoint]) -> RatePoint {
    RatePoint(rate: arithmeticMean(points.map(\.rate)), quality: arithmeticMean(points.map(\.quality)))
  }
}

/// The arithmetic mean; NaN for nothing.
package func arithmeticMean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }

/// Bjontegaard delta rate in percent: how much more rate `test` needs for `anchor`'s quality, negative when it saves.
///
/// Mean over the common quality range of the difference in log rate, each curve interpolated by PCHIP over its points
/// (VCEG-M33 with the interpolation of JCTVC-L1100). Points may come in any order.
///
/// Throws `MetricError.curve`: fewer than two points, equal qualities, rates of zero or less, or curves whose common
/// range is less than `minimumOverlap` of the whole range.
package func bdRate(anchor: [RatePoint], test: [RatePoint], minimumOverlap: Double = 0) throws(MetricError) -> Double {
  let delta = try meanDifference(
    try curve(anchor, over: \.quality, \.logRate), try curve(test, over: \.quality, \.logRate), minimumOverlap)
  return (pow(10, delta) - 1) * 100
}

/// Bjontegaard delta PSNR in units of quality (dB): how much better `test` is at `anchor`'s rate; over log rate.
///
/// Throws as `bdRate` does.
package func bdPSNR(anchor: [RatePoint], test: [RatePoint], minimumOverlap: Double = 0) throws(MetricError) -> Double {
  try meanDifference(
    try curve(anchor, over: \.logRate, \.quality), try curve(test, over: \.logRate, \.quality), minimumOverlap)
}

/// The rate at which a codec has that quality, by PCHIP over log rate as `bdRate` has it; nil outside its points.
///
/// Throws as `bdRate` does.
package func rate(of points: [RatePoint], at quality: Double) throws(MetricError) -> Double? {
  try curve(points, over: \.quality, \.logRate).value(at: quality).map { pow(10, $0) }
}

extension RatePoint {
  fileprivate var logRate: Double { log10(rate) }
}

private func curve(
  _ points: [RatePoint], over x: KeyPath<RatePoint, Double>, _ y: KeyPath<RatePoint, Double>
) throws(MetricError) -> MonotoneCubic {
  guard points.allSatisfy({ $0.rate > 0 && $0.rate.isFinite && $0.quality.isFinite }) else {
    throw MetricError(.curve, at: "BD", "rates must be positive and all values finite")
  }
  let sorted = points.sorted { $0[keyPath: x] < $1[keyPath: x] }
  guard let cubic = MonotoneCubic(xs: sorted.map { $0[keyPath: x] }, ys: sorted.map { $0[keyPath: y] }) else {
    throw MetricError(.curve, at: "BD", "a curve needs two points or more, at different places")
  }
  return cubic
}

private func meanDifference(_ anchor: MonotoneCubic, _ test: MonotoneCubic, _ minimumOverlap: Double)
  throws(MetricError) -> Double
{
  let low = max(anchor.xs.first!, test.xs.first!)
  let high = min(anchor.xs.last!, test.xs.last!)
  let all = max(anchor.xs.last!, test.xs.last!) - min(anchor.xs.first!, test.xs.first!)
  guard high > low else { throw MetricError(.curve, at: "BD", "the curves do not overlap") }
  guard (high - low) / all >= minimumOverlap else {
    throw MetricError(.curve, at: "BD", "the curves overlap by \((high - low) / all) of their range")
  }
  return (test.integral(low, high) - anchor.integral(low, high)) / (high - low)
}

/// PCHIP: the piecewise cubic Hermite interpolant of Fritsch and Butland 1984, with the three-point end slopes of
/// Moler's "Numerical Computing with MATLAB", 3.4. It never overshoots its points.
struct MonotoneCubic {
  /// Strictly increasing.
  let xs: [Double]
  let ys: [Double]
  /// Derivatives at `xs`.
  let slopes: [Double]

  /// Nil for fewer than two points or `xs` that do not strictly increase.
  init?(xs: [Double], ys: [Double]) {
    let n = xs.count
    guard n >= 2, ys.count == n, zip(xs, xs.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
    self.xs = xs
    self.ys = ys
    let h = (0..<(n - 1)).map { xs[$0 + 1] - xs[$0] }
    let m = (0..<(n - 1)).map { (ys[$0 + 1] - ys[$0]) / h[$0] }
    guard n > 2 else {
      slopes = [m[0], m[0]]
      return
    }
    var d = [Double](repeating: 0, count: n)
    for k in 1..<(n - 1) where m[k - 1] * m[k] > 0 {
      let (w1, w2) = (2 * h[k] + h[k - 1], h[k] + 2 * h[k - 1])
      d[k] = (w1 + w2) / (w1 / m[k - 1] + w2 / m[k])
    }
    d[0] = MonotoneCubic.endSlope(h[0], h[1], m[0], m[1])
    d[n - 1] = MonotoneCubic.endSlope(h[n - 2], h[n - 3], m[n - 2], m[n - 3])
    slopes = d
  }

  private static func endSlope(_ h0: Double, _ h1: Double, _ m0: Double, _ m1: Double) -> Double {
    let d = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
    if d * m0 <= 0 { return 0 }
    if m0 * m1 <= 0, abs(d) > 3 * abs(m0) { return 3 * m0 }
    return d
  }

  /// Nil outside `xs`.
  func value(at x: Double) -> Double? {
    guard let first = xs.first, let last = xs.last, x >= first, x <= last else { return nil }
    let k = min(xs.count - 2, max(0, (xs.firstIndex { $0 > x } ?? xs.count) - 1))
    let (h, s) = (xs[k + 1] - xs[k], x - xs[k])
    let m = (ys[k + 1] - ys[k]) / h
    let c = (3 * m - 2 * slopes[k] - slopes[k + 1]) / h
    let b = (slopes[k] + slopes[k + 1] - 2 * m) / (h * h)
    return ys[k] + s * (slopes[k] + s * (c + s * b))
  }

  /// The integral from `low` to `high`, both within `xs`.
  func integral(_ low: Double, _ high: Double) -> Double {
    var sum = 0.0
    for k in 0..<(xs.count - 1) {
      let (from, to) = (max(low, xs[k]), min(high, xs[k + 1]))
      if from < to { sum += primitive(k, to) - primitive(k, from) }
    }
    return sum
  }

  /// The integral over piece `k` from its start to `x`.
  private func primitive(_ k: Int, _ x: Double) -> Double {
    let h = xs[k + 1] - xs[k]
    let m = (ys[k + 1] - ys[k]) / h
    let c = (3 * m - 2 * slopes[k] - slopes[k + 1]) / h
    let b = (slopes[k] + slopes[k + 1] - 2 * m) / (h * h)
    let s = x - xs[k]
    return s * (ys[k] + s * (slopes[k] / 2 + s * (c / 3 + s * b / 4)))
  }
}
