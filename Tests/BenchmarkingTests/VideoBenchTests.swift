import Foundation
import Media
import MediaIO
import Metrics
import NeuralCodecs
import Synchronization
import Testing

import Benchmarking

/// A codec that keeps samples, less the low bits that its setting takes, behind padding: rate and error are known.
final class FakeVideoCodec: VideoBenchCodec {
  let record: CodecRecord
  let isSingleThreaded: Bool
  let secondsPerMegapixel = 0.001
  /// Refuses clips of that many frames, and loses the last of those with that many.
  let refusedFrames: Int?
  let forgottenFrames: Int?
  let encodings = Mutex(0)

  init(_ name: String, version: String = "1", isSingleThreaded: Bool = true, refusedFrames: Int? = nil, forgottenFrames: Int? = nil) {
    record = CodecRecord(name: name, title: name, family: .ours, version: version, settings: "fake")
    (self.isSingleThreaded, self.refusedFrames, self.forgottenFrames) = (isSingleThreaded, refusedFrames, forgottenFrames)
  }

  func settings(points: Int) -> [BenchSetting] { BenchSetting.spread("bits", from: 5, to: 2, points: points) }

  func encode(_ clip: ClipSource, at setting: BenchSetting, _ control: BenchControl) throws -> CodedClip {
    encodings.withLock { $0 += 1 }
    if clip.frameCount == refusedFrames { throw BenchError("refused") }
    let (shift, count) = (Int(setting.value), (clip.frameCount ?? 0) - (clip.frameCount == forgottenFrames ? 1 : 0))
    var bytes = [UInt8(clip.format.width), UInt8(clip.format.height), UInt8(count)]
    var source = clip
    for _ in 0..<count {
      let frame = try #require(try source.next())
      bytes += frame.samples.map { UInt8(min(255, ((Int($0) >> shift) << shift) + (1 << shift) / 2)) }
    }
    return .file(bytes + [UInt8](repeating: 0, count: (9 - shift) * 100))
  }

  func decode(_ coded: CodedClip, _ body: (VideoFrame) throws -> Void) throws {
    guard case .file(let bytes) = coded else { throw BenchError("no file") }
    let (width, height) = (Int(bytes[0]), Int(bytes[1]))
    for n in 0..<Int(bytes[2]) {
      let samples = Array(bytes[(3 + 3 * n * width * height)...].prefix(3 * width * height))
      try body(try VideoFrame(width: width, height: height, samples: samples, time: Int64(n), duration: 1))
    }
  }
}

struct VideoBenchTests {
  /// Smooth, moving by a pixel a frame, with a little noise.
  static func frame(_ width: Int, _ height: Int, _ number: Int, seed: Int = 1) throws -> VideoFrame {
    var samples: [UInt8] = []
    for row in 0..<3 * height {
      let down: Double = cos(Double(row % height) / 7)
      for x in 0..<width {
        let wave: Double = 90 * down * sin(Double(x + number + seed) / 9)
        let noise: Int = (x * 31 + row * 17 + number * 7 + seed) % 5
        samples.append(UInt8(120 + Int(wave) + noise))
      }
    }
    return try VideoFrame(width: width, height: height, samples: samples, time: Int64(number), duration: 1)
  }

  /// Writes a clip of 25 frames a second without loss, and returns its frames.
  @discardableResult
  static func write(_ path: String, _ width: Int = 32, _ height: Int = 32, frames: Int = 3, seed: Int = 1) throws -> [VideoFrame] {
    let rate = try #require(Rational(exactly: 25, 1))
    var options = VideoWriter.Options()
    options.encoding = try VideoEncoding("ffv1", sampling: .rgb)
    let format = try VideoFormat(width: width, height: height, timeBase: rate.reciprocal, frameRate: rate)
    let writer = try VideoWriter(path, as: .mkv, format: format, options: options)
    let all = try (0..<frames).map { try frame(width, height, $0, seed: seed) }
    for one in all { try writer.append(one) }
    try writer.finish()
    return all
  }

