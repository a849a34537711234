import Media
import MediaIO
import Synchronization
import Testing

import Benchmarking

struct RunnerTests {
  @Test func measuresEveryFileCodecAndPoint() throws {
    let folder = try BenchFolder()
    let paths = try [folder.picture("a.png"), folder.picture("b.png", seed: 2)]
    let (one, two) = (FakeCodec("one"), FakeCodec("two", isSingleThreaded: false))
    let results = try bench(paths, [one, two])
    #expect(results.points.map(\.file) == ["a", "a", "a", "a", "a", "a", "b", "b", "b", "b", "b", "b"])
    #expect(results.points.map(\.codec) == ["one", "one", "one", "two", "two", "two", "one", "one", "one", "two", "two", "two"])
    #expect(results.points.map(\.point) == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
    #expect(results.run.finished != nil && results.failures.isEmpty)
    let first = results.points[0]
    #expect(first.setting == "bits 5" && first.bytes == 4 + 3 * 48 * 32 + 400)
    #expect(first.bpp == 8 * Double(4 + 3 * 48 * 32 + 400) / (48 * 32))
    #expect(first.encodeSeconds.count == 1 && first.encodeCPUSeconds.count == 1 && first.encodePeakBytes == nil)
    // What runs on several threads has no time of its own thread.
    #expect(results.points[3].encodeSeconds.count == 1 && results.points[3].encodeCPUSeconds.isEmpty)
    // 48x32 is too small for MS-SSIM: null, not dropped.
    #expect(first.measures["msssim"] == .some(nil))
    let psnr = try #require(first.measures["psnr"] ?? nil)
    #expect(psnr > 20 && psnr < 35)
  }

  @Test func resumingDoesOnlyWhatIsMissing() throws {
    let folder = try BenchFolder()
    let a = try folder.picture("a.png")
    let codec = FakeCodec("one")
    let first = try bench([a], [codec])
    #expect(codec.encodings.withLock { $0 } == 3 + 1)  // and a warm-up
    // All is there: nothing is encoded, and nothing changes but the run.
    var second = try bench([a], [codec], previous: try BenchResults(json: try first.json(), named: "x"))
    #expect(codec.encodings.withLock { $0 } == 4)
    #expect(second.points == first.points)
    // A second file: its points alone.
    let b = try folder.picture("b.png", seed: 5)
    second = try bench([a, b], [codec], previous: first)
    #expect(codec.encodings.withLock { $0 } == 4 + 1 + 3)
    #expect(second.points.count == 6 && Array(second.points.prefix(3)) == first.points)
    // The same bytes under another name are the same file.
    let moved = try folder.picture("moved.png")
    let third = try bench([moved], [codec], previous: first)
    #expect(codec.encodings.withLock { $0 } == 8)
    #expect(third.points.map(\.file) == ["moved", "moved", "moved"])
    // Other bytes under the same name are another one.
    try folder.picture("a.png", seed: 9)
    _ = try bench([a], [codec], previous: first)
    #expect(codec.encodings.withLock { $0 } == 8 + 1 + 3)
  }

  @Test func anotherVersionIsMeasuredAgain() throws {
    let folder = try BenchFolder()
    let a = try folder.picture("a.png")
    let first = try bench([a], [FakeCodec("one"), FakeCodec("two")])
    let (one, two) = (FakeCodec("one", version: "2"), FakeCodec("two"))
    let second = try bench([a], [one, two], previous: first)
    #expect(one.encodings.withLock { $0 } == 4 && two.encodings.withLock { $0 } == 0)
    #expect(second.points.count == 6 && second.codecs[0].version == "2")
  }

  @Test func codecsOfEarlierRunsStay() throws {
    let folder = try BenchFolder()
    let a = try folder.picture("a.png")
    let first = try bench([a], [FakeCodec("one")])
    let both = try bench([a], [FakeCodec("two")], previous: first)
    #expect(both.codecs.map(\.name) == ["two", "one"] && both.points.count == 6)
    // Another number of points: those of the old curve go, or its means would be of other points.
    let fewer = try bench([a], [FakeCodec("one")], points: 2, previous: first)
    #expect(fewer.points.map(\.setting) == ["bits 5", "bits 2"])
  }

