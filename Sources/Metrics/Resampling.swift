import Glibc

/// Sound at another sample rate, for measures that want one: ceil(n to / from) samples, sample 0 at time 0.
///
/// A windowed sinc, 32 zero crossings to each side, cut off at 0.96 of the lower Nyquist frequency, so that nothing is left above it:
/// ViSQOL hears in the empty bands of what was sampled up, and mirror images there, even of rounding noise, cost it half a point.
package func resampled(_ samples: [Float], from: Int, to: Int) -> [Float] {
  precondition(from > 0 && to > 0)
  if from == to || samples.isEmpty { return samples }
  var (divisor, rest) = (from, to)
  while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
  let (up, down) = (to / divisor, from / divisor)
  let most = max(up, down)
  let half = 32 * most
  let taps = lowpass(half: half, most: most, gain: Double(up))
  return (0..<((samples.count * up + down - 1) / down)).map { m in
    let place = m * down
    // Input k stands at k up.
    let first = max(0, (place - half + up - 1) / up)
    let last = min(samples.count - 1, (place + half) / up)
    var sum = 0.0
    var tap = place - first * up + half
    for k in stride(from: first, through: last, by: 1) {
      sum += Double(samples[k]) * taps[tap]
      tap -= up
    }
    return Float(sum)
  }
}

/// [2 half + 1], with a Kaiser window of beta 9; its sum is `gain`.
private func lowpass(half: Int, most: Int, gain: Double) -> [Double] {
  func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(Double.pi * x) / (Double.pi * x) }
  /// The modified Bessel function of order 0.
  func bessel(_ x: Double) -> Double {
    var (sum, term, k) = (1.0, 1.0, 1.0)
    while term > 1e-18 * sum {
      term *= (x / (2 * k)) * (x / (2 * k))
      sum += term
      k += 1
    }
    return sum
  }
  var taps = (-half...half).map { n -> Double in
    let part = Double(n) / Double(half)
    return sinc(Double(n) / Double(most) * 0.96) * bessel(9 * max(0, 1 - part * part).squareRoot())
  }
  let scale = gain / taps.reduce(0, +)
  for i in taps.indices { taps[i] *= scale }
  return taps
}
