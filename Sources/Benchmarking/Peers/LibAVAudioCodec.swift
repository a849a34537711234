import Media
import MediaIO

/// A peer that codes through libavcodec, in the files that libavformat makes of it. Readers leave out encoders' delay and padding, so
/// nothing is shifted afterwards.
package struct LibAVAudioCodec: AudioBenchCodec {
  package let record: CodecRecord
  package let secondsPerSecond: Double
  private let file: AudioFileFormat
  /// Kilobits a second that there are, for sound of a sample rate; nil: any.
  private let steps: (@Sendable (Int) -> [Double])?

  package static let mp3 = LibAVAudioCodec(
    "mp3", "MP3", .mp3, "constant rate, with the frame that says delay and length", secondsPerSecond: 0.03,
    // MPEG-1 from 32 kHz on, MPEG-2 and 2.5 below.
    steps: {
      $0 >= 32_000
        ? [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320] : [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
    })
  package static let aac = LibAVAudioCodec("aac", "AAC-LC", .m4a, "libav's own encoder, in MP4", secondsPerSecond: 0.03)
  package static let opus = LibAVAudioCodec(
    "opus", "Opus", .opus, "for sound of all kinds, variable rate, complexity 10, packets of 20 ms", secondsPerSecond: 0.03)

  private init(
    _ name: String, _ title: String, _ file: AudioFileFormat, _ settings: String, secondsPerSecond: Double,
    steps: (@Sendable (Int) -> [Double])? = nil
  ) {
    (self.file, self.secondsPerSecond, self.steps) = (file, secondsPerSecond, steps)
    let found = Result { try AudioWriter.encoderVersion(file) }
    var missing: String?
    if case .failure(let error) = found { missing = "\(error)" }
    record = CodecRecord(
      name: name, title: title, family: .peer, version: (try? found.get()) ?? "", settings: "\(settings); kbps as asked", missing: missing)
  }

  package func settings(kbps: [Double], sampleRate: Int) -> [BenchSetting] {
    guard let steps = steps?(sampleRate) else { return Self.settings(kbps.sorted()) }
    return Self.settings(kbps.sorted().compactMap { wanted in steps.min { abs($0 - wanted) < abs($1 - wanted) } })
  }

  package func encode(_ sound: AudioBuffer, at setting: BenchSetting) throws -> [UInt8] {
    try ExternalTool.withFolder { folder in
      var options = AudioWriter.Options()
      options.kbps = setting.value
      let path = "\(folder)/sound.\(file.rawValue)"
      let writer = try AudioWriter(path, as: file, format: sound.format, options: options)
      try writer.append(sound)
      try writer.finish()
      return try FileIO.read(path)
    }
  }

  package func decode(_ bytes: [UInt8], like sound: AudioBuffer) throws -> AudioBuffer {
    let decoded = try ExternalTool.withFolder { folder in
      let path = "\(folder)/sound.\(file.rawValue)"
      try ExternalTool.write(bytes, to: path)
      return try AudioBuffer.whole(AudioReader(path))
    }
    guard decoded.format.layout.count == sound.format.layout.count else {
      throw BenchError("decoded to \(decoded.format.layout.count) channels")
    }
    let samples = try decoded.resampled(to: sound.format.sampleRate).samples
    // A rate that differs rounds the length, and no more than that.
    guard abs(samples[0].count - sound.frames) <= 2 else { throw BenchError("decoded to \(samples[0].count) frames instead of \(sound.frames)") }
    return try AudioBuffer(
      format: sound.format,
      samples: samples.map { $0.prefix(sound.frames) + [Float](repeating: 0, count: max(0, sound.frames - $0.count)) })
  }
}

extension AudioBuffer {
  /// All that a reader gives.
  package static func whole(_ reader: AudioReader) throws -> AudioBuffer {
    var samples = [[Float]](repeating: [], count: reader.format.layout.count)
    while let piece = try reader.next() {
      for channel in samples.indices { samples[channel] += piece.samples[channel] }
    }
    return try AudioBuffer(format: reader.format, samples: samples)
  }

  /// At another sample rate, by libswresample; itself at its own.
  package func resampled(to sampleRate: Int) throws -> AudioBuffer {
    if sampleRate == format.sampleRate { return self }
    let resampler = try AudioResampler(format, to: sampleRate)
    let (body, rest) = (try resampler.convert(self), try resampler.finish())
    return try AudioBuffer(format: body.format, samples: zip(body.samples, rest.samples).map { $0 + $1 })
  }
}
