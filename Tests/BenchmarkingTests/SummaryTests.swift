import Metrics
import Testing

import Benchmarking

struct SummaryTests {
  /// Two codecs on two files, `factor` times the bytes for the second one.
  static func results(factor: Double = 1.25, seconds: Double = 1) -> BenchResults {
    var results = ResultsTests.sample()
    results.measures = ImageMeasures.all.map(\.record).filter { ["psnr", "msssim"].contains($0.name) }
    results.codecs = [("jpeg", CodecRecord.Family.peer), ("mine", .ours)].map {
      CodecRecord(name: $0.0, title: $0.0, family: $0.1, version: "1", settings: "")
    }
    results.files = ["one", "two"].map { FileRecord(name: $0, path: $0, width: 1000, height: 500, sha256: $0) }
    results.points = []
    for (f, file) in ["one", "two"].enumerated() {
      for (c, codec) in ["jpeg", "mine"].enumerated() {
        for point in 0..<4 {
          let rate = 0.25 * Double(1 << point) * Double(f + 1) * (c == 0 ? 1 : factor)
          results.put(
            PointRecord(
              file: file, codec: codec, point: point, setting: "q \(point)", bytes: Int(rate * 62_500), bpp: rate,
              measures: ["psnr": 28 + 4 * Double(point) + Double(f), "msssim": 1 - 0.1 / Double(1 << point)],
              encodeSeconds: [9, c == 0 ? 1 : seconds], decodeSeconds: [0.5], encodeCPUSeconds: [c == 0 ? 1 : seconds],
              decodeCPUSeconds: [0.5]))
        }
      }
    }
    results.summarise()
    return results
  }

  @Test func meansAndSpread() throws {
    let summary = try #require(Self.results().summary)
    #expect(summary.curves.map(\.codec) == ["jpeg", "mine"])
    let point = summary.curves[0].points[1]
    #expect(point.files == 2 && point.bpp == 0.75 && point.measures["psnr"] == 32.5)
    // The fastest repetition of each file, for half a megapixel.
    #expect(point.encodeSecondsPerMegapixel == BenchSummary.Spread(median: 2, low: 2, high: 2, samples: 2))
    #expect(BenchSummary.Spread([4, 1, 2, 3]) == BenchSummary.Spread(median: 2.5, low: 1.75, high: 3.25, samples: 4))
    #expect(BenchSummary.Spread([7]) == BenchSummary.Spread(median: 7, low: 7, high: 7, samples: 1))
    #expect(BenchSummary.Spread([]) == nil)
  }

  @Test func matrixIsOfTheMeanCurves() throws {
    let results = Self.results()
    let summary = try #require(results.summary)
    let change = try #require(summary.bdRate["psnr"]?["jpeg"]?["mine"] ?? nil)
    #expect(abs(change - 25) < 1e-9)
    let back = try #require(summary.bdRate["psnr"]?["mine"]?["jpeg"] ?? nil)
    #expect(abs(back + 20) < 1e-9)
    #expect(abs(try #require(summary.bdRate["msssim"]?["jpeg"]?["mine"] ?? nil) - 25) < 1e-9)
    #expect(try #require(summary.bdPSNR["psnr"]?["jpeg"]?["mine"] ?? nil) < 0)
    #expect(summary.bdRate["psnr"]?["jpeg"]?["jpeg"] == nil)
  }

  @Test func pairsShareTheirFiles() throws {
    var results = Self.results()
    // "mine" lacks a point on the second file, which then counts for neither.
    results.points.removeAll { $0.codec == "mine" && $0.file == "two" && $0.point == 2 }
    results.points.indices.filter { results.points[$0].codec == "mine" && results.points[$0].file == "two" }.forEach {
      results.points[$0].bpp = 100
    }
    results.summarise()
    #expect(abs(try #require(results.summary?.bdRate["psnr"]?["jpeg"]?["mine"] ?? nil) - 25) < 1e-9)
    // Nothing in common: null, but named.
    results.points.removeAll { $0.codec == "mine" && $0.file == "one" && $0.point == 1 }
    results.summarise()
    #expect(results.summary?.bdRate["psnr"]?["jpeg"]?["mine"] == .some(nil))
  }

  @Test func publishedCurvesAreOfKodakAlone() throws {
    var results = Self.results()
    results.references = [
      ReferenceCurve(
        name: "old (published)", title: "", source: "", measure: "psnr",
        points: (0..<4).map { .init(bpp: 0.375 * Double(1 << $0), value: 28.5 + 4 * Double($0)) })
    ]
    results.summarise()
    #expect(results.summary?.bdRate["psnr"]?["old (published)"] == nil)
    for i in results.files.indices { results.files[i].name = i == 0 ? "kodim01" : "kodim02" }
    #expect(!results.isKodak)
  }