  @Test func oneFailureDoesNotStopTheRest() throws {
    let folder = try BenchFolder()
    let paths = try [folder.picture("good.png"), folder.picture("bad.png", width: 50), folder.path + "/none.png"]
    try FileIO.write(Array("no picture".utf8), to: folder.path + "/text.png")
    let codec = FakeCodec("one", refusedWidth: 50)
    let results = try bench(paths + [folder.path + "/text.png"], [codec, FakeCodec("two")])
    #expect(results.points.count == 12)
    #expect(results.points.filter { $0.error != nil }.map(\.file) == ["bad", "bad", "bad"])
    #expect(results.points.count { $0.error == nil } == 9)
    #expect(results.files.filter { $0.error != nil }.map(\.name) == ["none", "text"])
    #expect(results.failures.count == 5)
    let table = ResultsTable(results).text
    for text in ["Failed:", "none.png", "text.png", "one, bits 5, bad: refused"] { #expect(table.contains(text), "\(text)") }
    // Failed points are tried again, and only they.
    let better = FakeCodec("one")
    let again = try bench(Array(paths.prefix(2)), [better, FakeCodec("two")], previous: results)
    #expect(better.encodings.withLock { $0 } == 3 + 1)
    #expect(again.failures.isEmpty)
  }

  @Test func stoppingKeepsWhatIsDone() throws {
    let folder = try BenchFolder()
    let paths = try (0..<4).map { try folder.picture("\($0).png", seed: $0) }
    let codec = FakeCodec("one")
    let stopped: @Sendable () -> Bool = { codec.encodings.withLock { count in count } >= 4 }
    nonisolated(unsafe) var saved: BenchResults?
    let results = try bench(paths, [codec], isStopped: stopped) { saved = $0 }
    #expect((3...5).contains(results.points.count) && results.run.finished == nil)
    #expect(saved == results)
    let rest = try bench(paths, [FakeCodec("one")], previous: results)
    #expect(rest.points.count == 12 && rest.run.finished != nil)
  }

  @Test func whatSavingThrowsEndsTheRun() throws {
    let folder = try BenchFolder()
    let a = try folder.picture("a.png")
    #expect(throws: MediaIOError.self) {
      _ = try bench([a], [FakeCodec("one")], save: { _ in throw MediaIOError(.system, at: "disk", "full") })
    }
  }

  @Test func missingPeersAreListed() throws {
    let folder = try BenchFolder()
    let record = CodecRecord(name: "gone", title: "gone", family: .peer, version: "", settings: "", missing: "not built in")
    let results = try bench([try folder.picture("a.png")], [MissingCodec(record: record), FakeCodec("one")])
    #expect(results.codecs[0].missing == "not built in" && results.points.allSatisfy { $0.codec == "one" })
    #expect(results.failures.isEmpty && ResultsTable(results).text.contains("Missing here:\n  gone: not built in"))
    // An encoder that no libavcodec has.
    var definition = LibAVCodec.definitions[0]
    definition.encoder = "no-such-encoder"
    #expect(LibAVCodec.make(definition).record.missing?.contains("built without the encoder") == true)
  }

  @Test func namesDiffer() {
    #expect(BenchFiles.names(["x/a.png", "b.jpg"]) == ["a", "b"])
    #expect(BenchFiles.names(["a.png", "a.jpg", "c.png"]) == ["a.png", "a.jpg", "c"])
    #expect(BenchFiles.names(["x/a.png", "y/a.png"]) == ["x-a.png", "y-a.png"])
    #expect(BenchFiles.names(["a.png", "a.png"]) == ["a.png", "a.png-2"])
    #expect(BenchFiles.names([".png"]) == [".png"])
  }

  @Test func settingsSpread() {
    #expect(BenchSetting.spread("q", from: 10, to: 90, points: 3).map(\.text) == ["q 10", "q 50", "q 90"])
    #expect(BenchSetting.spread("q", from: 10, to: 90, points: 1).map(\.value) == [50])
    #expect(BenchSetting.spread("d", from: 8, to: 0.5, points: 3, isGeometric: true, digits: 2).map(\.value) == [8, 2, 0.5])
    // Whole numbers do not repeat.
    #expect(BenchSetting.spread("q", from: 1, to: 3, points: 9).map(\.value) == [1, 2, 3])
  }

  @Test func pictureCacheForgets() throws {
    let folder = try BenchFolder()
    let a = try folder.picture("a.png")
    let cache = PictureCache(uses: [a: 2])
    let first = try cache.take(a)
    try FileIO.write([], to: a, overwrite: true)
    #expect(try cache.take(a) == first)
    #expect(throws: MediaIOError.self) { try cache.take(a) }
  }
}
