import Glibc
import Media

extension MetricError {
  static func check(_ a: AudioBuffer, _ b: AudioBuffer, at location: String) throws(MetricError) {
    guard a.format == b.format, a.frames == b.frames else {
      func text(_ sound: AudioBuffer) -> String {
        "\(sound.frames) frames of \(sound.format.layout.count) channels at \(sound.format.sampleRate) Hz"
      }
      throw MetricError(.mismatch, at: location, "\(text(a)) against \(text(b))")
    }
  }
}

/// Scale-invariant signal-to-distortion ratio in dB, over all channels together: of the original s and the decoded e, both less
/// their channels' means, 10 log10(|a s|^2 / |e - a s|^2) with a = <s, e> / <s, s>. Infinite for what differs in loudness alone; nil
/// where the original is constant in every channel.
///
/// Throws `MetricError.mismatch`.
// Le Roux et al., "SDR - half-baked or well done?", section 2
package func siSDR(_ original: AudioBuffer, _ decoded: AudioBuffer) throws(MetricError) -> Double? {
  try MetricError.check(original, decoded, at: "SI-SDR")
  func centred(_ samples: [Float]) -> [Double] {
    let mean = samples.reduce(0) { $0 + Double($1) } / Double(max(samples.count, 1))
    return samples.map { Double($0) - mean }
  }
  let pairs = zip(original.samples, decoded.samples).map { (centred($0), centred($1)) }
  var (energy, product) = (0.0, 0.0)
  for (s, e) in pairs {
    for i in s.indices {
      energy += s[i] * s[i]
      product += s[i] * e[i]
    }
  }
  guard energy > 0 else { return nil }
  let scale = product / energy
  var noise = 0.0
  for (s, e) in pairs {
    for i in s.indices {
      let error = e[i] - scale * s[i]
      noise += error * error
    }
  }
  return 10 * log10(scale * scale * energy / noise)
}

/// Log-spectral distance in dB: the root mean square over bins of the difference of both power spectra in dB, mean over windows
/// and channels. 0 for equal sounds; nil of no frames.
///
/// Hann windows of 2048 frames, one every 512, the first around frame 0, zeros beyond the ends. A sine of full scale has 0 dB;
/// power below -100 dB counts as -100 dB, so that silence is no infinite distance.
///
/// Throws `MetricError.mismatch`.
package func logSpectralDistance(_ original: AudioBuffer, _ decoded: AudioBuffer) throws(MetricError) -> Double? {
  try MetricError.check(original, decoded, at: "log-spectral distance")
  guard original.frames > 0 else { return nil }
  let (size, hop) = (2048, 512)
  let transform = FourierTransform(size: size)
  let window = (0..<size).map { 0.5 - 0.5 * cos(2 * Double.pi * Double($0) / Double(size)) }
  // Half the window's sum: what a sine of full scale comes to.
  let scale = 2 / window.reduce(0, +)
  func spectrum(_ samples: [Float], around centre: Int) -> [Double] {
    let start = centre - size / 2
    let windowed = (0..<size).map { i in
      samples.indices.contains(start + i) ? Double(samples[start + i]) * window[i] * scale : 0
    }
    return transform.power(of: windowed).map { 10 * log10(max($0, 1e-10)) }
  }
  let windows = original.frames / hop + 1
  var sum = 0.0
  for (a, b) in zip(original.samples, decoded.samples) {
    for k in 0..<windows {
      let differences = zip(spectrum(a, around: k * hop), spectrum(b, around: k * hop)).map { ($0 - $1) * ($0 - $1) }
      sum += (differences.reduce(0, +) / Double(differences.count)).squareRoot()
    }
  }
  return sum / Double(windows * original.samples.count)
}