  static func run(
    _ paths: [String], _ codecs: [any VideoBenchCodec], points: Int = 2, cut: VideoCut = VideoCut(), previous: BenchResults? = nil,
    isStopped: @escaping @Sendable () -> Bool = { false }
  ) throws -> BenchResults {
    var options = VideoBench.Options()
    (options.points, options.cut, options.course.workers, options.course.isStopped) = (points, cut, 2, isStopped)
    let measures = VideoMeasures.all.filter { VideoMeasures.standard.contains($0.name) }
    let bench = VideoBench(codecs: codecs, measures: measures, options: options)
    let run = BenchRun(started: BenchRun.now, command: "test", nccodec: "test", workers: 2)
    return try bench.run(try bench.prepare(paths, run: run, previous: previous)) { _ in }
  }

  @Test func measuresAndReports() throws {
    let folder = try BenchFolder()
    let paths = ["a", "b", "c", "d"].map { "\(folder.path)/\($0).mkv" }
    try Self.write(paths[0])
    try Self.write(paths[1], 48, 32, frames: 4, seed: 2)
    try Self.write(paths[2], frames: 2)
    try FileIO.write(Array("no video".utf8), to: paths[3], overwrite: true)
    let (one, two) = (FakeVideoCodec("one"), FakeVideoCodec("two", isSingleThreaded: false, refusedFrames: 4, forgottenFrames: 2))
    let results = try Self.run(paths, [one, two])
    #expect(results.files.map(\.frames) == [3, 4, 2, nil] && results.files.map(\.width) == [32, 48, 32, nil])
    #expect(results.files[3].error != nil && results.files[0].bytes != nil && Set(results.files.map(\.sha256)).count == 4)
    let names: [String] = results.points.prefix(4).map { "\($0.file) \($0.codec) \($0.setting)" }
    #expect(names == ["a one bits 5", "a one bits 2", "a two bits 5", "a two bits 2"])
    let errors = results.points.compactMap(\.error)
    #expect(results.points.count == 12 && errors == ["refused", "refused"] + [String](repeating: "decoded to 1 frames instead of 2", count: 2))
    let first = results.points[0]
    #expect(first.bytes == 3 + 3 * 3 * 1024 + 400 && first.kbps == nil)
    #expect(first.bpp == 8 * Double(3 + 3 * 3 * 1024 + 400) / (3 * 1024))
    // Below 161 pixels MS-SSIM is not defined: null, not dropped.
    #expect(first.measures["msssim"] == .some(nil))
    let low: Double = try #require(first.measures["psnr"] ?? nil)
    let high: Double = try #require(results.points[1].measures["psnr"] ?? nil)
    #expect(low > 25 && low < 32 && high - low > 12 && high - low < 24, "\(low), \(high)")
    // Whatever has threads of its own runs alone, and the process's time is its.
    #expect(results.points.prefix(4).allSatisfy { $0.encodeSeconds.count == 1 && $0.encodeCPUSeconds.count == 1 && $0.decodeCPUSeconds.count == 1 })
    let table = ResultsTable(results).text
    for text in ["bpp", "PSNR, dB", "MS-SSIM", "encode s/frame", "decode frames/s", "BD-rate by PSNR", "two, bits 5, b: refused", "d.mkv: "] {
      #expect(table.contains(text), "\(text)")
    }
    // There is no peer to hold ours against.
    #expect(!table.contains("At equal"))
    let csv = String(decoding: results.csv(), as: UTF8.self)
    #expect(csv.hasPrefix("file,codec,point,setting,bytes,bpp,psnr,msssim,encodeSeconds,"))
    #expect(try BenchResults(json: try results.json(), named: "x") == results)
    // Times are of a frame.
    let curve = try #require(results.summary?.curves.first { $0.codec == "one" })
    let lengths: [String: Double] = ["a": 3, "b": 4, "c": 2]
    let own = results.points.filter { $0.codec == "one" && $0.point == 0 }
    let times: [Double] = own.map { $0.encodeSeconds[0] / lengths[$0.file]! }
    #expect(curve.points[0].encodeSecondsPerMegapixel == BenchSummary.Spread(times))
  }

