import Media
import Metrics

package enum ImageMeasures {
  /// Those that a report has, in its order; what this machine cannot compute says so itself.
  package static var all: [any ImageMeasure] { computed + ToolMeasures.found }

  /// Those that need no other program.
  package static let computed: [any ImageMeasure] = [
    ComputedMeasure(
      name: "psnr", title: "PSNR", unit: "dB", version: "nccodec: one mean squared error over R, G and B, peak 255"
    ) { try psnr($0, $1) },
    ComputedMeasure(
      name: "psnrYUV", title: "PSNR of YUV 6:1:1", unit: "dB",
      version: "nccodec: (6 Y + U + V) / 8 of the planes' PSNR, BT.709, full range, 4:4:4"
    ) { try psnrYUV($0, $1) },
    ComputedMeasure(
      name: "ssim", title: "SSIM", unit: "", version: "nccodec: Wang 2004 as pytorch-msssim 1.0.0, mean over R, G and B"
    ) { try ssim($0, $1) },
    ComputedMeasure(
      name: "msssim", title: "MS-SSIM", unit: "", version: "nccodec: as pytorch-msssim 1.0.0, mean over R, G and B"
    ) { try msSSIM($0, $1) },
  ]
}

/// One of `Metrics`.
private struct ComputedMeasure: ImageMeasure {
  let name, title, unit, version: String
  let isHigherBetter = true
  let missing: String? = nil
  private let compute: @Sendable (Image, Image) throws -> Double

  init(
    name: String, title: String, unit: String, version: String,
    compute: @escaping @Sendable (Image, Image) throws -> Double
  ) {
    (self.name, self.title, self.unit, self.version) = (name, title, unit, version)
    self.compute = compute
  }

  func measure(reference: Image, decoded: Image) throws -> Double? {
    do { return try compute(reference, decoded) } catch let error as MetricError where error.code == .tooSmall {
      return nil
    }
  }
}

/// Why a measure of another program, or of digits, has no value. Equal by code.
package struct MeasureError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// Asked of a measure that is missing here.
    case missing
    /// The program could not be started, or ended with an error.
    case failed
    /// The program took too long and was ended.
    case timedOut
    /// The program ran, but what it said is no number that was expected.
    case unreadable
    /// Pictures of different size.
    case mismatch
  }

  package let code: Code
  /// What was wrong, where, and what to do about it.
  package let description: String

  package init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  package static func == (a: MeasureError, b: MeasureError) -> Bool { a.code == b.code }
}
