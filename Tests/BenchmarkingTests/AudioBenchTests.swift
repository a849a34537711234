import Foundation
import Media
import MediaIO
import Metrics
import Synchronization
import Testing

import Benchmarking

/// A codec that keeps as many bits of each sample as its setting has kilobits, at a byte a sample: rate and error are known.
final class FakeSoundCodec: AudioBenchCodec {
  let record: CodecRecord
  let secondsPerSecond = 0.001
  let refusedFrames: Int?
  let encodings = Mutex(0)

  init(_ name: String, version: String = "1", refusedFrames: Int? = nil) {
    record = CodecRecord(name: name, title: name, family: .ours, version: version, settings: "fake")
    self.refusedFrames = refusedFrames
  }

  func encode(_ sound: AudioBuffer, at setting: BenchSetting) throws -> [UInt8] {
    encodings.withLock { $0 += 1 }
    if sound.frames == refusedFrames { throw BenchError("refused") }
    let scale = Float(1 << Int(setting.value))
    let samples = sound.samples[0].map { UInt8(bitPattern: Int8(max(-128, min(127, ($0 * scale).rounded())))) }
    return samples + [UInt8](repeating: 0, count: Int(setting.value) * 100)
  }

  func decode(_ bytes: [UInt8], like sound: AudioBuffer) throws -> AudioBuffer {
    let scale = Float(1 << ((bytes.count - sound.frames) / 100))
    return try AudioBuffer(
      format: sound.format, samples: [bytes.prefix(sound.frames).map { Float(Int8(bitPattern: $0)) / scale }])
  }
}

struct AudioBenchTests {
  /// Two tones and noise, different in each channel, fading in and out.
  static func sound(_ frames: Int, rate: Int = 24_000, channels: Int = 1, loudness: Float = 0.01) throws -> AudioBuffer {
    let noise = (0..<frames).map { i -> Float in
      let mixed: Int = (i &* 2_654_435_761) >> 8 & 0xFFFF
      return Float(mixed) / 65536 - 0.5
    }
    let samples = (0..<channels).map { channel in
      let step: Double = 2 * Double.pi / Double(rate)
      let pitch = Double(1500 + 300 * channel)
      return (0..<frames).map { i -> Float in
        let time: Double = step * Double(i)
        let tones: Double = sin(440 * time) + 0.5 * sin(pitch * time)
        let edge: Float = min(1, Float(min(i, frames - i)) / Float(rate) * 12)
        return edge * (0.3 * Float(tones) + loudness * noise[i])
      }
    }
    let layout: ChannelLayout = channels == 1 ? .mono : channels == 2 ? .stereo : try ChannelLayout(count: channels)
    return try AudioBuffer(format: AudioFormat(sampleRate: rate, layout: layout), samples: samples)
  }

  static func write(_ sound: AudioBuffer, to path: String) throws {
    var options = AudioWriter.Options()
    options.samples = .float32
    let writer = try AudioWriter(path, as: .wav, format: sound.format, options: options)
    try writer.append(sound)
    try writer.finish()
  }

  static func run(_ paths: [String], _ codecs: [any AudioBenchCodec], kbps: [Double] = [4, 6], previous: BenchResults? = nil) throws -> BenchResults {
    var options = AudioBench.Options()
    (options.kbps, options.course.workers) = (kbps, 2)
    let bench = AudioBench(codecs: codecs, measures: AudioMeasures.computed, options: options)
    let run = BenchRun(started: BenchRun.now, command: "test", nccodec: "test", workers: 2)
    return try bench.run(try bench.prepare(paths, run: run, previous: previous)) { _ in }
  }

