import Foundation
import Media
import MediaIO
import Testing

/// `--codec tokens`: what the command makes of the library's codec.
struct TokenCommandTests {
  private func run(
    _ arguments: [String], in folder: Folder? = nil, input: [UInt8] = [], environment: [String: String] = [:]
  ) throws -> Command.Outcome {
    let process = Command.process(arguments, in: folder)
    if !environment.isEmpty { process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 } }
    let outcome = try Command.finish(process, input: input)
    #expect(outcome.status == 0 && !outcome.isKilled, "\(arguments): \(outcome.errors)")
    return outcome
  }

  @Test(arguments: ["stereo.wav", "mono-8000.wav", "71-48000.wav", "mono-192000.wav", "one.wav", "silence.wav", "film.mp4", "stereo.opus"])
  func everyKindOfSound(name: String) throws {
    let folder = try Folder()
    let (original, truth) = try Sound.read(Sound.path(name))
    _ = try run(["encode", "--codec", "tokens", Sound.path(name), "s.ncb"], in: folder)
    _ = try run(["decode", "--sample-format", "float", "s.ncb", "s.wav"], in: folder)
    let (back, samples) = try Sound.read(folder.path("s.wav"))
    #expect(back.format == original.format && samples[0].count == truth[0].count)
    #expect(samples.allSatisfy { $0.allSatisfy(\.isFinite) })
    let lines = try run(["info", "s.ncb"], in: folder).text.split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("codec:       tokens, ") } && lines.contains { $0.hasPrefix("tokens:      ") } && lines.contains { $0.hasPrefix("    level 0: ") })
    let pattern = /s.ncb: intact, [0-9]+ checksums match, .* decoded, CRC-32 of tokens [0-9a-f]{8}\n/
    #expect(try run(["verify", "s.ncb"], in: folder).text.wholeMatch(of: pattern) != nil)
    // Pipes carry the same, but of what is sought in.
    guard name.hasSuffix(".wav") else { return }
    #expect(try run(["encode", "--codec", "tokens", "-", "-"], input: FileIO.read(Sound.path(name))).output == folder.read("s.ncb"))
    let piped = try run(["decode", "--sample-format", "float", "-", "-"], input: folder.read("s.ncb"))
    try folder.write("piped.wav", piped.output)
    #expect(try Sound.read(folder.path("piped.wav")).samples == samples)
  }

  /// Without --codec, the rate decides.
  @Test(arguments: [
    (["--kbps", "7.9"], "mono-8000.wav", "tokens"), (["--kbps", "8"], "mono-8000.wav", "mdct"), (["--kbps", "15"], "stereo.wav", "tokens"),
    (["--kbps", "16"], "stereo.wav", "mdct"), (["--codec", "mdct", "--kbps", "7"], "mono-8000.wav", "mdct"), (["--tokens-levels", "2"], "stereo.wav", "tokens"),
    (["--kbps", "7", "--target", "mse"], "mono-8000.wav", "mdct"), ([], "stereo.wav", "mdct"), (["--codec", "tokens", "--kbps", "64"], "stereo.wav", "tokens"),
  ])
  func ratesChooseTheCodec(options: [String], name: String, codec: String) throws {
    let folder = try Folder()
    let outcome = try run(["encode", "--json"] + options + [Sound.path(name), "s.ncb"], in: folder)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
    #expect(object["codec"] as? String == codec)
    #expect((object["levels"] != nil) == (codec == "tokens"))
    #expect(object["codedSampleRate"] as? Int == (codec == "tokens" ? 24_000 : object["sampleRate"] as? Int))
  }

  @Test func tokensGoOutAndIn() throws {
    let folder = try Folder()
    let encoding = try run(
      ["encode", "--tokens-rate", "40", "--tokens-levels", "3", "--tokens", "t.npy", Sound.path("stereo.wav"), "s.ncb"], in: folder)
    #expect(encoding.text.hasSuffix(" kbps, 40 frames a second of 3 tokens\n"))
    let array = try folder.read("t.npy")
    let tokens = try TokenArray.read(array, framesPerSecond: 40)
    #expect(tokens.channels == 2 && tokens.levels == 3 && tokens.frames == 11)
    #expect(try run(["decode", "s.ncb", "u.npy"], in: folder).text == "u.npy: 2 x 3 x 11 tokens, 40 frames a second\n")
    #expect(try folder.read("u.npy") == array)
    _ = try run(["decode", "--tokens-rate", "40", "--sample-format", "float", "t.npy", "t.wav"], in: folder)
    let (back, samples) = try Sound.read(folder.path("t.wav"))
    #expect(back.format.sampleRate == 24_000 && samples.count == 2 && samples[0].count == 11 * 600)
    _ = try run(["encode", "--codec", "tokens", "--tokens-rate", "40", "t.npy", "t.ncb"], in: folder)
    _ = try run(["decode", "--sample-format", "float", "t.ncb", "v.wav"], in: folder)
    #expect(try Sound.read(folder.path("v.wav")).samples == samples)
    #expect(try run(["decode", "--tokens-rate", "40", "--sample-format", "float", "-", "-"], input: array).output.count > 6600 * 8)
    _ = try run(["decode", "t.ncb", "w.npy"], in: folder)
    #expect(try folder.read("w.npy") == array)
  }

  /// Any integers, with one channel's axis or without.
  @Test(arguments: ["<u2", "<i2", "<i4", "<i8"]) func arraysOfIntegers(type: String) throws {
    let folder = try Folder()
    let size = Int(String(type.last!))!
    for shape in ["(1, 2, 3)", "(2, 3)"] {
      var header = Array("{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }".utf8)
      header += [UInt8](repeating: 0x20, count: (64 - (header.count + 11) % 64) % 64) + [0x0A]
      let values = [1, 4095, 7, 0, 511, 3]
      let data = values.flatMap { v in (0..<size).map { UInt8(truncatingIfNeeded: v >> (8 * $0)) } }
      try folder.write("a.npy", [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count & 255), UInt8(header.count >> 8)] + header + data)
      _ = try run(["decode", "--force", "a.npy", "a.wav"], in: folder)
      #expect(try Sound.read(folder.path("a.wav")).samples[0].count == 960)
      _ = try run(["encode", "--force", "--codec", "tokens", "a.npy", "a.ncb"], in: folder)
      _ = try run(["decode", "--force", "a.ncb", "b.npy"], in: folder)
      #expect(try TokenArray.read(folder.read("b.npy"), framesPerSecond: 75).indices == [[[1, 4095, 7], [0, 511, 3]]])
    }
  }

  @Test func partsAreThoseOfTheWhole() throws {
    let folder = try Folder()
    _ = try run(["encode", "--codec", "tokens", "--group", "0.05", Sound.path("stereo.wav"), "s.ncb"], in: folder)
    let piece = ["--start", "0.1", "--duration", "0.05"]
    _ = try run(["decode"] + piece + ["s.ncb", "part.wav"], in: folder)
    _ = try run(["decode"] + piece + ["-", "piped.wav"], in: folder, input: folder.read("s.ncb"))
    let part = try Sound.read(folder.path("part.wav"))
    #expect(part.samples[0].count == 2205 && part.reader.format.sampleRate == 44_100)
    #expect(try Sound.read(folder.path("piped.wav")).samples == part.samples)
  }

  /// What kernels round differently is within the tolerance of bitstream-spec 12.
  @Test func levelsOfSIMDAgree() throws {
    let folder = try Folder()
    _ = try run(["encode", "--codec", "tokens", "--quality", "100", Sound.path("mono-8000.wav"), "s.ncb"], in: folder)
    var decoded: [[[Float]]] = []
    for level in ["scalar", "sse4", "avx2", "avx512"] {
      _ = try run(
        ["decode", "--force", "--sample-format", "float", "--threads", "1", "s.ncb", "s.wav"], in: folder, environment: ["NCCODEC_SIMD": level])
      decoded.append(try Sound.read(folder.path("s.wav")).samples)
    }
    let loudest = decoded[0].joined().reduce(Float(1)) { max($0, abs($1)) }
    for other in decoded.dropFirst() {
      let worst = zip(other.joined(), decoded[0].joined()).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
      #expect(worst <= 0.02 * loudest && Sound.ratio(decoded[0], other) > 50, "\(worst), \(Sound.ratio(decoded[0], other)) dB")
    }
    // Threads change nothing.
    let before = try folder.read("s.wav")
    _ = try run(["decode", "--force", "--sample-format", "float", "--threads", "2", "s.ncb", "s.wav"], in: folder)
    #expect(try folder.read("s.wav") == before)
    let first = try folder.read("s.ncb")
    _ = try run(["encode", "--force", "--codec", "tokens", "--quality", "100", "--threads", "2", Sound.path("mono-8000.wav"), "s.ncb"], in: folder)
    #expect(try folder.read("s.ncb") == first)
  }

  @Test func refuses() throws {
    let folder = try Folder()
    let sound = Sound.path("stereo.wav")
    _ = try run(["encode", "--codec", "tokens", sound, "s.ncb"], in: folder)
    _ = try run(["encode", sound, "m.ncb"], in: folder)
    _ = try run(["decode", "s.ncb", "t.npy"], in: folder)
    try folder.write("there.npy", [1])
    for (arguments, words) in [
      (["encode", "--kbps", "0.9", sound, "o.ncb"], ["0.9 kbps are less than the 0.96"]),
      (["encode", "--codec", "tokens", "--effort", "5", sound, "o.ncb"], ["--effort"]),
      (["encode", "--tokens", "there.npy", sound, "o.ncb"], ["there.npy", "exists already"]),
      (["encode", "--tokens", "no/t.npy", sound, "o.ncb"], ["no/t.npy"]),
      (["encode", "--tokens-levels", "1", "--target", "mse", sound, "o.ncb"], ["--target"]),
      (["encode", "--codec", "tokens", "--kbps", "3", "t.npy", "o.ncb"], ["is of tokens already", "--kbps"]),
      (["encode", "--codec", "tokens", Sound.path("nan.wav"), "o.ncb"], ["sample 70 of channel 0 is not a finite"]),
      (["encode", "--codec", "tokens", Sound.path("empty.wav"), "o.ncb"], ["no samples"]),
      (["decode", "m.ncb", "o.npy"], ["is sound without tokens"]), (["decode", "--tokens-rate", "40", "s.ncb", "o.wav"], ["--tokens-rate 40"]),
      (["decode", "--start", "1", "s.ncb", "o.npy"], ["--start"]), (["decode", "s.ncb", "there.npy"], ["exists already"]),
      (["decode", "there.npy", "o.wav"], ["there.npy: "]),
    ] as [([String], [String])] {
      let before = folder.names
      let outcome = try Command.finish(Command.process(arguments, in: folder))
      #expect((1...2).contains(outcome.status) && outcome.errorLines.count == 1 && outcome.output.isEmpty, "\(arguments): \(outcome.errors)")
      for word in words { #expect(outcome.errors.contains(word), "\(word) in: \(outcome.errors)") }
      #expect(folder.names == before, "\(arguments)")
    }
  }
}