  @Test func csv() throws {
    var results = Self.results()
    results.points[0].setting = "a, \"b\""
    results.points[1].measures["psnr"] = .some(.infinity)
    results.points[1].measures["msssim"] = .some(nil)
    let lines = String(decoding: results.csv(), as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    #expect(lines.count == 1 + 16 + 1 && lines.last == "")
    #expect(lines[0] == "file,codec,point,setting,bytes,bpp,psnr,msssim,encodeSeconds,decodeSeconds,encodeCPUSeconds,decodeCPUSeconds,encodePeakBytes,decodePeakBytes,error")
    #expect(lines[1] == "one,jpeg,0,\"a, \"\"b\"\"\",15625,0.25,28.0,0.9,9.0 1.0,0.5,1.0,0.5,,,")
    #expect(lines[2].hasPrefix("one,jpeg,1,q 1,31250,0.5,inf,,"))
  }

  @Test func losslessPointsStayOutOfCurves() throws {
    var results = Self.results()
    for i in results.points.indices where results.points[i].point == 3 && results.points[i].codec == "mine" {
      results.points[i].measures["psnr"] = .some(.infinity)
    }
    results.summarise()
    #expect(abs(try #require(results.summary?.bdRate["psnr"]?["jpeg"]?["mine"] ?? nil) - 25) < 1e-9)
    #expect(ResultsTable(results).text.contains("lossless"))
    #expect(try BenchResults(json: try results.json(), named: "x") == results)
  }
}

struct GuardTests {
  @Test func passesOnItself() {
    let results = SummaryTests.results()
    let outcome = BenchGuard().compare(results, with: results)
    #expect(outcome.losses.isEmpty && outcome.lines.count == 3)
  }

  @Test func noticesRate() {
    let (before, after) = (SummaryTests.results(), SummaryTests.results(factor: 1.25 * 1.02))
    let outcome = BenchGuard().compare(after, with: before)
    #expect(outcome.losses.count == 1 && outcome.losses[0].hasPrefix("mine: BD-rate by psnr +2.00 %"))
    // Better is no loss, nor is worse within what is allowed.
    #expect(BenchGuard().compare(before, with: after).losses.isEmpty)
    var lenient = BenchGuard()
    lenient.toleranceRate = 2.5
    #expect(lenient.compare(after, with: before).losses.isEmpty)
  }

  @Test func noticesSpeedAsRatioToThePeer() {
    let (before, after) = (SummaryTests.results(), SummaryTests.results(seconds: 1.2))
    let outcome = BenchGuard().compare(after, with: before)
    #expect(outcome.losses.count == 1 && outcome.losses[0].hasPrefix("mine: encoding takes 1.20 times jpeg's time"))
    #expect(BenchGuard().compare(before, with: after).losses.isEmpty)
    var blind = BenchGuard()
    blind.toleranceSpeed = nil
    #expect(blind.compare(after, with: before).losses.isEmpty)
    // A machine half as fast is no loss.
    var slow = before
    for i in slow.points.indices {
      slow.points[i].encodeCPUSeconds = slow.points[i].encodeCPUSeconds.map { 2 * $0 }
      slow.points[i].decodeCPUSeconds = slow.points[i].decodeCPUSeconds.map { 2 * $0 }
    }
    #expect(BenchGuard().compare(slow, with: before).losses.isEmpty)
  }

  @Test func whatIsNotThereIsALoss() {
    let before = SummaryTests.results()
    var noCodec = before
    noCodec.points.removeAll { $0.codec == "mine" }
    #expect(!BenchGuard().compare(noCodec, with: before).losses.isEmpty)
    var noPeer = before
    noPeer.points.removeAll { $0.codec == "jpeg" }
    let unequal = BenchGuard().compare(noPeer, with: before).losses
    #expect(unequal.count == 1 && unequal[0].contains("a report lacks jpeg beside it"))
    var noFile = before
    noFile.files[1].sha256 = "other"
    #expect(BenchGuard().compare(noFile, with: before).losses.contains { $0.contains("two of the earlier report") })
    var nothing = before
    nothing.codecs.removeAll { $0.family == .ours }
    #expect(!BenchGuard().compare(before, with: nothing).losses.isEmpty)
  }
}