  @Test func measuresAndReports() throws {
    let folder = try BenchFolder()
    try Self.write(Self.sound(12_000), to: folder.path + "/a.wav")
    try Self.write(Self.sound(6000), to: folder.path + "/b.wav")
    try FileIO.write(Array("no sound".utf8), to: folder.path + "/c.wav", overwrite: true)
    let paths = ["a", "b", "c"].map { "\(folder.path)/\($0).wav" }
    let (one, two) = (FakeSoundCodec("one"), FakeSoundCodec("two", refusedFrames: 6000))
    let results = try Self.run(paths, [one, two])
    #expect(results.files.map(\.duration) == [0.5, 0.25, nil] && results.files[0].sampleRate == 24_000)
    #expect(results.files[2].error != nil)
    let names: [String] = results.points.prefix(4).map { "\($0.file) \($0.codec) \($0.setting)" }
    #expect(names == ["a one 4 kbps", "a one 6 kbps", "a two 4 kbps", "a two 6 kbps"])
    #expect(results.points.count == 8 && results.points.count { $0.error == "refused" } == 2)
    let first = results.points[0]
    #expect(first.bytes == 12_400 && first.bpp == nil && first.bits == nil)
    let kbps: Double = try #require(first.kbps)
    #expect(abs(kbps - 198.4) < 1e-9)  // 12,400 bytes in half a second
    let low: Double = try #require(first.measures["sisdr"] ?? nil)
    let high: Double = try #require(results.points[1].measures["sisdr"] ?? nil)
    #expect(low > 15 && high - low > 9 && high - low < 15, "\(low), \(high)")
    #expect(first.encodeSeconds.count == 1 && first.decodeCPUSeconds.count == 1)
    let table = ResultsTable(results).text
    for text in ["kbps", "SI-SDR, dB", "Log-spectral distance, dB", "encode s/s", "BD-rate by SI-SDR", "two, 4 kbps, b: refused"] {
      #expect(table.contains(text), "\(text)")
    }
    let csv = String(decoding: results.csv(), as: UTF8.self)
    #expect(csv.hasPrefix("file,codec,point,setting,bytes,kbps,sisdr,lsd,encodeSeconds,"))
    #expect(try BenchResults(json: try results.json(), named: "x") == results)

    // Again: what failed is tried again, the rest is kept; and a sound whose bytes are the same under another name.
    try FileManager.default.moveItem(atPath: paths[0], toPath: folder.path + "/d.wav")
    let again = try Self.run([folder.path + "/d.wav", paths[1]], [one, two], previous: results)
    #expect(one.encodings.withLock { $0 } == 4 && two.encodings.withLock { $0 } == 6)
    #expect(again.points.map(\.file) == ["d", "d", "d", "d", "b", "b", "b", "b"])
    // The mean over one file is that file's point.
    let curve = try #require(again.summary?.curves.first { $0.codec == "two" })
    #expect(curve.points.map(\.files) == [1, 1] && curve.points[0].kbps == first.kbps)
  }

  /// What is above 48 kHz is measured at 48 kHz, of the same duration.
  @Test func highSampleRates() throws {
    let folder = try BenchFolder()
    try Self.write(Self.sound(48_000, rate: 96_000, loudness: 0), to: folder.path + "/a.wav")
    let sound = try BenchFiles.readSound(folder.path + "/a.wav")
    #expect(sound.format.sampleRate == 48_000 && sound.frames == 24_000)
    let quality = try #require(try siSDR(Self.sound(24_000, rate: 48_000, loudness: 0), sound))
    #expect(quality > 60, "\(quality) dB")
  }

  @Test(arguments: [
    ("mp3", 1, 24_000), ("aac", 1, 24_000), ("opus", 1, 24_000), ("mp3", 2, 44_100), ("aac", 2, 44_100), ("opus", 2, 44_100),
  ])
  func peers(name: String, channels: Int, rate: Int) throws {
    let codec = try AudioBenchCodecs.named(name, version: "")
    guard codec.record.missing == nil else { return }
    #expect(codec.record.version.hasPrefix("libavcodec ") && codec.record.family == .peer)
    let sound = try Self.sound(2 * rate + 777, rate: rate, channels: channels)
    var last = (bytes: 0, quality: -Double.infinity)
    for setting in codec.settings(kbps: [64.0 * Double(channels), 32.0 * Double(channels)], sampleRate: rate) {
      let bytes = try codec.encode(sound, at: setting)
      let decoded = try codec.decode(bytes, like: sound)
      #expect(decoded.format == sound.format && decoded.frames == sound.frames)
      let quality = try #require(try siSDR(sound, decoded))
      // Tones of such a length out of step by one sample alone have less than 10 dB.
      #expect(quality > max(last.quality, 14) && bytes.count > last.bytes, "\(name) \(setting.text): \(quality) dB, \(bytes.count) bytes")
      let kbps = 8 * Double(bytes.count) / sound.seconds / 1000
      // Variable rates take what tones need.
      #expect(kbps > 0.4 * setting.value && kbps < 2.5 * setting.value, "\(name) \(setting.text): \(kbps)")
      last = (bytes.count, quality)
    }
  }

