import Foundation
import Glibc
import Media
import MediaIO
import Testing

/// The sounds of Fixtures/Audio, whose channels are sweeps.
enum Sound {
  static func path(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path + "/Fixtures/Audio/" + name
  }

  /// All of a file's sound.
  static func read(_ path: String) throws -> (reader: AudioReader, samples: [[Float]]) {
    let reader = try AudioReader(path)
    var samples = [[Float]](repeating: [], count: reader.format.layout.count)
    while let buffer = try reader.next() { for c in samples.indices { samples[c] += buffer.samples[c] } }
    return (reader, samples)
  }

  /// Signal to noise in dB, of all channels together.
  static func ratio(_ truth: [[Float]], _ decoded: [[Float]]) -> Double {
    var (signal, noise) = (1e-30, 1e-30)
    for (a, b) in zip(truth.joined(), decoded.joined()) {
      signal += Double(a) * Double(a)
      noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
    }
    return 10 * log10(signal / noise)
  }
}

struct AudioTests {
  private func run(_ arguments: [String], in folder: Folder? = nil, input: [UInt8] = []) throws -> Command.Outcome {
    let outcome = try Command.finish(Command.process(arguments, in: folder), input: input)
    #expect(outcome.status == 0 && !outcome.isKilled, "\(arguments): \(outcome.errors)")
    return outcome
  }

  @Test(arguments: [
    "stereo.wav", "stereo.flac", "stereo.mp3", "stereo.opus", "stereo.ogg", "stereo.m4a", "stereo-alac.m4a", "stereo.aiff",
    "mono-8000.wav", "mono-u8.wav", "stereo-24.wav", "stereo-float.wav", "71-48000.wav", "71.flac", "51-side.wav", "twelve.wav",
    "mono-192000.wav", "one.wav", "silence.wav", "film.mp4", "two-tracks.mka", "truncated.wav", "piped.wav",
  ])
  func everyKindOfSound(name: String) throws {
    let folder = try Folder()
    let (original, truth) = try Sound.read(Sound.path(name))
    let encoding = try run(["encode", "--quality", "95", "--target", "mse", Sound.path(name), "s.ncb"], in: folder)
    let rate = original.format.sampleRate
    #expect(encoding.text.hasPrefix("\(Sound.path(name)): \(rate) Hz "))
    #expect(encoding.errorLines.map(String.init) == original.notices.map { "nccodec: note: \(Sound.path(name)): \($0)" })
    let decoding = try run(["decode", "--sample-format", "float", "s.ncb", "s.wav"], in: folder)
    #expect(decoding.errors.isEmpty && folder.names == ["s.ncb", "s.wav"])
    let (back, samples) = try Sound.read(folder.path("s.wav"))
    #expect(back.format == original.format && samples[0].count == truth[0].count)
    if name == "silence.wav" || name == "one.wav" {
      #expect(samples.allSatisfy { $0.allSatisfy { abs($0) < 1e-3 } })
    } else {
      #expect(Sound.ratio(truth, samples) > 25)
    }
  }

  @Test(arguments: ["wav", "flac", "opus", "ogg", "mp3", "m4a"]) func everyKindOfOutput(ending: String) throws {
    let folder = try Folder()
    _ = try run(["encode", "--quality", "90", Sound.path("stereo.flac"), "s.ncb"], in: folder)
    let decoding = try run(["decode", "s.ncb", "s.\(ending)"], in: folder)
    let (back, samples) = try Sound.read(folder.path("s.\(ending)"))
    let size = try folder.read("s.\(ending)").count
    #expect(decoding.text == "s.\(ending): 44100 Hz stereo, 0.250 s, \(size) bytes\n")
    #expect(decoding.errors == (ending == "opus" ? "nccodec: note: s.opus: opus has no 44100 Hz: 48000 Hz were written\n" : ""))
    #expect(samples[0].count == (ending == "opus" ? 12_024 : 11_047))
    #expect(Set(back.tags) == [AudioTag(key: "title", value: "A sweep"), AudioTag(key: "artist", value: "make.py")])
    // The ending is not all: --format says it too.
    _ = try run(["decode", "--format", ending, "s.ncb", "x"], in: folder)
    #expect(try folder.read("x") == folder.read("s.\(ending)"))
  }

