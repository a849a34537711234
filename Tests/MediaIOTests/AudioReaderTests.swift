import Foundation
import Glibc
import Media
import MediaIO
import Testing

struct AudioReaderTests {
  struct Known: Sendable {
    let name: String
    let sweep: Sweep
    /// Of a step of full scale.
    var bits = 16

    init(_ name: String, _ rate: Int, _ channels: Int, _ frames: Int, mask: UInt64? = nil, bits: Int = 16) {
      (self.name, self.bits) = (name, bits)
      sweep = Sweep(rate: rate, channels: channels, frames: frames, mask: mask)
    }
  }

  static let lossless = [
    Known("stereo.wav", 44_100, 2, 11_047), Known("stereo.flac", 44_100, 2, 11_047), Known("stereo.wv", 44_100, 2, 11_047),
    Known("stereo.aiff", 44_100, 2, 11_047), Known("stereo-alac.m4a", 44_100, 2, 11_047), Known("two-tracks.mka", 44_100, 2, 11_047),
    Known("mono-8000.wav", 8_000, 1, 2_011), Known("mono-u8.wav", 22_050, 1, 999, bits: 8),
    Known("stereo-24.wav", 48_000, 2, 1_001, bits: 24), Known("stereo-float.wav", 44_100, 2, 1_001, bits: 24),
    Known("71-48000.wav", 48_000, 8, 1_201, mask: 0x63F), Known("71.flac", 48_000, 8, 1_201, mask: 0x63F),
    Known("51-side.wav", 44_100, 6, 1_201, mask: 0x60F), Known("twelve.wav", 16_000, 12, 301),
    Known("mono-192000.wav", 192_000, 1, 4_801), Known("one.wav", 44_100, 1, 1), Known("piped.wav", 44_100, 1, 500),
  ]

  @Test(arguments: lossless) func everySample(known: Known) throws {
    let sound = try WholeSound(Fixture.sounds + known.name)
    #expect(try sound.format == known.sweep.format)
    // Half a step, and what a Float rounds.
    let worst = try #require(known.sweep.worst(sound.samples), "\(sound.frames) frames")
    #expect(worst <= 0.5 / Double(1 << (known.bits - 1)) + 1e-7)
  }

  /// Delay and padding are left out: the same length, at the same place.
  @Test(arguments: ["stereo.mp3", "cover.mp3", "stereo.ogg", "stereo.m4a", "film.mp4"])
  func lossyFilesAreGapless(name: String) throws {
    let sound = try WholeSound(Fixture.sounds + name)
    let sweep = Sweep()
    #expect(try sound.format == sweep.format && sound.frames == sweep.frames)
    #expect(sweep.aligned(sound.samples) > 15)
  }

  @Test func opusIsGapless() throws {
    let sound = try WholeSound(Fixture.sounds + "stereo.opus")
    // 11047 samples at 44100 Hz are 12023.9 at Opus' own rate.
    let sweep = Sweep(rate: 48_000, frames: 12_024)
    #expect(try sound.format == sweep.format && sound.frames == sweep.frames)
    #expect(sweep.aligned(sound.samples) > 15)
  }

  @Test(arguments: ["stereo.flac", "stereo.mp3", "stereo.opus", "stereo.ogg", "stereo.m4a", "stereo.wv"])
  func tagsInOrder(name: String) throws {
    let tags = try AudioReader(Fixture.sounds + name).tags
    #expect(tags == [AudioTag(key: "title", value: "A sweep"), AudioTag(key: "artist", value: "make.py")])
  }

  @Test(arguments: [
    ("film.mp4", ["its video (mpeg4) was left out: only its sound is coded"]),
    ("two-tracks.mka", ["of 2 sound tracks the best was read, number 0"]),
    ("truncated.wav", ["it is cut short by 1000 bytes; the 500 samples before that were used"]),
    ("truncated.flac", ["1 damaged packet was left out", "it is cut short: 4608 samples of 11047 are there and were used"]),
    ("piped.wav", []), ("cover.mp3", []), ("stereo.wav", []), ("twelve.wav", []),
  ])
  func notices(name: String, expected: [String]) throws {
    #expect(try WholeSound(Fixture.sounds + name).notices == expected)
  }

