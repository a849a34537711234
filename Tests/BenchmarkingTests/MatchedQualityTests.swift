import Foundation
import Testing

import Benchmarking

struct MatchedQualityTests {
  /// A peer of three points on straight lines over PSNR (rates and times by their logarithm), and ours at each of `qualities`.
  static func results(_ qualities: [Double]) -> BenchResults {
    var results = ResultsTests.sample()
    results.kind = .video
    results.measures = [
      MeasureRecord(name: "psnr", title: "PSNR", unit: "dB", isHigherBetter: true, version: ""),
      MeasureRecord(name: "msssim", title: "MS-SSIM", unit: "", isHigherBetter: true, version: ""),
    ]
    var file = FileRecord(name: "one", path: "one", width: 100, height: 100, sha256: "0")
    file.frames = 8
    results.files = [file]
    results.codecs = [("mine", CodecRecord.Family.ours), ("peer", .peer)].map { CodecRecord(name: $0, title: $0, family: $1, version: "1", settings: "") }
    results.points = []
    for (i, quality) in qualities.enumerated() {
      results.put(
        PointRecord(
          file: "one", codec: "mine", point: i, setting: "quality \(i)", bytes: 1, bpp: 0.03, measures: ["psnr": quality, "msssim": 0.9],
          encodeSeconds: [9, 16], decodeSeconds: [2], encodeCPUSeconds: [18], decodeCPUSeconds: [4]))
    }
    for (i, crf) in [46, 40, 34].enumerated() {
      let scale = Double(1 << i)
      results.put(
        PointRecord(
          file: "one", codec: "peer", point: i, setting: "crf \(crf)", bytes: 1, bpp: 0.01 * scale,
          measures: ["psnr": 30 + 4 * Double(i), "msssim": 0.9 + 0.02 * Double(i)], encodeSeconds: [scale], decodeSeconds: [0.5],
          encodeCPUSeconds: [scale], decodeCPUSeconds: []))
    }
    results.summarise()
    return results
  }

  @Test func peersAreTakenBetweenTheirPoints() throws {
    let rows = try #require(MatchedQuality.rows(Self.results([32, 34])))
    #expect(rows.map(\.codec) == ["mine", "peer", "mine", "peer"])
    #expect(rows[0].isOurs && rows[0].setting == "quality 0" && rows[0].bpp == 0.03 && rows[0].encodeSeconds == 9 && rows[0].ratio == nil)
    let between = rows[1]
    #expect(between.setting == "crf 46 to 40" && between.quality == 32 && between.frames == 8)
    let (bpp, ratio) = (try #require(between.bpp), try #require(between.ratio))
    #expect(abs(bpp - 0.01 * 2.0.squareRoot()) < 1e-12 && abs(ratio - 3 / 2.0.squareRoot()) < 1e-9)
    #expect(abs(try #require(between.measures["msssim"] ?? nil) - 0.91) < 1e-12)
    #expect(abs(try #require(between.encodeSeconds) - 2.0.squareRoot()) < 1e-12)
    #expect(abs(try #require(between.decodeSeconds) - 0.5) < 1e-12)
    #expect(between.decodeCPUSeconds == nil)
    // On a point, that point.
    let there: Double = try #require(rows[3].bpp)
    #expect(rows[3].setting == "crf 40" && abs(there - 0.02) < 1e-12)
  }

  @Test func nothingIsExtrapolated() throws {
    let rows = try #require(MatchedQuality.rows(Self.results([29.9, 38.1])))
    #expect(rows.filter { !$0.isOurs }.map(\.setting) == ["not reached", "not reached"] && rows[1].bpp == nil && rows[1].encodeSeconds == nil)
    var one = Self.results([32])
    one.points.removeAll { ["crf 46", "crf 34"].contains($0.setting) }
    #expect(MatchedQuality.rows(one)?.last?.setting == "one point")
    one.points.removeAll { $0.codec == "peer" }
    #expect(MatchedQuality.rows(one) == nil)
    #expect(MatchedQuality.rows(Self.results([])) == nil)
  }

  @Test func table() {
    let text = ResultsTable(Self.results([32, 50])).text
    let lines = text.split(separator: "\n").drop { !$0.hasPrefix("At equal PSNR") }.map { $0.split(separator: " ").joined(separator: " ") }
    #expect(
      Array(lines.prefix(5)) == [
        "At equal PSNR codec setting PSNR, dB bpp ours takes MS-SSIM encode s CPU s frames/s decode s CPU s frames/s",
        "one mine quality 0 32.00 0.0300 0.9000 9.000 18.0 0.889 2.000 4.000 4.000",
        "one peer crf 46 to 40 32.00 0.0141 +112.1 % 0.9100 1.414 1.414 5.657 0.500 - 16.0",
        "one mine quality 1 50.00 0.0300 0.9000 9.000 18.0 0.889 2.000 4.000 4.000",
        "one peer not reached 50.00 - - - - - - - - -",
      ])
  }
}
