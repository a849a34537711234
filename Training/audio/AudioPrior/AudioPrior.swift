import ArgumentParser
import AudioCodec
import Glibc

/// Learns Sources/CModels/Weights/audio-1.bin from raw floats; Training/audio/README.md says how they are made.
@main
struct AudioPrior: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "audioprior")

  @Option(help: "The file to write.") var out: String
  @Argument(help: "Mono little-endian binary32 samples; NAME-RATE.f32.") var clips: [String]

  func run() throws {
    var sounds: [PriorTraining.Clip] = []
    var plain: [[Float]] = []
    for path in clips.sorted() {
      let stem = path.dropLast(4)
      guard path.hasSuffix(".f32"), let rate = stem.split(separator: "-").last.flatMap({ Int($0) }), (1...48_000).contains(rate) else {
        throw ValidationError("\(path) is not named NAME-RATE.f32")
      }
      let samples = try Self.floats(path)
      sounds.append(PriorTraining.Clip(sampleRate: rate, samples: [samples]))
      if rate == 24_000 { plain.append(samples) }
    }
    // Second channels of pairs: mixtures of two clips, since the data are mono.
    for i in stride(from: 0, to: plain.count - 1, by: 5) {
      let a = plain[i], b = plain[(7 * i + 3) % plain.count]
      let count = min(a.count, b.count)
      let gain: Float = i % 2 == 0 ? 0.3 : 0.8
      sounds.append(
        PriorTraining.Clip(
          sampleRate: 24_000,
          samples: [
            (0..<count).map { a[$0] + 0.4 * b[$0] }, (0..<count).map { gain * a[max(0, $0 - 5)] + 0.3 * b[max(0, $0 - 9)] },
          ]))
    }
    let bytes = PriorTraining { print($0) }.train(sounds)
    guard let file = fopen(out, "wb") else { throw ValidationError("\(out) cannot be written") }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
  }

  private static func floats(_ path: String) throws -> [Float] {
    guard let file = fopen(path, "rb") else { throw ValidationError("\(path) cannot be read") }
    defer { fclose(file) }
    fseek(file, 0, SEEK_END)
    let count = ftell(file) / 4
    rewind(file)
    return [Float](unsafeUninitializedCapacity: count) { buffer, filled in filled = fread(buffer.baseAddress!, 4, count, file) }
  }
}