  @Test func truncatedSoundIsUsedAsFarAsItGoes() throws {
    let sound = try WholeSound(Fixture.sounds + "truncated.flac")
    let worst = try #require(Sweep(frames: 4_608).worst(sound.samples))
    #expect(worst < 0x1p-15)
  }

  @Test func beyondFullScaleIsKept() throws {
    #expect(try WholeSound(Fixture.sounds + "loud.wav").samples == [[1.5, -2, 0.5, 1, -1]])
    let silence = try WholeSound(Fixture.sounds + "silence.wav")
    #expect(silence.frames == 3_000 && silence.samples[0].allSatisfy { $0 == 0 })
  }

  @Test(arguments: [
    ("empty.wav", MediaIOError.Code.empty, "no samples"), ("nan.wav", .damaged, "sample 70 of channel 0 is not a finite number"),
    ("infinite.wav", .damaged, "sample 7 of channel 1 is not a finite number"),
    ("silent-film.mp4", .noAudio, "has video (mpeg4) and no sound"), ("make.py", .unknownFormat, "not in a format"),
    ("missing.wav", .system, "No such file"), ("", .system, "is a directory"),
  ])
  func refusals(name: String, code: MediaIOError.Code, words: String) throws {
    let error = #expect(throws: MediaIOError(code)) { try WholeSound(Fixture.sounds + name) }
    #expect(error?.code == code && error?.reason.contains(words) == true, "\(String(describing: error))")
  }

  /// What a pipe brings is what the file has, also where its beginning was looked at before.
  @Test(arguments: ["stereo.wav", "stereo.flac", "stereo.mp3", "cover.mp3", "stereo.opus", "stereo.ogg", "71-48000.wav", "one.wav", "piped.wav"], [0, 12, 700])
  func pipes(name: String, taken: Int) throws {
    let folder = try SoundFolder()
    try #require(mkfifo(folder["pipe"], 0o600) == 0)
    let bytes = try FileIO.read(Fixture.sounds + name)
    let path = folder["pipe"]
    let writer = Thread {
      let descriptor = open(path, O_WRONLY)
      var rest = bytes.dropFirst(taken)
      while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, min($0.count, 1000)) }
        if count <= 0 { break }
        rest = rest.dropFirst(count)
      }
      close(descriptor)
    }
    writer.start()
    let piped = try WholeSound(path, after: Array(bytes.prefix(taken)))
    let file = try WholeSound(Fixture.sounds + name)
    #expect(piped.format == file.format && piped.samples == file.samples && piped.tags == file.tags)
  }

  /// Whatever the bytes say, there are finite samples or an error.
  @Test(arguments: ["mono-8000.wav", "stereo.flac", "stereo.mp3", "stereo.opus", "stereo.ogg", "stereo.m4a", "film.mp4", "stereo-alac.m4a"])
  func damage(name: String) throws {
    let bytes = try FileIO.read(Fixture.sounds + name)
    let folder = try SoundFolder()
    var random = SeededGenerator(state: 11)
    var (failures, changes) = (0, 0)
    let intact = try WholeSound(Fixture.sounds + name)
    // 60, unless NCCODEC_FUZZ_ROUNDS asks for more.
    for round in 0..<(DamageTests.rounds * 3 / 10) {
      var damaged = bytes
      if round % 3 == 2 {
        damaged.removeLast(Int.random(in: 1..<bytes.count, using: &random))
      } else {
        for _ in 0...(round % 4) {
          let range = round % 2 == 0 ? min(400, bytes.count) : bytes.count
          damaged[Int.random(in: 0..<range, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
      }
      let path = folder["damaged"]
      try FileIO.write(damaged, to: path, overwrite: true)
      do {
        let sound = try WholeSound(path)
        #expect(sound.samples.allSatisfy { $0.allSatisfy(\.isFinite) })
        if sound.samples != intact.samples { changes += 1 }
      } catch is MediaIOError {
        failures += 1
      }
    }
    #expect(failures + changes > 10)
  }
}
