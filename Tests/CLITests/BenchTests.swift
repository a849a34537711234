import Foundation
import Media
import MediaIO
import Testing

struct BenchTests {
  /// A small picture in the folder; sides below 176 keep MS-SSIM away and the tests fast.
  private func picture(_ name: String, in folder: Folder, width: Int = 64, height: Int = 48, seed: Int = 1) throws {
    let image = try Image(
      width: width, height: height, colour: .rgb,
      samples: (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: $0 / 9 + ($0 * 31 + seed * 17) % 23) })
    try folder.write(name, try PNGWriter.write(image))
  }

  private func results(_ folder: Folder, _ name: String = "out/results.json") throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(try folder.read(name))) as? [String: Any])
  }

  private func points(_ folder: Folder) throws -> [[String: Any]] {
    try #require(try results(folder)["points"] as? [[String: Any]])
  }

  @Test(arguments: [
    ["image"], ["image", "a", "--codecs", "jpegg"], ["image", "a", "--codecs", ","], ["image", "a", "--points", "0"],
    ["image", "a", "--points", "33"], ["image", "a", "--effort", "10"], ["image", "a", "--repeat", "0"],
    ["image", "a", "--workers", "0"], ["image", "a", "--pictures", "-1"], ["image", "a", "--tolerance-rate", "x"],
    ["image", "a", "--tolerance-rate", "none"], ["kv"], ["kv", "a", "--codecs", "jpeg"],
    ["audio"], ["audio", "a", "--codecs", "jpeg"], ["audio", "a", "--kbps", "24,x"], ["audio", "a", "--kbps", "0"], ["audio", "a", "--measures", "psnr"],
    ["video"], ["video", "a", "--codecs", "jpeg"], ["video", "a", "--qualities", "50,101"], ["video", "a", "--params", "0.35M,0"],
    ["video", "a", "--params", "5000", "--qualities", "50"], ["video", "a", "--effort", "0"], ["video", "a", "--epochs", "0"],
    ["video", "a", "--start", "x"], ["video", "a", "--duration", "0"], ["video", "a", "--frames", "0"], ["video", "a", "--scale", "640"],
    ["video", "a", "--crop", "0x5"], ["video", "a", "--measures", "psnr,vmaf"],
  ])
  func mistakesExitWith2(arguments: [String]) throws {
    let folder = try Folder()
    let outcome = try Command.finish(Command.process(["bench"] + arguments, in: folder))
    #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.errorLines.count == 1 && folder.names.isEmpty)
    #expect(outcome.errors.hasPrefix("nccodec: ") && outcome.errors.hasSuffix(" See 'nccodec bench --help'.\n"))
  }

  @Test(arguments: [
    (["bench", "--help"], Help.bench), (["bench", "image", "--help"], Help.benchImage), (["bench", "kv", "--help"], Help.benchKV),
    (["bench", "audio", "--help"], Help.benchAudio), (["bench", "video", "--help"], Help.benchVideo),
  ])
  func help(arguments: [String], expected: String) throws {
    let outcome = try Command.finish(Command.process(arguments))
    #expect(outcome.status == 0 && outcome.errors.isEmpty)
    #expect(outcome.text == expected)
  }

  @Test func reportsAndResumes() throws {
    let folder = try Folder()
    try picture("a.png", in: folder)
    try picture("one.png", in: folder, width: 1, height: 1)
    try folder.write("text.png", Array("no picture".utf8))
    let command = ["bench", "image", "a.png", "one.png", "text.png", "none.png", "--codecs", "hyperprior,jpeg", "--points", "2", "--out", "out"]
    let first = try Command.finish(Command.process(command, in: folder))
    // Two files cannot be read: named in the table and the exit code, the rest is measured.
    #expect(first.status == 1 && first.errors.isEmpty)
    for text in ["hyperprior", "jpeg", "BD-rate by PSNR", "Failed:", "text.png: ", "none.png: "] {
      #expect(first.text.contains(text), "\(text)")
    }
    #expect(try points(folder).count == 2 * 2 * 2)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path("out")).sorted()
    #expect(names == ["images", "index.html", "results.csv", "results.json"])
    let picture = try #require(try points(folder)[0]["picture"] as? String)
    #expect(try ImageReader.read(try folder.read("out/\(picture)")).image.width == 64)
    let csv = String(decoding: try folder.read("out/results.csv"), as: UTF8.self)
    #expect(csv.split(separator: "\n").count == 1 + 8)

    // Again: every point is as it was, times too.
    let before = try points(folder) as NSArray
    let second = try Command.finish(Command.process(command, in: folder))
    #expect(second.status == 1)
    #expect(try points(folder) as NSArray == before)
    // Only what is missing is added.
    let third = try Command.finish(Command.process(command.map { $0 == "hyperprior,jpeg" ? "jpeg,webp" : $0 }, in: folder))
    #expect(third.status == 1)
    #expect(try points(folder).count >= 8)
    #expect((try points(folder).filter { $0["codec"] as? String == "jpeg" } as NSArray) == before.filtered(using: NSPredicate { point, _ in
      (point as? [String: Any])?["codec"] as? String == "jpeg"
    }) as NSArray)
  }

  @Test func guardFailsOnAMadeLoss() throws {
    let folder = try Folder()
    try picture("a.png", in: folder)
    let command = ["bench", "image", "a.png", "--codecs", "hyperprior,jpeg", "--points", "4", "--workers", "1"]
    let first = try Command.finish(Command.process(command + ["--out", "out"], in: folder))
    #expect(first.status == 0 && first.errors.isEmpty, "\(first.errors)")
    let guarded = command + ["--tolerance-speed", "none", "--against"]
    let same = try Command.finish(Command.process(guarded + ["out/results.json"], in: folder))
    #expect(same.status == 0 && same.errors.isEmpty && same.text.contains("hyperprior: BD-rate by psnr 0.00 %"), "\(same.errors)")
    // A report in which our files were 3 % smaller.
    var better = try results(folder)
    better["points"] = try points(folder).map { point in
      var point = point
      if point["codec"] as? String == "hyperprior", let bpp = point["bpp"] as? Double { point["bpp"] = bpp / 1.03 }
      return point
    }
    try folder.write("better.json", Array(try JSONSerialization.data(withJSONObject: better)))
    let loss = try Command.finish(Command.process(guarded + ["better.json"], in: folder))
    #expect(loss.status == 1 && loss.errors.hasPrefix("nccodec: loss: hyperprior: BD-rate by psnr +3.00 %"), "\(loss.errors)")
    let lenient = try Command.finish(Command.process(guarded + ["better.json", "--tolerance-rate", "4%"], in: folder))
    #expect(lenient.status == 0)
    // What is no report.
    try folder.write("other.json", Array("{}".utf8))
    let other = try Command.finish(Command.process(guarded + ["other.json"], in: folder))
    #expect(other.status == 1 && other.errors.contains("no results.json"))
  }

  @Test func isolatedPointsKnowTheirMemory() throws {
    let folder = try Folder()
    try picture("a.png", in: folder)
    let outcome = try Command.run(
      "bench", "image", "a.png", "--codecs", "hyperprior,jpeg", "--points", "2", "--isolate", "--out", "out", in: folder)
    #expect(outcome.status == 0, "\(outcome.errors) \(outcome.text)")
    for point in try points(folder) {
      let (encode, decode) = (point["encodePeakBytes"] as? Int ?? 0, point["decodePeakBytes"] as? Int ?? 0)
      #expect(encode > 4 << 20 && encode < 1 << 30 && decode > 4 << 20 && decode < 1 << 30, "\(point)")
      #expect((point["encodeSeconds"] as? [Double])?.count == 1)
    }
  }

  /// The first Ctrl-C keeps what is done, and the same command goes on from there.
  @Test func interruptKeepsWhatIsDone() throws {
    let folder = try Folder()
    for i in 0..<12 { try picture("\(i).png", in: folder, width: 512, height: 512, seed: i) }
    let command = ["bench", "image", ".", "--codecs", "hyperprior", "--points", "4", "--workers", "1", "--out", "out"]
    let process = Command.process(command, in: folder)
    DispatchQueue.global().asyncAfter(deadline: .now() + 1.5) { process.interrupt() }
    let outcome = try Command.finish(process)
    try #require(!outcome.isKilled)
    #expect(outcome.status == 1 && outcome.errors.contains("the same command goes on from there"), "\(outcome.errors)")
    let count = try points(folder).count
    #expect(count < 48)
    #expect(try results(folder)["run"] is [String: Any])
    let run = try #require(try results(folder)["run"] as? [String: Any])
    #expect(run["finished"] is NSNull)
    let kept = try points(folder) as NSArray
    let process2 = Command.process(command, in: folder)
    DispatchQueue.global().asyncAfter(deadline: .now() + 1.5) { process2.interrupt() }
    _ = try Command.finish(process2)
    let now = try points(folder)
    #expect(now.count >= count)
    #expect(kept.allSatisfy { old in now.contains { ($0 as NSDictionary).isEqual(old) } })
  }

  @Test func publishedCurves() throws {
    let folder = try Folder()
    try picture("a.png", in: folder)
    try folder.write("curves.json", Array(#"{"old": {"bpp": [0.1, 0.5], "psnr": [30, 35], "ms_ssim": [0.9, 0.95]}}"#.utf8))
    func run(_ reference: String) throws -> Command.Outcome {
      try Command.run(
        "bench", "image", "a.png", "--codecs", "jpeg", "--points", "2", "--out", "out", "--reference", reference, in: folder)
    }
    #expect(try run("curves.json:old").status == 0)
    let references = try #require(try results(folder)["references"] as? [[String: Any]])
    #expect(references.map { $0["name"] as? String } == ["old (published)", "old (published)"])
    #expect(references.map { $0["measure"] as? String } == ["psnr", "msssim"])
    let unknown = try run("curves.json:new")
    #expect(unknown.status == 1 && unknown.errors.contains("no curve 'new': there are old") && unknown.errorLines.count == 1)
    #expect(try run("none.json").status == 1)
    try folder.write("other.json", Array("[]".utf8))
    #expect(try run("other.json").errors.contains("no file of curves"))
  }

  @Test func caches() throws {
    let folder = try Folder()
    let root = URL(filePath: Fixture.images).deletingLastPathComponent().path
    let outcome = try Command.run(
      "bench", "kv", "\(root)/KV/plain.ggsq", "\(root)/KV/broken-type.ggsq", "--codecs", "kv1,kv9,lossless,f16", "--points", "2",
      "--out", "out", in: folder)
    #expect(outcome.status == 1, "\(outcome.errors)")
    #expect(outcome.text.contains("kv9: effort 9 needs a profile") && outcome.text.contains("broken-type.ggsq: "))
    #expect(try points(folder).map { $0["codec"] as? String } == ["kv1", "kv1", "lossless", "f16"])
    // A report of another kind is not mixed with it.
    let mixed = try Command.run("bench", "image", Fixture.photo, "--codecs", "jpeg", "--out", "out", in: folder)
    #expect(mixed.status == 1 && mixed.errors.contains("kind kv"))
  }

  @Test func sounds() throws {
    let folder = try Folder()
    let format = try AudioFormat(sampleRate: 16_000, layout: .mono)
    let writer = try AudioWriter(folder.path("tone.wav"), as: .wav, format: format)
    try writer.append(AudioBuffer(format: format, samples: [(0..<20_000).map { 0.4 * Float(sin(Double($0) / 9)) }]))
    try writer.finish()
    try folder.write("text.wav", Array("no sound".utf8))
    let command = ["bench", "audio", "tone.wav", "text.wav", "--codecs", "mdct,mp3", "--kbps", "48,24", "--measures", "sisdr,lsd", "--out", "out"]
    let first = try Command.finish(Command.process(command, in: folder))
    #expect(first.status == 1 && first.errors.isEmpty, "\(first.errors)")
    for text in ["mdct", "24 kbps", "SI-SDR, dB", "Failed:", "text.wav: "] { #expect(first.text.contains(text), "\(text)") }
    let before = try points(folder)
    #expect(before.map { $0["setting"] as? String } == ["24 kbps", "48 kbps", "24 kbps", "48 kbps"])
    for point in before {
      let (bytes, kbps) = (try #require(point["bytes"] as? Int), try #require(point["kbps"] as? Double))
      #expect(abs(kbps - Double(bytes) * 8 / 1.25 / 1000) < 1e-9)
      #expect(point["bpp"] is NSNull && point["measures"] is [String: Any])
    }
    // Again: every point is as it was, times too.
    let second = try Command.finish(Command.process(command, in: folder))
    #expect(second.status == 1)
    #expect(try points(folder) as NSArray == before as NSArray)
    let page = String(decoding: try folder.read("out/index.html"), as: UTF8.self)
    #expect(page.contains("\"kind\":\"audio\""))
  }

  @Test func videos() throws {
    let folder = try Folder()
    let rate = try #require(Rational(exactly: 25, 1))
    var options = VideoWriter.Options()
    options.encoding = try VideoEncoding("ffv1", sampling: .rgb)
    let format = try VideoFormat(width: 40, height: 32, timeBase: rate.reciprocal, frameRate: rate)
    let writer = try VideoWriter(folder.path("clip.mkv"), as: .mkv, format: format, options: options)
    for n in 0..<4 {
      let samples = (0..<3 * 40 * 32).map { UInt8(60 + ($0 % 40 + n) * 2 + $0 / 40 % 32) }
      try writer.append(VideoFrame(width: 40, height: 32, samples: samples, time: Int64(n), duration: 1))
    }
    try writer.finish()
    try folder.write("text.mkv", Array("no video".utf8))
    let command = [
      "bench", "video", "clip.mkv", "text.mkv", "--codecs", "hnerv,x264", "--params", "4000", "--epochs", "1", "--points", "2", "--frames", "3",
      "--crop", "32x32", "--out", "out",
    ]
    let first = try Command.finish(Command.process(command, in: folder))
    #expect(first.status == 1 && first.errors.isEmpty, "\(first.errors)")
    for text in ["hnerv", "params 4000", "crf 18", "PSNR, dB", "encode frames/s", "At equal PSNR", "Failed:", "text.mkv: "] {
      #expect(first.text.contains(text), "\(text)")
    }
    let before = try points(folder)
    #expect(before.map { $0["setting"] as? String } == ["params 4000", "crf 46", "crf 18"])
    for point in before {
      let (bytes, bpp) = (try #require(point["bytes"] as? Int), try #require(point["bpp"] as? Double))
      #expect(abs(bpp - Double(bytes) * 8 / (32 * 32 * 3)) < 1e-9)
      #expect((point["encodeCPUSeconds"] as? [Double])?.count == 1 && (point["measures"] as? [String: Any])?["msssim"] is NSNull)
    }
    // Again: every point is as it was, times too.
    let second = try Command.finish(Command.process(command, in: folder))
    #expect(second.status == 1)
    #expect(try points(folder) as NSArray == before as NSArray)
    let page = String(decoding: try folder.read("out/index.html"), as: UTF8.self)
    #expect(page.contains("\"kind\":\"video\""))
    // Smaller frames than are to be cut from them.
    let large = try Command.run("bench", "video", "clip.mkv", "--codecs", "x264", "--crop", "41x32", in: folder)
    #expect(large.status == 1 && large.text.contains("smaller than the 41x32"), "\(large.text)")
  }
}
