import Glibc
import Media

/// PSNR in dB of luma and the two chroma planes, by 6:1:1, peak 255: `(6 PSNR(Y) + PSNR(U) + PSNR(V)) / 8`; infinite for
/// equal pictures. Where chroma does not differ at all, as in grey pictures of either form, it is luma's alone.
///
/// The weights are those of Ohm, Sullivan, Schwarz, Tan and Wiegand 2012 (IEEE TCSVT 22/12, section II-A). Y, U and V are
/// BT.709's (BT.709-6, items 3.2 and 3.3: luma 0.2126, 0.7152, 0.0722, the primaries that sRGB has), full range, of the
/// 8-bit samples, not rounded and not subsampled, so chroma that a codec subsamples is held against the whole. Alpha is
/// left out.
///
/// Throws `MetricError.mismatch`.
package func psnrYUV(_ a: Image, _ b: Image) throws(MetricError) -> Double {
  try MetricError.check(a, b, at: "PSNR of YUV")
  guard a.colour == .rgb else { return try psnr(a, b) }
  let errors = meanSquaredErrorYUV(a, b)
  if errors.u == 0, errors.v == 0 { return psnr(meanSquaredError: errors.y) }
  return (6 * psnr(meanSquaredError: errors.y) + psnr(meanSquaredError: errors.u) + psnr(meanSquaredError: errors.v)) / 8
}

/// Each plane's mean squared error, in squared 8-bit steps.
///
/// The transform is linear, so errors go through it instead of pictures; and as their squares are quadratic forms of the
/// errors in R, G and B, six sums of integers say all.
private func meanSquaredErrorYUV(_ a: Image, _ b: Image) -> (y: Double, u: Double, v: Double) {
  let block = 3 << 10
  /// Sums of squares and products of the red error, red less green, and red less blue.
  var (rr, rp, rq, pp, pq, qq) = (0, 0, 0, 0, 0, 0)
  a.withUnsafeSamples { a in
    b.withUnsafeSamples { b in
      for start in stride(from: 0, to: a.count, by: block) {
        // 2^10 products of at most 510^2 fit 32 bits, which lets the loop use narrow lanes.
        var (srr, srp, srq, spp, spq, sqq) = (Int32(0), Int32(0), Int32(0), Int32(0), Int32(0), Int32(0))
        for i in stride(from: start, to: min(start + block, a.count), by: 3) {
          let r = Int32(a[i]) &- Int32(b[i])
          let p = r &- (Int32(a[i + 1]) &- Int32(b[i + 1]))
          let q = r &- (Int32(a[i + 2]) &- Int32(b[i + 2]))
          srr &+= r &* r
          srp &+= r &* p
          srq &+= r &* q
          spp &+= p &* p
          spq &+= p &* q
          sqq &+= q &* q
        }
        (rr, rp, rq) = (rr + Int(srr), rp + Int(srp), rq + Int(srq))
        (pp, pq, qq) = (pp + Int(spp), pq + Int(spq), qq + Int(sqq))
      }
    }
  }
  /// Of `red * r + p * p' + q * q'`.
  func mean(_ red: Double, _ p: Double, _ q: Double) -> Double {
    let squares = red * red * Double(rr) + p * p * Double(pp) + q * q * Double(qq)
    let products = red * p * Double(rp) + red * q * Double(rq) + p * q * Double(pq)
    return max(squares + 2 * products, 0) / Double(a.pixelCount)
  }
  let (kr, kb) = (0.2126, 0.0722)
  let kg = 1 - kr - kb
  // Y = R - kg (R - G) - kb (R - B); U and V are B - Y and R - Y over 2 (1 - kb) and 2 (1 - kr).
  let (u, v) = (2 * (1 - kb), 2 * (1 - kr))
  return (mean(1, -kg, -kb), mean(0, kg / u, (kb - 1) / u), mean(0, kg / v, kb / v))
}
