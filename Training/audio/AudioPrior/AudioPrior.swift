import ArgumentParser
import AudioCodec
import Bitstream
import Glibc

/// Learns Sources/CModels/Weights/audio-1.bin and tokens-1-context.bin from raw samples; Training/audio/README.md says how they are made.
@main
struct AudioPrior: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "audioprior")

  @Option(help: "The file to write.") var out: String
  @Flag(help: "Learn tokens-1-context.bin instead; clips of 24 kHz alone.") var tokens = false
  @Option(help: "Seconds of each clip at most.") var seconds = 1e9
  @Option(help: "A clip to measure by afterwards.") var test: [String] = []
  @Argument(help: "Mono little-endian samples: binary32 in NAME-RATE.f32, or 16-bit at 24 kHz in NAME.s16.") var clips: [String] = []

  func run() throws {
    if tokens { return try learnTokens() }
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
    try Self.write(bytes, to: out)
  }

  /// Without clips the file is measured alone.
  private func learnTokens() throws {
    func read(_ paths: [String]) throws -> [[Float]] {
      try paths.sorted().filter { $0.hasSuffix(".s16") || $0.hasSuffix("-24000.f32") }.map { path in
        let samples = try path.hasSuffix(".s16") ? Self.integers(path) : Self.floats(path)
        return Array(samples.prefix(Int(min(seconds, 1e6) * 24_000)))
      }
    }
    let mono = try read(clips)
    print("\(mono.reduce(0) { $0 + $1.count } / 24_000) seconds")
    // Some get a second channel, since the data are mono: the same, nearly the same, or with another clip in it.
    let sounds = mono.enumerated().map { i, clip in
      guard i % 8 == 0 else { return [clip] }
      let other = mono[(7 * i + 3) % mono.count], share: Float = [0, 0.02, 0.2, 0.5][i / 8 % 4]
      return [clip, clip.indices.map { (1 - share) * clip[max(0, $0 - i % 3)] + ($0 < other.count ? share * other[$0] : 0) }]
    }
    if !sounds.isEmpty {
      let trained = try TokenMode.allCases.map { mode in
        let training = try TokenPriorTraining(sounds, mode) { print($0) }
        training.train()
        return training
      }
      try Self.write(TokenPriorTraining.file(trained), to: out)
    }
    let held = try read(test)
    guard !held.isEmpty else { return }
    let bytes = try Self.bytes(out)
    for mode in TokenMode.allCases { try TokenPriorTraining(held.map { [$0] }, mode) { print($0) }.measure(bytes) }
  }

  private static func write(_ bytes: [UInt8], to path: String) throws {
    guard let file = fopen(path, "wb") else { throw ValidationError("\(path) cannot be written") }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
  }

  private static func bytes(_ path: String) throws -> [UInt8] {
    try read(path, of: UInt8.self)
  }

  private static func integers(_ path: String) throws -> [Float] {
    try read(path, of: Int16.self).map { Float(Int16(littleEndian: $0)) / 32768 }
  }

  private static func floats(_ path: String) throws -> [Float] { try read(path, of: Float.self) }

  private static func read<T: BitwiseCopyable>(_ path: String, of type: T.Type) throws -> [T] {
    guard let file = fopen(path, "rb") else { throw ValidationError("\(path) cannot be read") }
    defer { fclose(file) }
    fseek(file, 0, SEEK_END)
    let size = MemoryLayout<T>.size, count = ftell(file) / size
    rewind(file)
    return [T](unsafeUninitializedCapacity: count) { buffer, filled in filled = fread(buffer.baseAddress!, size, count, file) }
  }
}
