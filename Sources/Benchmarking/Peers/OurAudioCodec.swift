import Media
import NeuralCodecs

/// Our codec by its public interface, with the files that users get.
package struct OurAudioCodec: AudioBenchCodec {
  package let record: CodecRecord
  package let secondsPerSecond = 0.05
  private let target: AudioEncoder.Target

  /// `version` of nccodec, with its build.
  package init(_ target: AudioEncoder.Target, _ version: String) {
    self.target = target
    let isPerceptual = target == .perceptual
    record = CodecRecord(
      name: isPerceptual ? "mdct" : "mdct-mse", title: isPerceptual ? "mdct" : "mdct, least squared error", family: .ours,
      version: version, settings: "target \(isPerceptual ? "perceptual" : "mse"), one thread; kbps as asked, on average over the file")
  }

  package func encode(_ sound: AudioBuffer, at setting: BenchSetting) throws -> [UInt8] {
    var options = AudioEncoder.Options()
    options.rate = .kbps(setting.value)
    options.target = target
    // The closure outlives no call here, but may not capture a variable of this scope alone.
    final class Output { var bytes: [UInt8] = [] }
    let output = Output()
    var encoder = try AudioEncoder(format: sound.format, options: options) { output.bytes += $0 }
    try encoder.append(sound)
    _ = try encoder.finish()
    return output.bytes
  }

  package func decode(_ bytes: [UInt8], like sound: AudioBuffer) throws -> AudioBuffer {
    var decoder = try AudioDecoder(bytes)
    guard decoder.format == sound.format else { throw BenchError("decoded to another format") }
    var samples = [[Float]](repeating: [], count: sound.format.layout.count)
    while let piece = try decoder.next() {
      for channel in samples.indices { samples[channel] += piece.samples[channel] }
    }
    // Ours keep the length to the frame; nothing is cut or filled up.
    guard samples[0].count == sound.frames else { throw BenchError("decoded to \(samples[0].count) frames instead of \(sound.frames)") }
    return try AudioBuffer(format: sound.format, samples: samples)
  }
}
