import Glibc
import Media

/// One channel, `[height, width]`, values 0...255, as the similarities need it.
struct FloatPlane {
  let width, height: Int
  /// Floats from one row to the next: the width and at least 8 zeros, which stand before the following row too.
  private let stride: Int
  /// 8 zeros, a row of zeros, the rows, 8 zeros: `8 + (height + 1) * stride + 8`. So one step left of a row or above the
  /// first, and 8 steps right of a row's end, there are zeros.
  private let values: [Float]

  /// `channel` of a picture; 0 for grey.
  init(_ image: Image, channel: Int) {
    let step = image.channels
    self.init(width: image.width, height: image.height) { row, y in
      image.withUnsafeSamples { samples in
        let from = samples.baseAddress! + y * image.width * step + channel
        for x in 0..<image.width { row[x] = Float(from[x * step]) }
      }
    }
  }

  private init(width: Int, height: Int, fill: (UnsafeMutablePointer<Float>, Int) -> Void) {
    self.width = width
    self.height = height
    let stride = (width + 8 + 7) & ~7
    self.stride = stride
    let count = 16 + (height + 1) * stride
    values = [Float](unsafeUninitializedCapacity: count) { out, initialised in
      let base = out.baseAddress!
      base.initialize(repeating: 0, count: count)
      for y in 0..<height { fill(base + 8 + (y + 1) * stride, y) }
      initialised = count
    }
  }

  /// Calls `body` with a function that gives the start of row -1, which is zeros, to `height - 1`.
  func withRows<R>(_ body: ((Int) -> UnsafePointer<Float>) -> R) -> R {
    values.withUnsafeBufferPointer { values in body { values.baseAddress! + 8 + ($0 + 1) * stride } }
  }

  var mean: Float {
    let sum = withRows { row in
      (0..<height).reduce(0.0) { sum, y in
        let values = row(y)
        var lanes = SIMD8<Float>()
        // Beyond the row's end there are zeros.
        for x in Swift.stride(from: 0, to: width, by: 8) {
          lanes += UnsafeRawPointer(values + x).loadUnaligned(as: SIMD8<Float>.self)
        }
        return sum + Double(lanes.sum())
      }
    }
    return Float(sum / Double(width * height))
  }

  /// Means of 2x2, `[ceil(height / 2), ceil(width / 2)]`. An odd side has a line of zeros before its first, which
  /// counts in the mean: that is avg_pool2d with padding 1.
  func halved() -> FloatPlane {
    let (left, top) = (width % 2, height % 2)
    let w = (width + 1) / 2
    return withRows { row in
      FloatPlane(width: w, height: (height + 1) / 2) { out, y in
        let (a, b) = (row(2 * y - top) - left, row(2 * y - top + 1) - left)
        for x in 0..<w { out[x] = (a[2 * x] + a[2 * x + 1] + b[2 * x] + b[2 * x + 1]) * 0.25 }
      }
    }
  }
}

/// The terms that SSIM and MS-SSIM share: an 11-tap Gaussian (sigma 1.5) without padding, peak 255, K 0.01 and 0.03
/// (Wang, Bovik, Sheikh and Simoncelli 2004, section III-C).
enum StructuralSimilarity {
  static let taps = 11
  private static let c1: Float = (0.01 * 255) * (0.01 * 255)
  private static let c2: Float = (0.03 * 255) * (0.03 * 255)

  private typealias Lanes = SIMD8<Float>
  /// Half of the symmetric window, the middle last.
  private typealias Window = (Float, Float, Float, Float, Float, Float)

  private static let window: Window = {
    let values = (0..<taps).map { exp(-pow(Double($0 - taps / 2), 2) / (2 * 1.5 * 1.5)) }
    let sum = values.reduce(0, +)
    let w = values.map { Float($0 / sum) }
    // Rounding must not take from the sum, or it takes from the variances.
    let middle = 1 - 2 * w[..<5].reduce(0) { $0 + Double($1) }
    return (w[0], w[1], w[2], w[3], w[4], Float(middle))
  }()

