import AudioCodec
import Bitstream
import Coding
import Media
import Testing

@Suite struct AudioCodecTests {
  /// Lengths at which frames and groups begin and end: of 512 samples, sixteen to a group.
  @Test(arguments: [0, 1, 2, 255, 256, 257, 511, 512, 513, 768, 8191, 8192, 8193, 7935, 7936, 7937, 8448, 8449, 20_000])
  func lengthIsKeptToTheSample(_ frames: Int) throws {
    let sound = sound(8000, frames: frames)
    // A rate leaves few bytes for what is short.
    for (options, least) in [(options(.quality(95)), 256), (options(.kbps(40)), 7000)] {
      let bytes = try encode(sound, options)
      let decoded = try decode(bytes)
      #expect(decoded[0].count == frames)
      if frames > least { #expect(ratio(sound.samples, decoded) > 25) }
      #expect(try AudioFile(reading: bytes).frames == frames)
      #expect(try AudioDecoder(bytes).frames == frames)
    }
  }

  @Test(arguments: [1, 50, 8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000], [1, 2])
  func anyRateUpTo48k(_ rate: Int, _ channels: Int) throws {
    let sound = sound(rate, frames: 12_000, channels: channels)
    let decoded = try decode(encode(sound, options(.quality(95))))
    #expect(decoded.count == channels && decoded[0].count == 12_000)
    #expect(ratio(sound.samples, decoded) > 25)
  }

  @Test(arguments: [3, 6, 8, 255]) func manyChannels(_ channels: Int) throws {
    let sound = sound(8000, frames: 1500, channels: channels)
    var decoder = try AudioDecoder(encode(sound, options(.quality(90))))
    #expect(decoder.format == sound.format)
    #expect(ratio(sound.samples, try rest(&decoder)) > 20)
  }

  /// The rate is of the whole file, tables and all.
  @Test(arguments: [16.0, 24, 48, 64, 96], [AudioEncoder.Target.perceptual, .meanSquaredError])
  func rateIsMetWithinAPercent(_ kbps: Double, _ target: AudioEncoder.Target) throws {
    let sound = sound(24_000, frames: 240_000)
    var bytes = 0
    var encoder = try AudioEncoder(format: sound.format, options: options(.kbps(kbps), target)) { bytes += $0.count }
    try encoder.append(sound)
    let encoded = try encoder.finish()
    #expect(encoded.byteCount == bytes && encoded.frames == 240_000)
    #expect(abs(Double(bytes) * 8 / 10 / 1000 - encoded.kbps) < 1e-9)
    #expect(abs(encoded.kbps / kbps - 1) < 0.01, "\(encoded.kbps)")
  }

  @Test func moreBitsAreMoreQuality() throws {
    let sound = sound(24_000, frames: 48_000)
    var last = (bytes: 0, ratio: -1.0)
    for quality in stride(from: 0.0, through: 100, by: 25) {
      let bytes = try encode(sound, options(.quality(quality)))
      let now = (bytes: bytes.count, ratio: ratio(sound.samples, try decode(bytes)))
      #expect(now.bytes > last.bytes && now.ratio > last.ratio)
      last = now
    }
  }

  /// Squared error is what the one target is about; noise in empty bands what the other has.
  @Test func targetsDiffer() throws {
    let sound = sound(24_000, frames: 72_000)
    let exact = try decode(encode(sound, options(.kbps(20))))
    let alike = try decode(encode(sound, options(.kbps(20), .perceptual)))
    #expect(ratio(sound.samples, exact) > ratio(sound.samples, alike) + 0.5)
  }

  /// However the sound comes in, the file is the same.
  @Test(arguments: [AudioEncoder.Rate.kbps(32), .quality(50)]) func piecesMakeNoDifference(_ rate: AudioEncoder.Rate) throws {
    let sound = sound(8000, frames: 400_000, channels: 2)
    let whole = try encode(sound, options(rate, .perceptual))
    #expect(try encode(sound, options(rate, .perceptual), pieces: 7919) == whole)
    // As it does not how the file is read.
    let all = try decode(whole)
    var next = 0
    var stream = try AudioDecoder { count in
      defer { next = min(whole.count, next + min(count, 333)) }
      return Array(whole[next..<min(whole.count, next + min(count, 333))])
    }
    #expect(stream.frames == nil)
    #expect(try rest(&stream) == all)
    #expect(stream.frames == 400_000)
    #expect(throws: CodecError(.invalidOption, "")) { try stream.seek(toFrame: 0) }
  }

  @Test func seekingGivesWhatIsThere() throws {
    let sound = sound(8000, frames: 50_000)
    let bytes = try encode(sound, options(.quality(60), .perceptual))
    let all = try decode(bytes)[0]
    var decoder = try AudioDecoder(bytes)
    #expect(try AudioFile(reading: bytes).parts > 4)
    for frame in [0, 1, 8191, 8192, 8193, 12_345, 49_999, 16_384, 3] {
      try decoder.seek(toFrame: frame)
      #expect(try rest(&decoder)[0] == Array(all[frame...]))
    }
    for frame in [50_000, 1 << 40] {
      try decoder.seek(toFrame: frame)
      #expect(try decoder.next() == nil)
    }
    #expect(throws: CodecError(.invalidOption, "")) { try decoder.seek(toFrame: -1) }
  }

  @Test func silenceIsSilentAndSmall() throws {
    let silence = try AudioBuffer(format: format(48_000, channels: 2), samples: [[Float]](repeating: [Float](repeating: 0, count: 480_000), count: 2))
    for options in [options(.kbps(64), .perceptual), options(.quality(100))] {
      let bytes = try encode(silence, options)
      #expect(bytes.count < 1000)
      #expect(try decode(bytes) == silence.samples)
    }
  }

  /// A loud sound is not clipped, and one that is hardly there is not lost.
  @Test(arguments: [Float(1000), 60_000, 1e-4]) func levelsAreKept(_ gain: Float) throws {
    let plain = sound(24_000, frames: 24_000)
    let loud = try AudioBuffer(format: plain.format, samples: plain.samples.map { $0.map { $0 * gain } })
    #expect(ratio(loud.samples, try decode(encode(loud, options(.kbps(48))))) > 20)
    if gain > 1 { #expect(ratio(loud.samples, try decode(encode(loud, options(.quality(100))))) > 60) }
  }

  @Test func saysWhatItWasTold() throws {
    let layout = try ChannelLayout(count: 6, mask: 0x3F)
    let format = try AudioFormat(sampleRate: 44_100, layout: layout)
    let buffer = try AudioBuffer(format: format, samples: sound(44_100, frames: 3000, channels: 6).samples)
    var options = options(.quality(50))
    options.tags = [AudioTag(key: "title", value: "Größe"), AudioTag(key: "artist", value: "")]
    options.originalSampleRate = 96_000
    let bytes = try encode(buffer, options)
    let file = try AudioFile(reading: bytes)
    #expect(AudioFile.isOne(bytes) && file.format == format && file.tags == options.tags)
    #expect(file.originalSampleRate == 96_000 && file.originalFrames == 3000 * 96_000 / 44_100)
    #expect(file.byteCount == bytes.count && file.codedBytes < bytes.count && file.parts == 1)
    let decoder = try AudioDecoder(bytes)
    #expect(decoder.tags == options.tags && decoder.originalFrames == file.originalFrames)
  }

  @Test func refusesWhatCannotBe() throws {
    let refused = CodecError(.invalidOption, "")
    func make(_ rate: Int, _ options: AudioEncoder.Options) throws -> AudioEncoder {
      try AudioEncoder(format: format(rate), options: options) { _ in }
    }
    #expect(throws: refused) { _ = try make(48_001, options(.quality(50))) }
    #expect(throws: refused) { _ = try make(8000, options(.quality(101))) }
    #expect(throws: refused) { _ = try make(8000, options(.kbps(0))) }
    #expect(throws: refused) { _ = try make(8000, options(.kbps(.nan))) }
    for bad in [Float.nan, .infinity, 1e9] {
      var encoder = try make(8000, options(.quality(50)))
      #expect(throws: refused) { try encoder.append(AudioBuffer(format: format(8000), samples: [[0, bad]])) }
    }
    var encoder = try make(8000, options(.quality(50)))
    #expect(throws: refused) { try encoder.append(sound(16_000, frames: 10)) }
    #expect(throws: refused) { _ = try encoder.finish(originalFrames: 3) }
    #expect(throws: AudioError(.layout, at: "", "")) { _ = try ChannelLayout(count: 2, mask: 7) }
    #expect(throws: AudioError(.sampleRate, at: "", "")) { _ = try AudioFormat(sampleRate: 0, layout: .mono) }
    #expect(throws: AudioError(.sampleCount, at: "", "")) { _ = try AudioBuffer(format: format(8000, channels: 2), samples: [[1], []]) }
  }

  @Test func whatWriteThrowsComesBack() throws {
    struct Full: Error {}
    #expect(throws: Full.self) {
      var encoder = try AudioEncoder(format: format(8000), options: options(.quality(50))) { _ in throw Full() }
      try encoder.append(sound(8000, frames: 80_000))
      _ = try encoder.finish()
    }
  }

  @Test func cancellingStops() async {
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try encode(sound(8000, frames: 80_000), options(.quality(50)))
    }
    await #expect(throws: CancellationError.self) { _ = try await task.value }
  }
}
