import Foundation
import Media
import MediaIO
import Testing

struct AudioWriterTests {
  /// Writes in pieces and reads it back.
  private func roundTrip(
    _ sweep: Sweep, _ file: AudioFileFormat, _ options: AudioWriter.Options = AudioWriter.Options(), pieces: Int = 777
  ) throws -> (sound: WholeSound, written: AudioFormat, notices: [String]) {
    let folder = try SoundFolder()
    let path = folder["sound.\(file.rawValue)"]
    let writer = try AudioWriter(path, as: file, format: sweep.format, options: options)
    let all = try sweep.buffer
    for start in stride(from: 0, to: sweep.frames, by: pieces) {
      let end = min(start + pieces, sweep.frames)
      try writer.append(AudioBuffer(format: all.format, samples: all.samples.map { Array($0[start..<end]) }))
    }
    #expect(folder.names.count == 1 && folder.names[0].hasSuffix(".tmp"))
    try writer.finish()
    #expect(folder.names == ["sound.\(file.rawValue)"])
    #expect(try FileIO.read(path).count == writer.byteCount)
    return (try WholeSound(path), writer.writtenFormat, writer.notices)
  }

  @Test(arguments: AudioFileFormat.allCases, [1, 2, 960, 1_000, 1_024, 11_047])
  func lengthsToTheSample(file: AudioFileFormat, frames: Int) throws {
    let sweep = Sweep(rate: 48_000, frames: frames)
    let (sound, written, notices) = try roundTrip(sweep, file)
    #expect(try written == sweep.format && sound.format == sweep.format && notices.isEmpty && sound.notices.isEmpty)
    // libav's MP3 files cannot say that more than one frame is padding, so there is no shorter one.
    #expect(sound.frames == (file == .mp3 ? max(frames, 47) : frames))
    if file.isLossless {
      let worst = try #require(sweep.worst(sound.samples))
      #expect(worst <= 0.5 / 32_768 + 1e-7)
    } else if frames > 10_000 {
      #expect(sweep.aligned(sound.samples) > 20)
    }
  }

  @Test(arguments: [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 47_999])
  func everyRateWithoutLoss(rate: Int) throws {
    for file in [AudioFileFormat.wav, .flac] {
      let sweep = Sweep(rate: rate, channels: 1, frames: 5_001)
      let (sound, _, notices) = try roundTrip(sweep, file)
      #expect(try sound.format == sweep.format && notices.isEmpty)
      let worst = try #require(sweep.worst(sound.samples))
      #expect(worst <= 0.5 / 32_768 + 1e-7)
    }
  }

  @Test(arguments: [
    (AudioFileFormat.opus, 44_100, 48_000), (.opus, 8_000, 8_000), (.opus, 22_050, 24_000), (.opus, 192_000, 48_000),
    (.mp3, 11_025, 11_025), (.mp3, 96_000, 48_000), (.mp3, 10_000, 11_025), (.m4a, 96_000, 96_000), (.m4a, 192_000, 96_000),
    (.m4a, 8_000, 8_000), (.ogg, 32_000, 32_000),
  ])
  func nearestRateWithLoss(file: AudioFileFormat, rate: Int, expected: Int) throws {
    let sweep = Sweep(rate: rate, frames: rate / 4 + 1)
    let (sound, written, notices) = try roundTrip(sweep, file)
    #expect(written.sampleRate == expected)
    #expect(notices == (rate == expected ? [] : ["\(file.rawValue) has no \(rate) Hz: \(expected) Hz were written"]))
    // Opus always decodes at 48 kHz.
    let decoded = file == .opus ? 48_000 : expected
    let frames = AudioResampler.frames(AudioResampler.frames(sweep.frames, from: rate, to: expected), from: expected, to: decoded)
    #expect(sound.format.sampleRate == decoded && sound.frames == frames)
    #expect(Sweep(rate: decoded, frames: sound.frames).aligned(sound.samples) > 15)
  }

  @Test(arguments: [
    (1, 0x4), (2, 0x3), (3, 0x7), (4, 0x107), (4, 0x33), (5, 0x37), (6, 0x3F), (6, 0x60F), (7, 0x70F), (8, 0x63F), (8, 0xFF),
  ] as [(Int, UInt64)])
  func layoutsWithoutLoss(channels: Int, mask: UInt64) throws {
    let sweep = Sweep(rate: 48_000, channels: channels, frames: 1_500, mask: mask)
    let (wave, _, notices) = try roundTrip(sweep, .wav)
    #expect(try wave.format == sweep.format && notices.isEmpty)
    #expect(try #require(sweep.worst(wave.samples)) < 0x1p-15)
    let (flac, _, more) = try roundTrip(sweep, .flac)
    #expect(flac.format.layout == wave.format.layout || !more.isEmpty, "\(flac.format)")
    #expect(try #require(sweep.worst(flac.samples)) < 0x1p-15)
  }

  /// 7.1 and 5.1 stay what they are, each channel in its place.
  @Test(arguments: [(AudioFileFormat.opus, 6, 0x3F), (.opus, 8, 0x63F), (.m4a, 6, 0x3F), (.m4a, 8, 0x63F), (.ogg, 6, 0x3F)] as [(AudioFileFormat, Int, UInt64)])
  func surroundWithLoss(file: AudioFileFormat, channels: Int, mask: UInt64) throws {
    let sweep = Sweep(rate: 48_000, channels: channels, frames: 9_601, mask: mask)
    let (sound, _, notices) = try roundTrip(sweep, file)
    #expect(try sound.format == sweep.format && notices.isEmpty)
    #expect(sound.frames == sweep.frames)
    // The low-frequency channel may lose what is high, so it is not asked for.
    let own = (0..<channels).filter { $0 != 3 }.map { sweep.ratio(sound.samples[$0], channel: $0) }
    #expect(own.allSatisfy { $0 > 10 }, "\(own)")
  }