  /// Frames make the clip: the same ones elsewhere are kept, others of the same file are measured.
  @Test func resumes() throws {
    let folder = try BenchFolder()
    let a = folder.path + "/a.mkv"
    try Self.write(a)
    let codec = FakeVideoCodec("one")
    let results = try Self.run([a], [codec])
    try FileManager.default.moveItem(atPath: a, toPath: folder.path + "/b.mkv")
    let again = try Self.run([folder.path + "/b.mkv"], [codec], previous: try BenchResults(json: try results.json(), named: "x"))
    #expect(codec.encodings.withLock { $0 } == 2)
    #expect(again.points.map(\.file) == ["b", "b"] && again.points.map(\.encodeSeconds) == results.points.map(\.encodeSeconds))
    var cut = VideoCut()
    cut.frames = 2
    let fewer = try Self.run([folder.path + "/b.mkv"], [codec], cut: cut, previous: again)
    #expect(codec.encodings.withLock { $0 } == 4 && fewer.points.count == 2 && fewer.files.map(\.frames) == [2])
    // A stop in the midst of a point leaves nothing of it.
    let stopped = try Self.run([folder.path + "/b.mkv"], [codec], isStopped: { codec.encodings.withLock { $0 } >= 5 })
    #expect(stopped.points.count <= 1 && stopped.failures.isEmpty && stopped.run.finished == nil)
  }

  @Test func cuts() throws {
    let folder = try BenchFolder()
    let path = folder.path + "/a.mkv"
    let frames = try Self.write(path, 36, 32, frames: 4)
    let whole = try VideoClip(path, VideoCut())
    func all(_ clip: VideoClip, _ pauses: Pauses = Pauses()) throws -> [[UInt8]] {
      var (source, result) = (try clip.source(pauses), [[UInt8]]())
      while let frame = try source.next() { result.append(frame.samples) }
      return result
    }
    #expect(whole.frameCount == 4 && whole.isInMemory && abs(whole.megapixels - 0.004608) < 1e-12)
    #expect(try all(whole) == frames.map(\.samples))
    var cut = VideoCut()
    (cut.start, cut.frames, cut.crop) = (0.04, 2, (33, 17))
    let middle = try VideoClip(path, cut)
    #expect(middle.frameCount == 2 && middle.format.width == 33 && middle.format.height == 17 && middle.format.frameRate == whole.format.frameRate)
    let samples = try all(middle)
    // Margins of 1 and 2 columns, 7 and 8 rows.
    var expected: [UInt8] = []
    for row in 0..<3 * 17 {
      let from = row / 17 * 32 + row % 17 + 7
      expected += frames[1].samples[(from * 36 + 1)...].prefix(33)
    }
    #expect(samples[0] == expected && samples.count == 2)
    // Of no room, the file is read again.
    let pauses = Pauses()
    let read = try VideoClip(path, cut, room: 0)
    #expect(!read.isInMemory && read.digest == middle.digest && middle.digest != whole.digest)
    #expect(try all(read, pauses) == samples && pauses.seconds > 0)
    cut = VideoCut()
    (cut.duration, cut.size) = (0.08, (18, 16))
    let small = try VideoClip(path, cut)
    #expect(small.frameCount == 2 && small.format.width == 18 && small.format.height == 16)
    cut.crop = (19, 16)
    #expect(throws: BenchError.self) { try VideoClip(path, cut) }
  }

  @Test func means() throws {
    let grey = try VideoFrame(width: 32, height: 32, samples: [UInt8](repeating: 100, count: 3072), time: 0, duration: 1)
    let lighter = try VideoFrame(width: 32, height: 32, samples: [UInt8](repeating: 110, count: 3072), time: 0, duration: 1)
    var sum = VideoMeasures.Sum(VideoMeasures.all)
    try sum.add(grey, grey)
    try sum.add(grey, lighter)
    let psnr = try #require(sum.means["psnr"] ?? nil)
    // A frame without error counts 100 dB.
    #expect(sum.frames == 2 && abs(psnr - (100 + 28.1308) / 2) < 1e-4)
    let ssim = try #require(sum.means["ssim"] ?? nil)
    #expect(ssim > 0.9 && ssim < 1 && sum.means["msssim"] == .some(nil))
    #expect(VideoMeasures.all.map(VideoMeasures.record).allSatisfy { $0.version.contains("mean over frames") })
  }

