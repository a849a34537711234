import ArgumentParser
import Foundation
import MediaIO
import Metrics
import NeuralCodecs

/// One point of the overfitted codec's curve; `Benchmarks/overfit.sh rd` collects them.
struct OverfitPoint: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "overfit", abstract: "Encodes a PNG with the overfitted codec at a lambda and decodes it: a line of JSON.",
    discussion: "The decoded picture's PSNR must be the one that the encoder measured, to the last bit.")

  @Argument(help: "A picture.") var picture: String
  @Option(help: "Weight of the rate.") var lambda: Double
  @Option(help: "1...9") var effort = 5
  @Option(help: "Multiplications per pixel of the decoder: 500, 1000, 2000 or 3000.") var decoderCost = 2000
  @Option(help: "Iterations instead of the effort's.") var iterations: Int?
  @Option(help: "Threads; one per core by default.") var threads: Int?
  @Option(help: "Where to write the file.") var output: String?

  func run() throws {
    let image = try ImageReader.read(loadFile(picture)).image
    var options = ImageEncoder.Options()
    options.codec = .overfit
    options.target = .lambda(lambda)
    options.effort = effort
    options.decoderCost = decoderCost
    options.iterations = iterations
    options.threads = threads
    let start = ContinuousClock.now
    let encoded = try ImageEncoder(options: options).encode(image)
    let encoding = (ContinuousClock.now - start).inSeconds
    var decoding = ImageDecoder.Options()
    decoding.threads = threads
    let middle = ContinuousClock.now
    let decoded = try ImageDecoder(options: decoding).decode(encoded.bytes)
    let decodingTime = (ContinuousClock.now - middle).inSeconds
    let psnr = try Metrics.psnr(image, decoded)
    guard psnr == encoded.psnr else {
      throw BenchError(description: "the encoder measured \(encoded.psnr ?? .nan) dB, the decoder's picture has \(psnr) dB")
    }
    if let output { try Data(encoded.bytes).write(to: URL(fileURLWithPath: output)) }
    let point = Point(
      lambda: lambda, effort: effort, decoderCost: decoderCost, bytes: encoded.bytes.count,
      bpp: encoded.bitsPerPixel, psnr: psnr, seconds: encoding, decodeSeconds: decodingTime)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(point), as: UTF8.self))
  }

  struct Point: Encodable {
    let lambda: Double
    let effort, decoderCost, bytes: Int
    /// The whole file counts.
    let bpp: Double
    /// In dB on 8-bit samples.
    let psnr: Double
    let seconds, decodeSeconds: Double
  }
}