  /// What is resampled there and back keeps its length, and rates are tokens' own.
  @Test(arguments: [(24_000, 1), (48_000, 2), (16_000, 1)]) func tokens(_ rate: Int, _ channels: Int) throws {
    let codec = try AudioBenchCodecs.named("tokens", version: "1")
    #expect(codec.settings(kbps: [0.1, 0.5, 3, 2.95, 100], sampleRate: rate).map(\.text) == ["0.48 kbps", "2.925 kbps", "5.625 kbps"])
    let sound = try Self.sound(rate + 13, rate: rate, channels: channels)
    var last = 0
    for setting in codec.settings(kbps: [0.48, 5.625], sampleRate: rate) {
      let bytes = try codec.encode(sound, at: setting)
      let decoded = try codec.decode(bytes, like: sound)
      #expect(decoded.format == sound.format && decoded.frames == sound.frames && decoded.samples.allSatisfy { $0.allSatisfy(\.isFinite) })
      #expect(bytes.count > last)
      last = bytes.count
    }
  }

  @Test func settings() throws {
    let mp3 = try AudioBenchCodecs.named("mp3", version: "")
    #expect(mp3.settings(kbps: [16, 23, 25, 48.5], sampleRate: 24_000).map(\.text) == ["16 kbps", "24 kbps", "48 kbps"])
    #expect(mp3.settings(kbps: [16, 23, 25, 48.5], sampleRate: 48_000).map(\.text) == ["32 kbps", "48 kbps"])
    #expect(FakeSoundCodec("x").settings(kbps: [48, 24, 24, 6.25], sampleRate: 8000).map(\.text) == ["6.25 kbps", "24 kbps", "48 kbps"])
    #expect(AudioBenchCodecs.rates(points: 6) == [16, 23, 33, 47, 67, 96])
    #expect(throws: BenchError.self) { try AudioBenchCodecs.named("speex", version: "") }
    for name in AudioBenchCodecs.names { #expect(try AudioBenchCodecs.named(name, version: "").record.name == name) }
  }

  @Test func toolsThatAreMissing() {
    let all = AudioMeasures.computed + AudioMeasures.tools(searchPath: "/nowhere")
    #expect(all.map(\.name) == ["sisdr", "lsd", "visqol", "visqolspeech", "pesq", "stoi"])
    #expect(all.filter { !$0.isHigherBetter }.map(\.name) == ["lsd"])
    #expect(all.map { $0.missing == nil } == [true, true, false, false, false, false])
    #expect(all[2].missing?.contains("no program visqol") == true)
  }

  /// Programs that say what they were called with, and how long what they got is.
  @Test(arguments: ["degraded", "degraded_file"])
  func tools(option: String) throws {
    let folder = try BenchFolder()
    func program(_ name: String, _ body: String) throws {
      try FileIO.write(Array("#!/bin/sh\n\(body)\n".utf8), to: "\(folder.path)/\(name)", overwrite: true)
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(folder.path)/\(name)")
    }
    // In hundreds, as the header's size does not matter.
    let frames = "$(($(wc -c < decoded.wav) / 200))"
    try program(
      "visqol",
      """
      [ "$1" = --help ] && echo "--\(option) FILE" && exit 0
      [ "$3 $4" = "--\(option) decoded.wav" ] || exit 3
      echo "MOS-LQO: 9.0"
      echo "MOS-LQO:      \(frames)"
      """)
    try program("pesq", "[ \"$*\" = \"+16000 +wb original.wav decoded.wav\" ] && echo \"P.862.2 Prediction (MOS-LQO):  = \(frames)\"")
    try program("stoi", "[ -f original.wav ] && echo \(frames)")
    let sound = try Self.sound(24_000)
    let measures = AudioMeasures.tools(searchPath: folder.path)
    let values = try measures.map { try $0.measure(original: sound, decoded: sound) }
    #expect(values == [480, 160, 160, 160])
    // Too short, silent, or of another length.
    let short = try Self.sound(11_000)
    #expect(try measures[0].measure(original: short, decoded: short) == nil)
    let silence = try AudioBuffer(format: sound.format, samples: [[Float](repeating: 0, count: 24_000)])
    #expect(try measures[0].measure(original: silence, decoded: sound) == nil)
    #expect { try measures[2].measure(original: sound, decoded: short) } throws: { ($0 as? MeasureError)?.code == .mismatch }
    try program("stoi", "echo none")
    #expect { try AudioMeasures.tools(searchPath: folder.path)[3].measure(original: sound, decoded: sound) } throws: {
      ($0 as? MeasureError)?.code == .unreadable
    }
    try program("pesq", "exit 1")
    #expect { try AudioMeasures.tools(searchPath: folder.path)[2].measure(original: sound, decoded: sound) } throws: {
      ($0 as? MeasureError)?.code == .failed
    }
  }
}
