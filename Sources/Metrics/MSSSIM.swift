import Glibc
import Media

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
  var sum = 0.0
  for channel in 0..<a.channels {
    var x = FloatPlane(a, channel: channel)
    var y = FloatPlane(b, channel: channel)
    var product = 1.0
    for (scale, weight) in MSSSIM.weights.enumerated() {
      let (ssim, contrast) = MSSSIM.terms(x, y)
      let isLast = scale == MSSSIM.weights.count - 1
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

/// One channel, `[height, width]`, values 0...255.
private struct FloatPlane {
  let width, height: Int
  let values: [Float]

  init(_ image: Image, channel: Int) {
    width = image.width
    height = image.height
    let step = image.channels
    values = image.withUnsafeSamples { samples in
      (0..<(samples.count / step)).map { Float(samples[$0 * step + channel]) }
    }
  }

  private init(width: Int, height: Int, values: [Float]) {
    self.width = width
    self.height = height
    self.values = values
  }

  /// Means of 2x2, `[ceil(height / 2), ceil(width / 2)]`. An odd side has a line of zeros before its first, which
  /// counts in the mean: that is avg_pool2d with padding 1.
  func halved() -> FloatPlane {
    let (w, h) = ((width + 1) / 2, (height + 1) / 2)
    let (left, top) = (width % 2, height % 2)
    let out = [Float](unsafeUninitializedCapacity: w * h) { out, count in
      values.withUnsafeBufferPointer { values in
        func at(_ x: Int, _ y: Int) -> Float { x < 0 || y < 0 ? 0 : values[y * width + x] }
        for y in 0..<h {
          for x in 0..<w {
            let (x0, y0) = (2 * x - left, 2 * y - top)
            out[y * w + x] = (at(x0, y0) + at(x0 + 1, y0) + at(x0, y0 + 1) + at(x0 + 1, y0 + 1)) / 4
          }
        }
      }
      count = w * h
    }
    return FloatPlane(width: w, height: h, values: out)
  }
}

private enum MSSSIM {
  static let weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
  static let taps = 11
  static let c1: Float = (0.01 * 255) * (0.01 * 255)
  static let c2: Float = (0.03 * 255) * (0.03 * 255)

  static let window: [Float] = {
    let values = (0..<taps).map { exp(-pow(Double($0 - taps / 2), 2) / (2 * 1.5 * 1.5)) }
    let sum = values.reduce(0, +)
    return values.map { Float($0 / sum) }
  }()

  /// Means over the plane of SSIM and of its contrast-structure factor.
  static func terms(_ x: FloatPlane, _ y: FloatPlane) -> (ssim: Double, contrast: Double) {
    let (width, height) = (x.width, x.height)
    let (outWidth, outHeight) = (width - taps + 1, height - taps + 1)
    var ssimSum = 0.0
    var contrastSum = 0.0
    // Four moments suffice: the two variances occur only as their sum.
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 8 * width) { rows in
      let base = rows.baseAddress!
      let (vx, vy, vs, vp) = (base, base + width, base + 2 * width, base + 3 * width)
      let (hx, hy, hs, hp) = (base + 4 * width, base + 5 * width, base + 6 * width, base + 7 * width)
      window.withUnsafeBufferPointer { window in
        x.values.withUnsafeBufferPointer { xs in
          y.values.withUnsafeBufferPointer { ys in
            for row in 0..<outHeight {
              rows.update(repeating: 0)
              for tap in 0..<taps {
                let g = window[tap]
                let a = xs.baseAddress! + (row + tap) * width
                let b = ys.baseAddress! + (row + tap) * width
                for i in 0..<width {
                  let (p, q) = (a[i], b[i])
                  let (gp, gq) = (g * p, g * q)
                  vx[i] += gp
                  vy[i] += gq
                  vs[i] += gp * p + gq * q
                  vp[i] += gp * q
                }
              }
              for tap in 0..<taps {
                let g = window[tap]
                for i in 0..<outWidth {
                  hx[i] += g * vx[i + tap]
                  hy[i] += g * vy[i + tap]
                  hs[i] += g * vs[i + tap]
                  hp[i] += g * vp[i + tap]
                }
              }
              for i in 0..<outWidth {
                let product = hx[i] * hy[i]
                let squares = hx[i] * hx[i] + hy[i] * hy[i]
                let contrast = (2 * (hp[i] - product) + c2) / (hs[i] - squares + c2)
                contrastSum += Double(contrast)
                ssimSum += Double((2 * product + c1) / (squares + c1) * contrast)
              }
            }
          }
        }
      }
    }
    let count = Double(outWidth * outHeight)
    return (ssimSum / count, contrastSum / count)
  }
}
