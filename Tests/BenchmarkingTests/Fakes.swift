import Foundation
import Media
import MediaIO
import Synchronization

import Benchmarking

/// A codec that keeps samples, less the low bits that its setting takes, behind padding: rate and error are known.
final class FakeCodec: ImageBenchCodec {
  let record: CodecRecord
  let isSingleThreaded: Bool
  let secondsPerMegapixel = 0.001
  /// Refuses pictures of that width.
  let refusedWidth: Int?
  /// More bytes for the same error.
  let waste: Int
  let encodings = Mutex(0)

  init(
    _ name: String, family: CodecRecord.Family = .ours, version: String = "1", isSingleThreaded: Bool = true,
    refusedWidth: Int? = nil, waste: Int = 0
  ) {
    record = CodecRecord(name: name, title: name, family: family, version: version, settings: "fake")
    (self.isSingleThreaded, self.refusedWidth, self.waste) = (isSingleThreaded, refusedWidth, waste)
  }

  func settings(points: Int) -> [BenchSetting] { BenchSetting.spread("bits", from: 5, to: 2, points: points) }

  func encode(_ image: Image, at setting: BenchSetting, _ control: BenchControl) throws -> [UInt8] {
    encodings.withLock { $0 += 1 }
    if image.width == refusedWidth { throw BenchError("refused") }
    let shift = Int(setting.value)
    let size = [UInt8(image.width >> 8), UInt8(image.width & 255), UInt8(image.height >> 8), UInt8(image.height & 255)]
    let samples = image.samples.map { UInt8(min(255, ((Int($0) >> shift) << shift) + (1 << shift) / 2)) }
    return size + samples + [UInt8](repeating: 0, count: (9 - shift) * 100 + waste)
  }

  func decode(_ bytes: [UInt8]) throws -> Image {
    let (width, height) = (Int(bytes[0]) << 8 | Int(bytes[1]), Int(bytes[2]) << 8 | Int(bytes[3]))
    return try Image(width: width, height: height, colour: .rgb, samples: Array(bytes[4..<(4 + 3 * width * height)]))
  }
}

/// A folder of its own with pictures in it, gone with the value.
final class BenchFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.path + "/bench-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// Smooth with a little noise, different for each seed.
  @discardableResult
  func picture(_ name: String, width: Int = 48, height: Int = 32, seed: Int = 1) throws -> String {
    let image = try Image(
      width: width, height: height, colour: .rgb,
      samples: (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: $0 / 7 + ($0 * 31 + seed * 17) % 11 + seed) })
    try FileIO.write(try PNGWriter.write(image), to: "\(path)/\(name)", overwrite: true)
    return "\(path)/\(name)"
  }
}

/// Runs a benchmark of pictures in this process, as the command does.
func bench(
  _ paths: [String], _ codecs: [any ImageBenchCodec], points: Int = 3, previous: BenchResults? = nil,
  isStopped: @escaping @Sendable () -> Bool = { false }, save: @escaping (BenchResults) throws -> Void = { _ in }
) throws -> BenchResults {
  var options = ImageBench.Options()
  (options.points, options.course.workers, options.course.isStopped) = (points, 2, isStopped)
  let bench = ImageBench(codecs: codecs, measures: ImageMeasures.all.filter { ["psnr", "msssim"].contains($0.record.name) }, options: options)
  let run = BenchRun(started: BenchRun.now, command: "test", nccodec: "test", workers: 2)
  return try bench.run(try bench.prepare(paths, run: run, previous: previous), folder: nil, save: save)
}
