import Glibc
import Media

/// Why a metric has no value. Equal by code.
package struct MetricError: Error, Sendable, Hashable, CustomStringConvertible {
  package enum Code: String, Sendable, Hashable {
    /// Pictures of different size or colour.
    case mismatch
    /// A side of 160 pixels or less, where MS-SSIM is not defined.
    case tooSmall
    /// Curves that cannot be interpolated or do not overlap.
    case curve
  }

  package let code: Code
  /// The metric.
  package let location: String
  package let reason: String

  package init(_ code: Code, at location: String, _ reason: String) {
    self.code = code
    self.location = location
    self.reason = reason
  }

  package static func == (a: MetricError, b: MetricError) -> Bool { a.code == b.code }
  package func hash(into hasher: inout Hasher) { hasher.combine(code) }
  package var description: String { "\(location): \(reason)" }

  static func check(_ a: Image, _ b: Image, at location: String) throws(MetricError) {
    guard a.width == b.width, a.height == b.height, a.colour == b.colour else {
      throw MetricError(
        .mismatch, at: location, "\(a.width)x\(a.height) \(a.colour) against \(b.width)x\(b.height) \(b.colour)")
    }
  }
}

/// Mean squared error over all colour samples, alpha left out, in squared 8-bit steps.
///
/// Throws `MetricError.mismatch`.
package func meanSquaredError(_ a: Image, _ b: Image) throws(MetricError) -> Double {
  try MetricError.check(a, b, at: "MSE")
  return Double(squaredErrorSum(a, b)) / Double(a.pixelCount * a.channels)
}

/// Mean squared error of each channel, `[channels]`. Throws `MetricError.mismatch`.
package func meanSquaredErrorPerChannel(_ a: Image, _ b: Image) throws(MetricError) -> [Double] {
  try MetricError.check(a, b, at: "MSE")
  let channels = a.channels
  var sums = [Int](repeating: 0, count: channels)
  a.withUnsafeSamples { a in
    b.withUnsafeSamples { b in
      for c in 0..<channels {
        var sum = 0
        var i = c
        while i < a.count {
          let d = Int(a[i]) - Int(b[i])
          sum += d * d
          i += channels
        }
        sums[c] = sum
      }
    }
  }
  return sums.map { Double($0) / Double(a.pixelCount) }
}

/// Peak signal-to-noise ratio in dB over all colour samples (one MSE for R, G and B together), peak 255; infinite for
/// equal pictures. Throws `MetricError.mismatch`.
package func psnr(_ a: Image, _ b: Image) throws(MetricError) -> Double {
  psnr(meanSquaredError: try meanSquaredError(a, b))
}

/// Peak signal-to-noise ratio in dB of two frames' R, G and B together, as of pictures. Throws `MetricError.mismatch`.
package func psnr(_ a: VideoFrame, _ b: VideoFrame) throws(MetricError) -> Double {
  guard a.width == b.width, a.height == b.height else {
    throw MetricError(.mismatch, at: "PSNR", "\(a.width)x\(a.height) against \(b.width)x\(b.height)")
  }
  let sum = a.withUnsafeSamples { a in b.withUnsafeSamples { b in squaredErrorSum(a, b) } }
  return psnr(meanSquaredError: Double(sum) / Double(3 * a.pixelCount))
}

/// PSNR of each channel in dB, `[channels]`. Throws `MetricError.mismatch`.
package func psnrPerChannel(_ a: Image, _ b: Image) throws(MetricError) -> [Double] {
  try meanSquaredErrorPerChannel(a, b).map { psnr(meanSquaredError: $0) }
}

/// `10 log10(255^2 / mse)` in dB; infinite for 0.
package func psnr(meanSquaredError mse: Double) -> Double { 10 * log10(255 * 255 / mse) }

private func squaredErrorSum(_ a: Image, _ b: Image) -> Int {
  a.withUnsafeSamples { a in b.withUnsafeSamples { b in squaredErrorSum(a, b) } }
}

/// Of as many samples each.
private func squaredErrorSum(_ a: UnsafeBufferPointer<UInt8>, _ b: UnsafeBufferPointer<UInt8>) -> Int {
  var total = 0
  var start = 0
  while start < a.count {
    // 2^14 squares of at most 255^2 fit 32 bits, which lets the loop use narrow lanes.
    let end = min(start + (1 << 14), a.count)
    var sum: UInt32 = 0
    for i in start..<end {
      let d = Int32(a[i]) &- Int32(b[i])
      sum &+= UInt32(bitPattern: d &* d)
    }
    total += Int(sum)
    start = end
  }
  return total
}
