import FoundationEssentials
import MediaIO

/// Curves that others have published, read from a file of kodak-rd.json's form: names to `bpp`, `psnr` and perhaps
/// `ms_ssim`, lists of equal length, means over the 24 pictures of Kodak's set.
package enum PublishedCurves {
  /// Where the word `kodak` is looked for, from the working directory.
  package static let kodakPath = "../shared/references/kodak-rd.json"
  /// What is shown where no names are given.
  package static let standard = [
    "jpeg", "jpeg2000", "webp", "bpg_444_x265_ycbcr", "av1", "vtm", "compressai-mbt2018-mean_mse_cpu",
    "compressai-cheng2020-anchor_mse_cpu", "paper-elic2022_mse", "cool-chic-v5.0",
  ]

  private struct Curve: Codable {
    var bpp: [Double]
    var psnr: [Double]?
    var msssim: [Double]?

    enum CodingKeys: String, CodingKey {
      case bpp, psnr
      case msssim = "ms_ssim"
    }
  }

  /// `text` is `kodak` or a path, with `:name,name` behind it for others than the usual curves.
  ///
  /// Throws `BenchError` or `MediaIOError`: no such file, another form, or an unknown name.
  package static func read(_ text: String) throws -> [ReferenceCurve] {
    let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
    let path = parts[0] == "kodak" ? kodakPath : parts[0]
    let curves: [String: Curve]
    do {
      curves = try JSONDecoder().decode([String: Curve].self, from: Data(try FileIO.read(path)))
    } catch is DecodingError {
      throw BenchError("\(path) is no file of curves: names with lists of bpp and psnr are expected")
    }
    let wanted = parts.count > 1 ? parts[1].split(separator: ",").map(String.init) : standard.filter { curves[$0] != nil }
    var result: [ReferenceCurve] = []
    for name in wanted.isEmpty ? curves.keys.sorted() : wanted {
      guard let curve = curves[name] else {
        throw BenchError("\(path) has no curve '\(name)': there are \(curves.keys.sorted().joined(separator: ", "))")
      }
      for (measure, values) in [("psnr", curve.psnr), ("msssim", curve.msssim)] {
        guard let values else { continue }
        guard values.count == curve.bpp.count, values.allSatisfy(\.isFinite), curve.bpp.allSatisfy({ $0 > 0 }) else {
          throw BenchError("\(path): the lists of '\(name)' do not fit each other")
        }
        result.append(
          ReferenceCurve(
            name: "\(name) (published)", title: "\(name) (published)", source: path, measure: measure,
            points: zip(curve.bpp, values).map { ReferenceCurve.Point(bpp: $0, value: $1) }.sorted { $0.bpp < $1.bpp }))
      }
    }
    return result
  }
}
