import Media
import MediaIO
import Metrics
import NeuralCodecs
import Testing

import Benchmarking

struct PeerTests {
  static func photo() throws -> Image {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return try BenchFiles.readPicture("/\(root)/Fixtures/Images/photo.png")
  }

  /// Every peer that this machine has: rate and quality rise from point to point, and the last one is good.
  @Test(arguments: LibAVCodec.definitions.map(\.name).filter { $0 != "avifslow" })
  func curvesRise(name: String) throws {
    let codec = try ImageCodecs.named(name, effort: 1, version: "")
    guard codec.record.missing == nil else { return }
    #expect(codec.record.version.hasPrefix("libavcodec "))
    let image = try Self.photo()
    var last = (bytes: 0, psnr: 0.0)
    for setting in codec.settings(points: 3) {
      let bytes = try codec.encode(image, at: setting, BenchControl())
      let quality = try psnr(image, try codec.decode(bytes))
      #expect(bytes.count > last.bytes && quality > last.psnr, "\(name) \(setting.text)")
      last = (bytes.count, quality)
    }
    #expect(last.psnr > 34, "\(name): \(last.psnr) dB")
  }

  /// One pixel, odd sides: either a picture of that size or an error, which the report then has.
  @Test(arguments: LibAVCodec.definitions.map(\.name) + ["hyperprior"])
  func smallPictures(name: String) throws {
    let codec = try ImageCodecs.named(name, effort: 1, version: "")
    guard codec.record.missing == nil else { return }
    for (width, height) in [(1, 1), (3, 1), (17, 9)] {
      let image = try Image(
        width: width, height: height, colour: .rgb, samples: [UInt8](repeating: 90, count: 3 * width * height))
      guard let setting = codec.settings(points: 2).last else { continue }
      do {
        let decoded = try codec.decode(try codec.encode(image, at: setting, BenchControl()))
        #expect(decoded.width == width && decoded.height == height)
        #expect(try meanSquaredError(image, decoded) < 30, "\(name) \(width)x\(height)")
      } catch let error as MediaIOError {
        #expect(["svtav1", "avif", "avif420", "avifslow", "jpeg2000"].contains(name), "\(name) \(width)x\(height): \(error)")
      }
    }
  }

  /// The files are files: our own reader takes them.
  @Test(arguments: ["jpeg", "webp"])
  func filesAreFiles(name: String) throws {
    let codec = try ImageCodecs.named(name, effort: 1, version: "")
    guard codec.record.missing == nil else { return }
    let image = try Self.photo()
    let bytes = try codec.encode(image, at: codec.settings(points: 1)[0], BenchControl())
    let read = try ImageReader.read(bytes)
    #expect(read.image.width == image.width && read.format == (name == "jpeg" ? .jpeg : .webp))
    #expect(read.image.metadata.exif == nil && read.image.metadata.iccProfile == nil)
  }

  @Test func jpegTablesAreLibjpegs() {
    let half = JPEGTables.scaled(quality: 50)
    #expect(half[0].prefix(8) == [16, 11, 10, 16, 24, 40, 51, 61] && half[1].prefix(4) == [17, 18, 24, 47])
    #expect(JPEGTables.scaled(quality: 75)[0].prefix(3) == [8, 6, 5])
    #expect(JPEGTables.scaled(quality: 10)[0].prefix(3) == [80, 55, 50])
    #expect(JPEGTables.scaled(quality: 100)[0].allSatisfy { $0 == 1 })
  }

  @Test func unknownNames() {
    #expect(throws: BenchError.self) { try ImageCodecs.named("jpegg", effort: 1, version: "") }
    #expect(throws: BenchError.self) { try ImageCodecs.named("overfit0", effort: 1, version: "") }
    #expect(throws: BenchError.self) { try ImageCodecs.named("overfit05", effort: 1, version: "") }
    #expect(throws: BenchError.self) { try KVBenchCodecs.named("q5_0", profile: nil, version: "") }
  }

  @Test func kvProfileIsMissing() throws {
    #expect(try KVBenchCodecs.named("kv9", profile: nil, version: "").record.missing?.contains("--profile") == true)
  }
}

struct KVBenchTests {
  /// Values that make each format's steps known.
  static func cache() -> KVCache {
    func tensor(_ shift: Float) -> KVTensor {
      let tensor = KVTensor(heads: 2, tokens: 40, channels: 32, element: .float16)
      for head in 0..<2 {
        for token in 0..<40 {
          tensor.withMutableRow(head: head, token: token) { row in
            for c in 0..<32 {
              let value = Float16(shift + Float((c * 37 + token * 11 + head * 5) % 64) / 8 - 4)
              row.storeBytes(of: value.bitPattern.littleEndian, toByteOffset: 2 * c, as: UInt16.self)
            }
          }
        }
      }
      return tensor
    }
    return KVCache(layers: [KVLayer(keys: tensor(0), values: tensor(0.5))])
  }

  @Test(arguments: [("q8_0", 8.5, 40.0, 60.0), ("q4_0", 4.5, 18.0, 35.0), ("f16", 16, Double.infinity, Double.infinity)])
  func quantisers(name: String, bits: Double, low: Double, high: Double) throws {
    let codec = try KVBenchCodecs.named(name, profile: nil, version: "")
    let cache = Self.cache()
    let bytes = try codec.encode(cache, at: codec.settings(points: 6)[0])
    #expect(8 * Double(bytes.count) / Double(cache.elementCount) == bits)
    let measures = try KVError(cache, try codec.decode(bytes, like: cache)).measures
    for key in ["snr", "snrK", "snrV"] {
      let value = try #require(measures[key] ?? nil)
      #expect(value >= low && value <= high, "\(name) \(key) \(value)")
    }
  }

  @Test func runsAndReports() throws {
    let folder = try BenchFolder()
    let path = folder.path + "/cache.safetensors"
    try KVCacheWriter.write(Self.cache(), to: path)
    var options = KVBench.Options()
    (options.points, options.course.workers) = (3, 2)
    let codecs = try ["kv1", "lossless", "cachegen", "q8_0", "q4_0", "kv9"].map { try KVBenchCodecs.named($0, profile: nil, version: "1") }
    let bench = KVBench(codecs: codecs, options: options)
    let run = BenchRun(started: BenchRun.now, command: "test", nccodec: "test", workers: 2)
    let results = try bench.run(try bench.prepare([path, folder.path + "/none.npy"], run: run, previous: nil)) { _ in }
    #expect(results.files[0].elements == 2 * 2 * 40 * 32 && results.files[1].error != nil)
    #expect(results.points.count == 3 + 1 + 3 + 1 + 1 && results.points.allSatisfy { $0.error == nil && $0.bpp == nil })
    #expect(results.points.first { $0.codec == "lossless" }?.measures["snr"] == .some(.infinity))
    #expect(results.points.first { $0.codec == "q4_0" }?.bits == 4.5)
    #expect(results.failures.count == 1 && results.missing.count == 1)
    let table = ResultsTable(results).text
    #expect(table.contains("SNR of keys, dB") && table.contains("kv9: effort 9 needs a profile"))
  }
}
