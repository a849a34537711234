import ArgumentParser
import Bitstream
import Foundation
import MediaIO
import Metrics
import NeuralCodecs

/// Encodes and decodes every picture of a folder at several qualities: rate of the whole file, PSNR of the decoded
/// picture.
struct RateDistortion: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rd",
    abstract: "Rate and distortion of every PNG of a folder, as JSON.",
    discussion: """
      Each picture is really decoded; its PSNR must be the one that the encoder measured, to the last bit. Pictures \
      are worked on side by side, each by one thread.
      """)

  @Argument(help: "Folder of PNG files.") var folder: String
  @Option(help: "Qualities, 0 to 100, separated by commas.") var qualities = "0,10,20,30,40,50,60,70,80,90,100"
  @Option(help: "Pictures to take, without .png, separated by commas; all by default.") var pictures: String?
  @Option(help: "Pictures at a time; one per core by default.") var workers: Int?

  func run() throws {
    let qualities = try self.qualities.split(separator: ",").map { text in
      guard let q = Int(text), (0...100).contains(q) else { throw ValidationError("\(text) is no quality") }
      return q
    }
    let names = try pictures.map { $0.split(separator: ",").map(String.init) } ?? Self.pictures(in: folder)
    guard !names.isEmpty, !qualities.isEmpty else { throw BenchError(description: "no pictures in \(folder)") }
    let start = ContinuousClock.now
    let results = Results(count: names.count)
    let next = Counter()
    let folder = self.folder
    let cores = ProcessInfo.processInfo.activeProcessorCount
    DispatchQueue.concurrentPerform(iterations: min(names.count, max(1, workers ?? cores))) { _ in
      while let i = next.take(below: names.count) {
        let result = Result { try Self.measure("\(folder)/\(names[i]).png", name: names[i], qualities: qualities) }
        results.set(i, result)
      }
    }
    let report = Report(seconds: (ContinuousClock.now - start).inSeconds, pictures: try results.all())
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  struct Report: Codable {
    let seconds: Double
    let pictures: [Picture]
  }

  struct Picture: Codable {
    let name: String
    let width: Int
    let height: Int
    let points: [Point]
  }

  struct Point: Codable {
    let quality: Int
    /// Of the whole file, and of its coded data, metadata chunks and everything else, which add up to it.
    let bytes, payload, metadata, headers: Int
    /// In dB on 8-bit samples.
    let psnr: Double
    /// The codec's model.
    let model: UInt32
  }

  private static func pictures(in folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { $0.hasSuffix(".png") }.map { String($0.dropLast(4)) }.sorted()
  }

  private static func measure(_ path: String, name: String, qualities: [Int]) throws -> Picture {
    let image = try ImageReader.read(loadFile(path)).image
    let points = try qualities.map { quality in
      var options = ImageEncoder.Options()
      options.target = .quality(quality)
      options.threads = 1
      options.measuresPSNR = true
      let encoded = try ImageEncoder(options: options).encode(image)
      var decoding = ImageDecoder.Options()
      decoding.threads = 1
      let decoded = try ImageDecoder(options: decoding).decode(encoded.bytes)
      let psnr = try Metrics.psnr(image, decoded)
      guard psnr == encoded.psnr else {
        throw BenchError(
          description: "\(name) at quality \(quality): the encoder measured \(encoded.psnr ?? .nan) dB, the decoder's "
            + "picture has \(psnr) dB")
      }
      let container = try ContainerReader(MemorySource(encoded.bytes))
      // What the payload chunk holds beside the coded data counts as header.
      let payload = try container.units.reduce(0) { try $0 + container.payload($1).data.count }
      let metadata = container.sections.first { $0.name == "metadata" }?.byteCount ?? 0
      return Point(
        quality: quality, bytes: encoded.bytes.count, payload: payload, metadata: metadata,
        headers: encoded.bytes.count - payload - metadata, psnr: psnr, model: container.tracks[0].model)
    }
    return Picture(name: name, width: image.width, height: image.height, points: points)
  }
}

func loadFile(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

extension Duration {
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// Hands out 0, 1, 2, ... to several threads.
private final class Counter: @unchecked Sendable {
  private let lock = NSLock()
  private var value = 0

  func take(below count: Int) -> Int? {
    lock.withLock {
      guard value < count else { return nil }
      defer { value += 1 }
      return value
    }
  }
}

/// Results from several threads, each at its own index.
private final class Results: @unchecked Sendable {
  private let lock = NSLock()
  private var values: [Result<RateDistortion.Picture, any Error>?]

  init(count: Int) { values = Array(repeating: nil, count: count) }

  func set(_ i: Int, _ value: Result<RateDistortion.Picture, any Error>) { lock.withLock { values[i] = value } }
  func all() throws -> [RateDistortion.Picture] { try lock.withLock { try values.map { try $0!.get() } } }
}