  @Test(arguments: ["stereo.wav", "stereo.flac", "mono-192000.wav"]) func pipesCarryTheSameBytes(name: String) throws {
    let folder = try Folder()
    _ = try run(["encode", "--kbps", "64", Sound.path(name), "s.ncb"], in: folder)
    _ = try run(["decode", "s.ncb", "s.wav"], in: folder)
    let encoded = try run(["encode", "--kbps", "64", "-", "-"], input: FileIO.read(Sound.path(name)))
    #expect(encoded.output == (try folder.read("s.ncb")))
    #expect(encoded.errors.hasPrefix("standard input: "))
    let decoded = try run(["decode", "-", "-"], input: encoded.output)
    // The header of what cannot be gone back to does not say the length.
    try folder.write("piped.wav", decoded.output)
    let (piped, file) = (try Sound.read(folder.path("piped.wav")), try Sound.read(folder.path("s.wav")))
    #expect(piped.samples == file.samples && piped.reader.format == file.reader.format)
    #expect(try run(["decode", "-", "p.flac"], in: folder, input: encoded.output).text.hasPrefix("p.flac: "))
    #expect(try Sound.read(folder.path("p.flac")).samples == file.samples)
  }

  @Test func partsAreThoseOfTheWhole() throws {
    let folder = try Folder()
    _ = try run(["encode", Sound.path("stereo.wav"), "s.ncb"], in: folder)
    _ = try run(["decode", "s.ncb", "whole.wav"], in: folder)
    let whole = try Sound.read(folder.path("whole.wav")).samples
    let bytes = try folder.read("s.ncb")
    for (start, duration, range) in [
      ("0.1", "0.05", 4_410..<6_615), ("0:00.2", "9", 8_820..<11_047), ("0", "0.001", 0..<44), ("0:0:0.25", nil, 11_025..<11_047),
    ] as [(String, String?, Range<Int>)] {
      let options = ["--start", start] + (duration.map { ["--duration", $0] } ?? [])
      _ = try run(["decode", "--force"] + options + ["s.ncb", "part.wav"], in: folder)
      let part = try Sound.read(folder.path("part.wav")).samples
      #expect(part == whole.map { Array($0[range]) }, "\(start)")
      _ = try run(["decode", "--force"] + options + ["-", "piped.wav"], in: folder, input: bytes)
      #expect(try Sound.read(folder.path("piped.wav")).samples == part)
    }
    // At the rate that it had.
    _ = try run(["encode", Sound.path("mono-192000.wav"), "h.ncb"], in: folder)
    _ = try run(["decode", "--start", "0.01", "--duration", "0.01", "h.ncb", "h.wav"], in: folder)
    let high = try Sound.read(folder.path("h.wav"))
    #expect(high.reader.format.sampleRate == 192_000 && high.samples[0].count == 1_920)
  }

  @Test func reports() throws {
    let folder = try Folder()
    let outcome = try run(["encode", "--quality", "30", Sound.path("stereo.wav"), "s.ncb"], in: folder)
    let size = try folder.read("s.ncb").count
    let kbps = Double(size) * 8 / (11_047.0 / 44_100) / 1000
    let rate = String(format: "%.2f", kbps)
    #expect(outcome.text == "\(Sound.path("stereo.wav")): 44100 Hz stereo, 0.250 s, \(size) bytes, \(rate) kbps, quality 30\n")
    let json = try run(["encode", "--json", "--kbps", "40.5", "--force", Sound.path("mono-192000.wav"), "s.ncb"], in: folder)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
    #expect(object["sampleRate"] as? Int == 192_000 && object["codedSampleRate"] as? Int == 48_000)
    #expect(object["channels"] as? Int == 1 && object["channelMask"] as? Int == 4 && object["samples"] as? Int == 4_801)
    #expect(object["codec"] as? String == "mdct" && object["container"] as? String == "wav" && object["inputCodec"] as? String == "pcm_s16le")
    #expect((object["asked"] as? [String: Double]) == ["kbps": 40.5] && object["quality"] == nil)
    #expect(object["bytes"] as? Int == (try folder.read("s.ncb").count))
    #expect(try run(["encode", "--codec", "mdct", "--quiet", "--force", Sound.path("film.mp4"), "s.ncb"], in: folder).errors.isEmpty)
  }