  @Test func manyChannelsWithoutAnOrder() throws {
    let sweep = Sweep(rate: 16_000, channels: 12, frames: 301)
    let (sound, _, _) = try roundTrip(sweep, .wav)
    #expect(try sound.format == sweep.format)
    for file in [AudioFileFormat.mp3, .flac, .m4a] {
      let folder = try SoundFolder()
      let error = #expect(throws: MediaIOError(.unsupported)) {
        try AudioWriter(folder["x"], as: file, format: sweep.format)
      }
      #expect(error?.code == .unsupported && folder.names.isEmpty, "\(String(describing: error))")
    }
  }

  @Test func finerSamples() throws {
    let sweep = Sweep(frames: 3_000)
    var options = AudioWriter.Options()
    for (samples, files, limit) in [(AudioSampleFormat.int24, [AudioFileFormat.wav, .flac], 0x1p-24 + 3e-8), (.float32, [.wav], 0)] {
      options.samples = samples
      for file in files {
        let (sound, _, _) = try roundTrip(sweep, file, options)
        let truth = try sweep.buffer.samples
        let worst = zip(sound.samples.joined(), truth.joined()).map { abs(Double($0) - Double($1)) }.max()!
        #expect(sound.frames == 3_000 && worst <= limit, "\(file) \(samples): \(worst)")
      }
    }
    let folder = try SoundFolder()
    #expect(throws: MediaIOError(.unsupported)) { try AudioWriter(folder["x.flac"], as: .flac, format: sweep.format, options: options) }
    #expect(folder.names.isEmpty)
  }

  @Test func roundingAndClipping() throws {
    let folder = try SoundFolder()
    let format = try AudioFormat(sampleRate: 8_000, layout: .mono)
    let step = Float(1) / 32_768
    let input: [Float] = [0, step, 0.4 * step, 0.6 * step, -0.6 * step, 1, -1, 1.01, -1.01, 1e30, -0.5]
    let writer = try AudioWriter(folder["x.wav"], as: .wav, format: format)
    try writer.append(AudioBuffer(format: format, samples: [input]))
    try writer.finish()
    #expect(writer.notices == ["3 samples beyond full scale were clipped"])
    let top = 1 - step
    #expect(try WholeSound(folder["x.wav"]).samples == [[0, step, 0, step, -step, top, -1, top, -1, top, -0.5]])
  }

  @Test(arguments: AudioFileFormat.allCases) func tagsAreWritten(file: AudioFileFormat) throws {
    var options = AudioWriter.Options()
    options.tags = [AudioTag(key: "title", value: "Tēst — ok"), AudioTag(key: "artist", value: "x=y; z"), AudioTag(key: "date", value: "1999")]
    let (sound, _, _) = try roundTrip(Sweep(rate: 48_000, frames: 3_000), file, options)
    #expect(Set(sound.tags) == Set(options.tags))
  }

  @Test func theSameBytesOnEveryRun() throws {
    let folder = try SoundFolder()
    let sweep = Sweep(rate: 48_000, frames: 4_000)
    for file in AudioFileFormat.allCases {
      for name in ["a", "b"] {
        let writer = try AudioWriter(folder[name], as: file, format: sweep.format)
        try writer.append(sweep.buffer)
        try writer.finish()
      }
      let (a, b) = (try FileIO.read(folder["a"]), try FileIO.read(folder["b"]))
      #expect(a == b && a.count > 500, "\(file)")
      for name in ["a", "b"] { try FileManager.default.removeItem(atPath: folder[name]) }
    }
  }

  @Test func targetsStayAsTheyAre() throws {
    let folder = try SoundFolder()
    try FileIO.write([1, 2, 3], to: folder["x.wav"])
    let sweep = Sweep()
    #expect(throws: MediaIOError(.exists)) { try AudioWriter(folder["x.wav"], as: .wav, format: sweep.format) }
    var options = AudioWriter.Options()
    options.overwrite = true
    do {
      let unfinished = try AudioWriter(folder["x.wav"], as: .wav, format: sweep.format, options: options)
      try unfinished.append(sweep.buffer)
      #expect(folder.names.count == 2)
    }
    #expect(folder.names == ["x.wav"])
    #expect(try FileIO.read(folder["x.wav"]) == [1, 2, 3])
    #expect(throws: MediaIOError(.system)) {
      let full = try AudioWriter("/dev/full", as: .wav, format: sweep.format)
      try full.append(sweep.buffer)
      try full.finish()
    }
    #expect(throws: MediaIOError(.unsupported)) { try AudioWriter("/dev/null", as: .m4a, format: sweep.format) }
  }

  @Test func namesSayTheFormat() {
    #expect(AudioFileFormat(path: "a.b/c.WAV") == .wav && AudioFileFormat(path: "x.oga") == .ogg && AudioFileFormat(path: "x.mp4") == .m4a)
    #expect(AudioFileFormat(path: "wav") == nil && AudioFileFormat(path: "a.png") == nil && AudioFileFormat(path: "-") == nil)
  }
}