  @Test(arguments: ["x264", "x265", "svtav1"])
  func peers(name: String) throws {
    let codec = try VideoBenchCodecs.named(name, .init(), version: "")
    guard codec.record.missing == nil else { return }
    #expect(codec.record.version.hasPrefix("libavcodec ") && codec.record.family == .peer && codec.record.name == name)
    let folder = try BenchFolder()
    try Self.write(folder.path + "/a.mkv", 64, 64, frames: 4)
    let clip = try VideoClip(folder.path + "/a.mkv", VideoCut())
    var last = (bytes: 0, quality: 0.0)
    for setting in codec.settings(points: 2) {
      let coded = try codec.encode(clip.source(), at: setting, BenchControl())
      var (frames, quality, source) = (0, 0.0, try clip.source())
      try codec.decode(coded) { frame in
        let original = try #require(try source.next())
        quality += try psnr(original, frame) / 4
        frames += 1
      }
      #expect(frames == 4 && coded.byteCount > last.bytes && quality > last.quality + 3, "\(name) \(setting.text): \(quality) dB, \(coded.byteCount) bytes")
      last = (coded.byteCount, quality)
    }
    #expect(last.quality > 30)
    var stopping = BenchControl()
    stopping.isStopped = { true }
    #expect(throws: CancellationError.self) { try codec.encode(clip.source(), at: codec.settings(points: 1)[0], stopping) }
  }

  /// Ours and a peer as the command runs them.
  @Test func ours() throws {
    let folder = try BenchFolder()
    try Self.write(folder.path + "/a.mkv", frames: 2)
    var options = OurVideoCodec.Options()
    (options.rates, options.epochs) = (.parameters([4000]), 1)
    let codecs = try ["hnerv", "x264"].map { try VideoBenchCodecs.named($0, options, version: "1") }
    let results = try Self.run([folder.path + "/a.mkv"], codecs)
    #expect(results.failures.isEmpty, "\(results.failures)")
    #expect(results.points.map(\.setting) == ["params 4000", "crf 46", "crf 18"] && results.codecs[0].settings.hasPrefix("epochs 1, all threads"))
    let own = try #require(results.points.first)
    let (psnr, bytes) = (try #require(own.measures["psnr"] ?? nil), try #require(own.bytes))
    #expect(psnr > 5 && bytes > 200 && own.encodeCPUSeconds.count == 1, "\(psnr) dB, \(bytes) bytes")
    #expect(ResultsTable(results).text.contains("At equal PSNR"))
    // The fit can be stopped.
    let clip = try VideoClip(folder.path + "/a.mkv", VideoCut())
    var stopping = BenchControl()
    stopping.isStopped = { true }
    #expect(throws: CancellationError.self) { try codecs[0].encode(clip.source(), at: codecs[0].settings(points: 1)[0], stopping) }
  }

  @Test func namesAndSettings() throws {
    #expect(VideoBenchCodecs.standard.contains("hnerv") && VideoBenchCodecs.standard.suffix(3) == ["x264", "x265", "svtav1"])
    #expect(throws: BenchError("'vp9' is no codec of video: there are hnerv, nerv, nervpp, nirvana, x264, x265, svtav1")) {
      try VideoBenchCodecs.check("vp9")
    }
    for codec in VideoEncoder.Codec.allCases { try VideoBenchCodecs.check(codec.rawValue) }
    var options = OurVideoCodec.Options()
    func texts() -> [String] { OurVideoCodec(.hnerv, options, "").settings(points: 6).map(\.text) }
    #expect(texts() == ["quality 25", "quality 50", "quality 75"])
    options.rates = .qualities([75, 25, 25, 37.5])
    #expect(texts() == ["quality 25", "quality 37.5", "quality 75"])
    options.rates = .parameters([1_500_000, 350_000, 123, 355_000])
    #expect(texts() == ["params 123", "params 0.35M", "params 355000", "params 1.5M"])
  }
}
