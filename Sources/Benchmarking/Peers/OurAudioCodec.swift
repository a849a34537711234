import Media
import NeuralCodecs

/// Our codecs by their public interface, with the files that users get.
package struct OurAudioCodec: AudioBenchCodec {
  package let record: CodecRecord
  package let secondsPerSecond = 0.05
  private let codec: AudioEncoder.Codec
  private let target: AudioEncoder.Target

  /// `version` of nccodec, with its build. `target` is the transform codec's.
  package init(_ codec: AudioEncoder.Codec, _ target: AudioEncoder.Target = .perceptual, _ version: String) {
    self.codec = codec
    self.target = target
    let isPerceptual = target == .perceptual
    record = codec == .tokens
      ? CodecRecord(
        name: "tokens", title: "tokens", family: .ours, version: version,
        settings: "one thread; the most tokens whose bits before entropy coding fit the kbps asked for; sound of other rates resampled to 24 kHz and back")
      : CodecRecord(
        name: isPerceptual ? "mdct" : "mdct-mse", title: isPerceptual ? "mdct" : "mdct, least squared error", family: .ours,
        version: version, settings: "target \(isPerceptual ? "perceptual" : "mse"), one thread; kbps as asked, on average over the file")
  }

  /// Tokens have few rates, of which the nearest is taken, for each channel.
  package func settings(kbps: [Double], sampleRate: Int) -> [BenchSetting] {
    guard codec == .tokens else { return Self.settings(kbps.sorted()) }
    return Self.settings(kbps.sorted().compactMap { wanted in AudioEncoder.tokenRates.min { abs($0 - wanted) < abs($1 - wanted) } }.sorted())
  }

  package func encode(_ sound: AudioBuffer, at setting: BenchSetting) throws -> [UInt8] {
    var options = AudioEncoder.Options()
    options.codec = codec
    options.rate = .kbps(codec == .tokens ? setting.value * Double(sound.format.layout.count) : setting.value)
    options.target = target
    // The closure outlives no call here, but may not capture a variable of this scope alone.
    final class Output { var bytes: [UInt8] = [] }
    let output = Output()
    let coded = try sound.resampled(to: codec.codedSampleRate(of: sound.format.sampleRate))
    if coded.format != sound.format { options.originalSampleRate = sound.format.sampleRate }
    var encoder = try AudioEncoder(format: coded.format, options: options) { output.bytes += $0 }
    try encoder.append(coded)
    _ = try encoder.finish(originalFrames: coded.format == sound.format ? nil : sound.frames)
    return output.bytes
  }

  package func decode(_ bytes: [UInt8], like sound: AudioBuffer) throws -> AudioBuffer {
    var decoder = try AudioDecoder(bytes)
    guard decoder.originalSampleRate ?? decoder.format.sampleRate == sound.format.sampleRate, decoder.format.layout == sound.format.layout else {
      throw BenchError("decoded to another format")
    }
    var samples = [[Float]](repeating: [], count: sound.format.layout.count)
    while let piece = try decoder.next() {
      for channel in samples.indices { samples[channel] += piece.samples[channel] }
    }
    let decoded = try AudioBuffer(format: decoder.format, samples: samples).resampled(to: sound.format.sampleRate)
    if decoded.format == decoder.format {
      // Ours keep the length to the frame; nothing is cut or filled up.
      guard decoded.frames == sound.frames else { throw BenchError("decoded to \(decoded.frames) frames instead of \(sound.frames)") }
      return decoded
    }
    // Resampled there and back it is up to some samples longer, as the command knows from the file.
    guard decoder.originalFrames == sound.frames, decoded.frames >= sound.frames else {
      throw BenchError("decoded to \(decoded.frames) frames instead of \(sound.frames)")
    }
    return try AudioBuffer(format: sound.format, samples: decoded.samples.map { Array($0.prefix(sound.frames)) })
  }
}
