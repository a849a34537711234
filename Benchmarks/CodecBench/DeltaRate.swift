import ArgumentParser
import Foundation
import Metrics

/// BD-rate between curves that stand in JSON on the standard input.
struct DeltaRate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bd",
    abstract: "BD-rate of one curve against others, read as JSON from the standard input.",
    discussion: """
      Input: {"test": CURVE, "anchors": {NAME: CURVE}}, where CURVE is {"bpp": [...], "psnr": [...]}. Output: for each \
      anchor the BD-rate in percent (PCHIP over log rate, VCEG-M33 and JCTVC-L1100), the PSNR interval that it is the \
      mean over, and the BD-PSNR in dB.
      """)

  struct Curve: Decodable {
    let bpp: [Double]
    let psnr: [Double]

    var points: [RatePoint] { zip(bpp, psnr).map { RatePoint(rate: $0, quality: $1) } }
  }

  struct Input: Decodable {
    let test: Curve
    let anchors: [String: Curve]
  }

  struct Output: Encodable {
    let percent: Double
    let from, to: Double
    let decibels: Double
  }

  func run() throws {
    let input = try JSONDecoder().decode(Input.self, from: FileHandle.standardInput.readToEnd() ?? Data())
    let outputs = try input.anchors.mapValues { anchor in
      Output(
        percent: try bdRate(anchor: anchor.points, test: input.test.points),
        from: max(anchor.psnr.min() ?? .nan, input.test.psnr.min() ?? .nan),
        to: min(anchor.psnr.max() ?? .nan, input.test.psnr.max() ?? .nan),
        decibels: try bdPSNR(anchor: anchor.points, test: input.test.points))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(outputs), as: UTF8.self))
  }
}