  @Test func infoAndVerify() throws {
    let folder = try Folder()
    _ = try run(["encode", Sound.path("stereo.flac"), "s.ncb"], in: folder)
    let lines = try run(["info", "s.ncb"], in: folder).text.split(separator: "\n")
    for line in ["sound:       44100 Hz stereo, 0.250 s, 11047 samples", "codec:       mdct, 1 parts", "  title:     A sweep", "  artist:    make.py"] {
      #expect(lines.contains(Substring(line)), "\(line)")
    }
    _ = try run(["encode", Sound.path("mono-192000.wav"), "h.ncb"], in: folder)
    let info = try run(["info", "--json", "h.ncb"], in: folder)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(info.output)) as? [String: Any])
    let sound = try #require(object["sound"] as? [String: Any])
    #expect(sound["sampleRate"] as? Int == 48_000 && sound["samples"] as? Int == 1_201)
    #expect(sound["originalSampleRate"] as? Int == 192_000 && sound["originalSamples"] as? Int == 4_801)
    let size = try folder.read("h.ncb").count
    #expect(object["picture"] is NSNull && object["bytes"] as? Int == size)
    let verified = try run(["verify", "s.ncb"], in: folder).text
    let pattern = /s.ncb: intact, [0-9]+ checksums match, 44100 Hz stereo, 0.250 s decoded, CRC-32 of samples [0-9a-f]{8}\n/
    #expect(verified.wholeMatch(of: pattern) != nil, "\(verified)")
    #expect(try run(["verify", "-"], input: folder.read("s.ncb")).text == verified.replacing("s.ncb", with: "standard input"))
  }

  @Test(arguments: [
    (["encode", "empty.wav", "o.ncb"], ["empty.wav: ", "no samples"]), (["encode", "nan.wav", "o.ncb"], ["sample 70 of channel 0 is not a finite"]),
    (["encode", "infinite.wav", "o.ncb"], ["sample 7 of channel 1"]),
    (["encode", "make.py", "o.ncb"], ["neither a picture", "PNG, JPEG", "nor video or sound", "nor a KV cache", "Convert it"]),
    (["encode", "--codec", "mdct", "make.py", "o.ncb"], ["make.py: "]), (["encode", "--codec", "mdct", "../Images/photo.png", "o.ncb"], ["no sound"]),
    (["encode", "--bpp", "1", "stereo.wav", "o.ncb"], ["is sound, and --bpp"]), (["encode", "--bits", "4", "stereo.wav", "o.ncb"], ["is sound, and --bits"]),
    (["encode", "--effort", "5", "stereo.wav", "o.ncb"], ["is sound, and --effort"]),
    (["encode", "--kbps", "9", "../Images/photo.png", "o.ncb"], ["is no sound, and --kbps"]),
    (["encode", "--codec", "hyperprior", "stereo.wav", "o.ncb"], ["stereo.wav: ", "not a picture"]),
  ])
  func encodeRefuses(arguments: [String], words: [String]) throws {
    let folder = try Folder()
    let own = arguments.map { $0.hasSuffix(".wav") || $0.hasSuffix(".mp4") || $0.hasSuffix(".py") || $0.hasSuffix(".png") ? Sound.path($0) : $0 }
    try Command.expectFailure(own, in: folder, saying: words)
    #expect(folder.names.isEmpty)
  }

  @Test func decodeRefuses() throws {
    let folder = try Folder()
    _ = try run(["encode", Sound.path("stereo.wav"), "s.ncb"], in: folder)
    let whole = try folder.read("s.ncb")
    _ = try run(["encode", Fixture.photo, "p.ncb"], in: folder)
    try folder.write("cut.ncb", Array(whole.dropLast(whole.count / 2)))
    var flipped = whole
    flipped[whole.count / 2] ^= 16
    try folder.write("flipped.ncb", flipped)
    try folder.write("there.wav", [1])
    for (arguments, words) in [
      (["s.ncb", "o.png"], ["is sound", "sound.wav"]), (["s.ncb", "o"], ["is sound", "--format"]), (["--format", "npz", "s.ncb", "o"], ["does not go to npz"]),
      (["--png-level", "3", "s.ncb", "o.wav"], ["--png-level"]), (["--tokens", "0:4", "s.ncb", "o.wav"], ["--tokens"]),
      (["--start", "5", "s.ncb", "o.wav"], ["--start 5 is behind its end at 0.250 s"]), (["p.ncb", "o.wav"], ["holds no sound"]),
      (["--start", "1", "p.ncb", "o.png"], ["holds no sound", "--start"]), (["cut.ncb", "o.wav"], ["cut.ncb: "]), (["flipped.ncb", "o.wav"], ["flipped.ncb: "]),
      (["s.ncb", "there.wav"], ["exists already"]), (["--sample-format", "float", "s.ncb", "o.flac"], ["no floats"]), (["s.ncb", "/dev/full", "--format", "wav"], ["No space"]),
      (["--format", "m4a", "s.ncb", "-"], ["needs a file"]),
    ] as [([String], [String])] {
      try Command.expectFailure(["decode"] + arguments, in: folder, saying: words)
    }
    try Command.expectFailure(["decode", "--start", "5", "-", "o.wav"], in: folder, input: whole, saying: ["--start 5 is behind its end"])
    try Command.expectFailure(["decode", "-", "o.wav"], in: folder, input: Array(whole.dropLast(whole.count / 2)), saying: ["standard input: "])
    #expect(try folder.read("there.wav") == [1])
  }

  @Test(arguments: [
    ["encode", "a", "b", "--kbps", "0"], ["encode", "a", "b", "--kbps", "x"], ["encode", "a", "b", "--kbps", "9", "--quality", "5"],
    ["encode", "a", "b", "--target", "loud"], ["encode", "a", "b", "--codec", "mdct", "--bpp", "1"], ["encode", "a", "b", "--codec", "mdct", "--effort", "5"],
    ["encode", "a", "b", "--codec", "kv", "--kbps", "9"], ["encode", "a", "b", "--codec", "overfit", "--target", "mse"],
    ["encode", "a", "b", "--codec", "mdct", "--lossless"], ["encode", "a", "b", "--codec", "mdct", "--tokens-rate", "75"],
    ["encode", "a", "b", "--tokens-rate", "50"], ["encode", "a", "b", "--tokens-levels", "9"], ["encode", "a", "b", "--group", "0"], ["encode", "a", "b", "--group", "11"],
    ["encode", "a", "b", "--codec", "tokens", "--target", "mse"], ["encode", "a", "b", "--codec", "overfit", "--tokens", "c"],
    ["encode", "a", "b", "--tokens-rate", "75", "--tokens-levels", "2", "--kbps", "3"], ["decode", "a", "b", "--tokens-rate", "50"], ["decode", "a", "b", "--start", "-1"], ["decode", "a", "b", "--start", "1:60"],
    ["decode", "a", "b", "--duration", "0"], ["decode", "a", "b", "--sample-format", "8"], ["decode", "a", "b", "--format", "aiff"],
    ["decode", "a", "b", "--kbps", "-3"],
  ])
  func mistakesExitWith2(arguments: [String]) throws {
    let folder = try Folder()
    let outcome = try Command.finish(Command.process(arguments, in: folder))
    #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.errorLines.count == 1 && folder.names.isEmpty)
  }

  /// Ctrl-C in the midst of a sound that comes through a pipe.
  @Test(arguments: [SIGINT, SIGTERM]) func signalsLeaveNothingBehind(number: Int32) throws {
    let folder = try Folder()
    let process = Command.process(["encode", "-", "o.ncb"], in: folder)
    let input = Pipe()
    process.standardInput = input
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    Command.limit(process)
    try input.fileHandleForWriting.write(contentsOf: Data(FileIO.read(Sound.path("stereo.wav")).prefix(30_000)))
    let end = Date(timeIntervalSinceNow: 10)
    while folder.names.isEmpty, Date() < end { usleep(2000) }
    #expect(folder.names.count == 1 && folder.names[0].hasSuffix(".tmp"))
    kill(process.processIdentifier, number)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == number)
    #expect(folder.names.isEmpty)
    try input.fileHandleForWriting.close()
  }
}