  /// Means over the plane of SSIM and of its contrast-structure factor. Both sides must be 11 or more, and equal.
  static func terms(_ x: FloatPlane, _ y: FloatPlane) -> (ssim: Double, contrast: Double) {
    let (width, height) = (x.width, x.height)
    let (outWidth, outHeight) = (width - taps + 1, height - taps + 1)
    var ssimSum = 0.0
    var contrastSum = 0.0
    // Four moments suffice, as the two variances occur only as their sum: x, y, x^2 + y^2, xy. Each row is filtered along
    // itself once, and the last 11 results wait for the filter across. Variances are small differences of large squares, so
    // the mean is taken off every sample first: it changes no variance, of which a Float then keeps more bits.
    let centre = ((x.mean + y.mean) / 2).rounded()
    let stride = (width + 8 + 7) & ~7
    let window = window
    withUnsafeTemporaryAllocation(of: Float.self, capacity: (4 + 4 * taps) * stride) { scratch in
      scratch.initialize(repeating: 0)
      let (xs, ys) = (scratch.baseAddress!, scratch.baseAddress! + stride)
      let squares = ys + stride
      let products = squares + stride
      let ring = products + stride
      x.withRows { xRow in
        y.withRows { yRow in
          for row in 0..<height {
            let (p, q) = (xRow(row), yRow(row))
            for i in Swift.stride(from: 0, to: width, by: 8) {
              let (a, b) = (load(p + i) - centre, load(q + i) - centre)
              store(a, to: xs + i)
              store(b, to: ys + i)
              store(a * a + b * b, to: squares + i)
              store(a * b, to: products + i)
            }
            let out = ring + row % taps * 4 * stride
            for i in Swift.stride(from: 0, to: outWidth, by: 8) {
              store(along(xs + i, window), to: out + i)
              store(along(ys + i, window), to: out + stride + i)
              store(along(squares + i, window), to: out + 2 * stride + i)
              store(along(products + i, window), to: out + 3 * stride + i)
            }
            guard row >= taps - 1 else { continue }
            let sums = rowSums(Ring(ring, newest: row % taps, stride: stride), outWidth, window, centre)
            ssimSum += sums.ssim
            contrastSum += sums.contrast
          }
        }
      }
    }
    let count = Double(outWidth * outHeight)
    return (ssimSum / count, contrastSum / count)
  }

  /// The last 11 rows of the four moments, the oldest first.
  private struct Ring {
    let rows: InlineArray<11, UnsafePointer<Float>>
    /// Floats from one moment to the next.
    let stride: Int

    init(_ base: UnsafeMutablePointer<Float>, newest: Int, stride: Int) {
      rows = InlineArray { UnsafePointer(base + (newest + 1 + $0) % taps * 4 * stride) }
      self.stride = stride
    }

    @inline(__always)
    func across(_ offset: Int, _ w: Window) -> Lanes {
      var sum = (load(rows[0] + offset) + load(rows[10] + offset)) * w.0
      sum += (load(rows[1] + offset) + load(rows[9] + offset)) * w.1
      sum += (load(rows[2] + offset) + load(rows[8] + offset)) * w.2
      sum += (load(rows[3] + offset) + load(rows[7] + offset)) * w.3
      sum += (load(rows[4] + offset) + load(rows[6] + offset)) * w.4
      return sum + load(rows[5] + offset) * w.5
    }
  }

  /// `centre` is what was taken off.
  private static func rowSums(
    _ ring: Ring, _ count: Int, _ window: Window, _ centre: Float
  ) -> (ssim: Double, contrast: Double) {
    // A row's terms, each at most 1, are few enough for a Float.
    var (ssimSum, contrastSum) = (Lanes(), Lanes())
    for i in stride(from: 0, to: count, by: 8) {
      let (mx, my) = (ring.across(i, window), ring.across(ring.stride + i, window))
      let (ms, mp) = (ring.across(2 * ring.stride + i, window), ring.across(3 * ring.stride + i, window))
      let product = mx * my
      let squares = mx * mx + my * my
      var contrast = (2 * (mp - product) + c2) / (ms - squares + c2)
      // The last eight may reach beyond the row.
      if i + 8 > count { for lane in (count - i)..<8 { contrast[lane] = 0 } }
      contrastSum += contrast
      let (x, y) = (mx + centre, my + centre)
      let (means, powers) = (x * y, x * x + y * y)
      ssimSum += (2 * means + c1) / (powers + c1) * contrast
    }
    return (Double(ssimSum.sum()), Double(contrastSum.sum()))
  }

  @inline(__always)
  private static func along(_ p: UnsafePointer<Float>, _ w: Window) -> Lanes {
    var sum = (load(p) + load(p + 10)) * w.0
    sum += (load(p + 1) + load(p + 9)) * w.1
    sum += (load(p + 2) + load(p + 8)) * w.2
    sum += (load(p + 3) + load(p + 7)) * w.3
    sum += (load(p + 4) + load(p + 6)) * w.4
    return sum + load(p + 5) * w.5
  }

  @inline(__always)
  private static func load(_ p: UnsafePointer<Float>) -> Lanes { UnsafeRawPointer(p).loadUnaligned(as: Lanes.self) }

  @inline(__always)
  private static func store(_ lanes: Lanes, to p: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(p).storeBytes(of: lanes, as: Lanes.self)
  }
}
