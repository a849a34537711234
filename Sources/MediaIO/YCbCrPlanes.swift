import Media

/// Planar YCbCr of full range with BT.601 coefficients, made from an RGB picture in integers. The inverse is `YCbCrPicture`.
///
/// Chroma is the mean over the pixels that a sample stands for (those beyond the edge left out), which puts it in their
/// middle, where `YCbCrPicture` expects it. Each sample is rounded once.
struct YCbCrPlanes {
  /// Luma, Cb, Cr: `[height, width]` and twice `[ceil(height / factor), ceil(width / factor)]`, rows without padding.
  private(set) var planes: [[UInt16]]
  let chromaWidth, chromaHeight: Int

  /// `factor` luma samples a chroma sample in each direction: 1 or 2. `depth` bits a sample: 8 to 12.
  init(_ image: Image, factor: Int, depth: Int) {
    precondition(image.colour == .rgb && (1...2).contains(factor) && (8...12).contains(depth), "RGB")
    let (width, height) = (image.width, image.height)
    let chromaWidth = (width + factor - 1) / factor
    let chromaHeight = (height + factor - 1) / factor
    let top = (1 << depth) - 1
    /// A coefficient at 20 fractional bits, from 0...255 to 0...top.
    func fixed(_ x: Double) -> Int { Int((x * Double(top) / 255 * 1_048_576).rounded()) }
    let (yr, yb) = (fixed(0.299), fixed(0.114))
    let yg = fixed(1) - yr - yb
    // Each row sums to zero, so grey has no colour.
    let (ur, ub) = (fixed(-0.299 / 1.772), fixed(0.5))
    let ug = -ur - ub
    let (vr, vb) = (fixed(0.5), fixed(-0.114 / 1.402))
    let vg = -vr - vb
    let half = 1 << 19
    var luma = [UInt16](repeating: 0, count: width * height)
    var cb = [UInt16](repeating: 0, count: chromaWidth * chromaHeight)
    var cr = cb
    image.withUnsafeSamples { rgb in
      luma.withUnsafeMutableBufferPointer { luma in
        for i in 0..<luma.count {
          let sum = yr * Int(rgb[3 * i]) + yg * Int(rgb[3 * i + 1]) + yb * Int(rgb[3 * i + 2])
          luma[i] = UInt16(truncatingIfNeeded: min((sum + half) >> 20, top))
        }
      }
      cb.withUnsafeMutableBufferPointer { cb in
        cr.withUnsafeMutableBufferPointer { cr in
          for y in 0..<chromaHeight {
            for x in 0..<chromaWidth {
              var (r, g, b, count) = (0, 0, 0, 0)
              for row in (y * factor)..<min(y * factor + factor, height) {
                for column in (x * factor)..<min(x * factor + factor, width) {
                  let i = 3 * (row * width + column)
                  r += Int(rgb[i])
                  g += Int(rgb[i + 1])
                  b += Int(rgb[i + 2])
                  count += 1
                }
              }
              // count is 1, 2 or 4.
              let shift = 20 + count.trailingZeroBitCount
              let middle = ((1 << (depth - 1)) << shift) + (1 << (shift - 1))
              let u = (ur * r + ug * g + ub * b + middle) >> shift
              let v = (vr * r + vg * g + vb * b + middle) >> shift
              cb[y * chromaWidth + x] = UInt16(truncatingIfNeeded: min(max(u, 0), top))
              cr[y * chromaWidth + x] = UInt16(truncatingIfNeeded: min(max(v, 0), top))
            }
          }
        }
      }
    }
    planes = [luma, cb, cr]
    (self.chromaWidth, self.chromaHeight) = (chromaWidth, chromaHeight)
  }
}
