/// Planar YCbCr with BT.601 coefficients, and its conversion to 8-bit RGB in integers. `YCbCrPlanes` is the inverse.
///
/// Chroma samples lie in the middle of the luma samples that they stand for, as in JFIF and VP8, and are interpolated
/// linearly, which is what libjpeg-turbo ("fancy upsampling") and libwebp do. swscale was measured to differ from both by
/// 1.6 on average and 22 at most on Fixtures/Images/420.jpg, and its result depends on the CPU, so it is not used.
struct YCbCrPicture<Sample: FixedWidthInteger & UnsignedInteger> {
  let width, height: Int
  /// `[height, width]` at `lumaStride` bytes a row.
  let luma: UnsafePointer<Sample>
  let lumaStride: Int
  /// `[ceil(height / verticalFactor), ceil(width / horizontalFactor)]`.
  let cb: UnsafePointer<Sample>
  let cbStride: Int
  let cr: UnsafePointer<Sample>
  let crStride: Int
  /// Luma samples per chroma sample: 1, 2 or 4.
  let horizontalFactor, verticalFactor: Int
  /// Luma 0...255 as in JPEG; else 16...235.
  let isFullRange: Bool
  /// Bits a sample: 8 to 12, in a `Sample` that holds them. 10 bits are 0...1023, and 64...940 where not full.
  let depth: Int

  /// Writes RGB `[height, width, 3]`.
  func convert(into out: UnsafeMutablePointer<UInt8>) {
    let chromaWidth = (width + horizontalFactor - 1) / horizontalFactor
    // BT.601 at 16 fractional bits: 1.402, 0.344136, 0.714136, 1.772; times 255/224 for studio range.
    var (rv, gu, gv, bu) = isFullRange ? (91_881, 22_554, 46_802, 116_130) : (104_597, 25_675, 53_279, 132_201)
    var (lumaGain, lumaOffset) = isFullRange ? (65_536, 0) : (76_309, 16)  // 255/219
    let extra = depth - 8
    if extra > 0 {
      // Full range ends at 2^depth - 1, not at 255 * 2^extra.
      func deep(_ gain: Int) -> Int {
        isFullRange ? (gain * (255 << extra) + ((1 << depth) - 1) / 2) / ((1 << depth) - 1) : gain
      }
      (rv, gu, gv, bu, lumaGain, lumaOffset) = (deep(rv), deep(gu), deep(gv), deep(bu), deep(lumaGain), lumaOffset << extra)
    }
    let middle = 128 << extra
    // Both interpolations keep their full sums, which are this many times a sample.
    let scale = 4 * horizontalFactor * verticalFactor
    let shift = 16 + extra + scale.trailingZeroBitCount
    let half = 1 << (shift - 1)
    let taps = (0..<width).map { Interpolation($0, factor: horizontalFactor, count: chromaWidth) }
    var us = [Int](repeating: 0, count: chromaWidth)
    var vs = us
    us.withUnsafeMutableBufferPointer { us in
      vs.withUnsafeMutableBufferPointer { vs in
        taps.withUnsafeBufferPointer { taps in
          for y in 0..<height {
            interpolateRow(y, cb, cbStride, into: us)
            interpolateRow(y, cr, crStride, into: vs)
            let row = luma + y * lumaStride
            let to = out + y * width * 3
            for x in 0..<width {
              let tap = taps[x]
              let u = us[tap.first] * tap.firstWeight + us[tap.second] * tap.secondWeight - middle * scale
              let v = vs[tap.first] * tap.firstWeight + vs[tap.second] * tap.secondWeight - middle * scale
              let base = (Int(row[x]) - lumaOffset) * lumaGain * scale + half
              to[3 * x] = clamp((base + rv * v) >> shift)
              to[3 * x + 1] = clamp((base - gu * u - gv * v) >> shift)
              to[3 * x + 2] = clamp((base + bu * u) >> shift)
            }
          }
        }
      }
    }
  }

  /// Chroma row for luma row `y`, times `2 * verticalFactor`.
  private func interpolateRow(
    _ y: Int, _ plane: UnsafePointer<Sample>, _ stride: Int, into row: UnsafeMutableBufferPointer<Int>
  ) {
    let tap = Interpolation(y, factor: verticalFactor, count: (height + verticalFactor - 1) / verticalFactor)
    let (a, b) = (plane + tap.first * stride, plane + tap.second * stride)
    for x in 0..<row.count { row[x] = Int(a[x]) * tap.firstWeight + Int(b[x]) * tap.secondWeight }
  }

  private func clamp(_ value: Int) -> UInt8 { UInt8(min(max(value, 0), 255)) }
}

/// The two chroma samples around a luma position; the weights sum to `2 * factor`.
private struct Interpolation {
  let first, second: Int
  let firstWeight, secondWeight: Int

  init(_ position: Int, factor: Int, count: Int) {
    // In half luma samples from the middle of chroma sample 0; factor 1 gives weights 2 and 0.
    let distance = 2 * position + 1 - factor + 2 * factor  // kept positive by one chroma sample
    let before = distance / (2 * factor) - 1
    secondWeight = distance % (2 * factor)
    firstWeight = 2 * factor - secondWeight
    first = min(max(before, 0), count - 1)
    second = min(max(before + 1, 0), count - 1)
  }
}
