import Glibc
import Media

/// Structural similarity of two 8-bit pictures, -1...1: mean over channels, peak 255.
///
/// Wang, Bovik, Sheikh and Simoncelli 2004, in the variant of the Python package pytorch-msssim: an 11-tap Gaussian (sigma
/// 1.5) at every place where it fits whole, on R, G and B as they are. Alpha is left out.
///
/// Throws `MetricError`: `mismatch`, or `tooSmall` when a side is less than 11 pixels.
package func ssim(_ a: Image, _ b: Image) throws(MetricError) -> Double {
  try MetricError.check(a, b, at: "SSIM")
  guard min(a.width, a.height) >= StructuralSimilarity.taps else {
    throw MetricError(
      .tooSmall, at: "SSIM", "\(a.width)x\(a.height): both sides must be \(StructuralSimilarity.taps) pixels or more")
  }
  let sum = (0..<a.channels).reduce(0.0) { sum, channel in
    sum + StructuralSimilarity.terms(FloatPlane(a, channel: channel), FloatPlane(b, channel: channel)).ssim
  }
  return sum / Double(a.channels)
}

/// Multi-scale structural similarity of two 8-bit pictures, 0...1: mean over channels, five scales, peak 255.
///
/// Wang, Simoncelli and Bovik 2003, in the variant of the Python package pytorch-msssim, which papers on learned
/// compression quote: an 11-tap Gaussian (sigma 1.5) without padding, 2x2 means between scales with zeros around odd
/// sides, negative contrast terms cut to zero. Alpha is left out.
///
/// Throws `MetricError`: `mismatch`, or `tooSmall` when a side is 160 pixels or less.
package func msSSIM(_ a: Image, _ b: Image) throws(MetricError) -> Double {
  try MetricError.check(a, b, at: "MS-SSIM")
  guard min(a.width, a.height) > 160 else {
    throw MetricError(.tooSmall, at: "MS-SSIM", "\(a.width)x\(a.height): both sides must exceed 160 pixels")
  }
  let weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
  var sum = 0.0
  for channel in 0..<a.channels {
    var x = FloatPlane(a, channel: channel)
    var y = FloatPlane(b, channel: channel)
    var product = 1.0
    for (scale, weight) in weights.enumerated() {
      let (ssim, contrast) = StructuralSimilarity.terms(x, y)
      let isLast = scale == weights.count - 1
      product *= pow(max(isLast ? ssim : contrast, 0), weight)
      if !isLast {
        x = x.halved()
        y = y.halved()
      }
    }
    sum += product
  }
  return sum / Double(a.channels)
}

/// `-10 log10(1 - msSSIM)` in dB, the scale on which papers plot it.
package func decibels(msSSIM value: Double) -> Double { -10 * log10(1 - value) }
