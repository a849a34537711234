import Media
import Metrics

package enum ImageMeasures {
  /// Those that a report has, in its order.
  package static var all: [any ImageMeasure] { [PSNRMeasure(), MSSSIMMeasure()] }
}

struct PSNRMeasure: ImageMeasure {
  let name = "psnr"
  let title = "PSNR"
  let unit = "dB"
  let isHigherBetter = true
  let version = "nccodec: all RGB samples of a picture in one mean squared error, peak 255"
  let missing: String? = nil

  func measure(reference: Image, decoded: Image) throws -> Double? { try psnr(reference, decoded) }
}

struct MSSSIMMeasure: ImageMeasure {
  let name = "msssim"
  let title = "MS-SSIM"
  let unit = ""
  let isHigherBetter = true
  let version = "nccodec: as pytorch-msssim"
  let missing: String? = nil

  func measure(reference: Image, decoded: Image) throws -> Double? {
    do { return try msSSIM(reference, decoded) } catch let error where error.code == .tooSmall { return nil }
  }
}
