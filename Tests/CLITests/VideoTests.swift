import Bitstream
import Foundation
import Glibc
import Media
import MediaIO
import Testing

/// Videos of formulas, in files of a folder.
private enum Movie {
  /// 32x24 without loss; times in ms.
  static func make(_ path: String, frames: Int, durations: [Int64] = [40]) throws {
    var options = VideoWriter.Options()
    options.encoding = try VideoEncoding("ffv1", sampling: .rgb)
    let format = try VideoFormat(width: 32, height: 24, timeBase: #require(Rational(exactly: 1, 1000)), frameRate: Rational(exactly: 25, 1))
    let writer = try VideoWriter(path, as: #require(VideoFileFormat(path: path)), format: format, options: options)
    var time: Int64 = 0
    for number in 0..<frames {
      let frame = try VideoFrame(width: 32, height: 24, time: time, duration: durations[number % durations.count]) { samples in
        for i in samples.indices { samples[i] = UInt8(40 + i % 32 * 4 + i / 32 % 24 * 2 + number * 3) }
      }
      try writer.append(frame)
      time += frame.duration
    }
    try writer.finish()
  }

  /// All of a file's frames, and its sound.
  static func read(_ path: String) throws -> (format: VideoFormat, frames: [VideoFrame], tracks: [CopiedTrack], sound: [CopiedPacket]) {
    var options = VideoReader.Options()
    (options.copiesSound, options.rate) = (true, Rational(exactly: 25, 1))
    let reader = try VideoReader(path, options: options)
    var (frames, sound): ([VideoFrame], [CopiedPacket]) = ([], [])
    while true {
      let frame = try reader.next()
      while let (_, packet) = reader.nextSoundPacket() { sound.append(packet) }
      guard let frame else { break }
      frames.append(frame)
    }
    return (reader.format, frames, reader.soundTracks, sound)
  }

  /// How long the first sound track is heard from time 0 on.
  static func seconds(_ video: (format: VideoFormat, frames: [VideoFrame], tracks: [CopiedTrack], sound: [CopiedPacket])) throws -> Double {
    let decoder = try CopiedSoundDecoder(video.tracks[0], named: "sound")
    for packet in video.sound { try decoder.decode(packet) { _ in } }
    try decoder.finish { _ in }
    return Double(decoder.frames) / Double(decoder.format.sampleRate)
  }

  static func sum(_ frames: [VideoFrame]) -> String {
    let digits = String(frames.reduce(UInt32(0)) { Checksum.crc32($1.samples[...], seed: $0) }, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  static let film = Sound.path("film.mp4")
}

struct VideoTests {
  private func run(_ arguments: [String], in folder: Folder? = nil, input: [UInt8] = []) throws -> Command.Outcome {
    let outcome = try Command.finish(Command.process(arguments, in: folder), input: input)
    #expect(outcome.status == 0 && !outcome.isKilled, "\(arguments): \(outcome.errors)")
    return outcome
  }

  private static let quick = ["--epochs", "2", "--params", "3000"]

  @Test func filmsComeBackWithTheirSound() throws {
    let folder = try Folder()
    let encoding = try run(["encode"] + Self.quick + [Movie.film, "f.ncb"], in: folder)
    let size = try folder.read("f.ncb").count
    #expect(encoding.text.hasPrefix("\(Movie.film): 16x16, 5.00 frames a second, 2 frames, \(size) bytes ("))
    #expect(encoding.text.contains(" of sound), ") && encoding.text.contains(" bpp, 3000 parameters a segment, PSNR ") && encoding.errors.isEmpty)
    let source = try Movie.read(Movie.film)
    for ending in ["mp4", "mov", "mkv", "avi"] {
      let decoding = try run(["decode", "f.ncb", "f.\(ending)"], in: folder)
      #expect(decoding.text == "f.\(ending): 16x16, 5.00 frames a second, 2 frames, \(try folder.read("f.\(ending)").count) bytes\n")
      let back = try Movie.read(folder.path("f.\(ending)"))
      #expect(back.frames.count == 2 && back.tracks.map(\.codec) == ["aac"])
      #expect(back.sound.map(\.data) == source.sound.map(\.data))
      func seconds(_ video: (format: VideoFormat, frames: [VideoFrame], tracks: [CopiedTrack], sound: [CopiedPacket])) -> [Double] {
        video.frames.map { Double($0.time) * video.format.timeBase.value }
      }
      // AVI has a rate and no times, and what libavformat makes of sound before time 0 moves its frames.
      if ending == "avi" { continue }
      // What cannot leave out sound before time 0 begins with it.
      let late = ["mp4", "mov"].contains(ending) ? 0 : seconds(back)[0] - seconds(source)[0]
      #expect(late >= 0 && late < 0.03 && zip(seconds(back), seconds(source)).allSatisfy { abs($0 - $1 - late) < 0.002 }, "\(ending)")
    }
    // Without sound, by the outputs' nature and by wish.
    let y4m = try run(["decode", "f.ncb", "f.y4m"], in: folder)
    #expect(y4m.errors == "nccodec: note: f.y4m: y4m cannot hold sound: it was left out\n")
    _ = try run(["decode", "--audio", "none", "f.ncb", "silent.mp4"], in: folder)
    #expect(try Movie.read(folder.path("silent.mp4")).tracks.isEmpty)
    _ = try run(["encode", "--audio", "none"] + Self.quick + [Movie.film, "s.ncb"], in: folder)
    #expect(try !run(["info", "s.ncb"], in: folder).text.contains("aac"))
    let webm = try Command.run("decode", "f.ncb", "f.webm", in: folder)
    #expect(webm.status == 1 && webm.errors.contains("webm cannot hold sound of aac"))
  }

  @Test func soundIsCodedAnew() throws {
    let folder = try Folder()
    let neural = ["encode", "--audio", "neural"] + Self.quick
    let source = try Movie.read(Movie.film)
    for (options, codec, least) in [([], "mdct", 300), (["--kbps", "40"], "mdct", 1000), (["--kbps", "2"], "tokens", 20)] as [([String], String, Int)] {
      let json = try run(neural + options + ["--force", "--json", Movie.film, "f.ncb"], in: folder)
      let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
      let bytes = try #require(object["soundBytes"] as? Int), size = try folder.read("f.ncb").count
      #expect(object["soundCodecs"] as? [String] == [codec] && object["soundTracks"] as? Int == 1 && bytes > least && bytes < 8000)
      #expect(object["bitsPerPixel"] as? Double == Double(8 * (size - bytes)) / 512)
      let info = try run(["info", "f.ncb"], in: folder).text
      #expect(info.contains("\nsound:       \(codec), 44100 Hz stereo\n") && info.contains("    sound 0: \(bytes) bytes\n"))
      #expect(try run(["verify", "f.ncb"], in: folder).text.contains(" 2 frames decoded, "))
      let files = [("mkv", "opus"), ("mp4", "aac"), ("mov", "aac"), ("webm", "opus"), ("avi", "mp3")]
      for (ending, sound) in options.isEmpty ? files : Array(files.prefix(2)) {
        let decoding = try run(["decode", "--force", "f.ncb", "f.\(ending)"], in: folder)
        #expect(decoding.errors == (sound == "opus" ? "nccodec: note: f.\(ending): opus has no 44100 Hz: 48000 Hz were written\n" : ""))
        let back = try Movie.read(folder.path("f.\(ending)"))
        #expect(back.frames.count == 2 && back.tracks.map(\.codec) == [sound])
        // As long as it was, but for an encoder's delay where a file cannot leave it out, or as readers see it.
        let delay = ["aac": 0.0005, "opus": 0.008, "mp3": 0.06][sound]!
        #expect(try (-0.0005...delay).contains(Movie.seconds(back) - Movie.seconds(source)), "\(ending)")
      }
    }
    // The same from a pipe, and a part.
    let bytes = try folder.read("f.ncb")
    try folder.write("piped.mkv", run(["decode", "-", "-"], input: bytes).output)
    #expect(try Movie.read(folder.path("piped.mkv")).sound.map(\.data) == Movie.read(folder.path("f.mkv")).sound.map(\.data))
    _ = try run(["decode", "--frames", "1:2", "f.ncb", "part.mp4"], in: folder)
    let part = try Movie.read(folder.path("part.mp4"))
    // The second frame begins at .2 s; the sound has .25.
    #expect(try part.frames.count == 1 && abs(Movie.seconds(part) - 0.05) < 0.001)
    let silent = try run(["decode", "f.ncb", "f.y4m"], in: folder)
    #expect(silent.errors == "nccodec: note: f.y4m: y4m cannot hold sound: it was left out\n")
    _ = try run(["decode", "--audio", "none", "f.ncb", "silent.mp4"], in: folder)
    #expect(try Movie.read(folder.path("silent.mp4")).tracks.isEmpty)
    // Nothing to code.
    _ = try run(neural + [Sound.path("silent-film.mp4"), "s.ncb"], in: folder)
    #expect(try !run(["info", "s.ncb"], in: folder).text.contains("\nsound:"))
  }

  @Test func samplesAndTimesAreTheSameEverywhere() throws {
    let folder = try Folder()
    try Movie.make(folder.path("m.mkv"), frames: 10, durations: [40, 40, 90])
    let times = try Movie.read(folder.path("m.mkv")).frames.map { [$0.time, $0.duration] }
    _ = try run(["encode"] + Self.quick + ["--segment-frames", "4", "m.mkv", "m.ncb"], in: folder)
    let exact = ["--encoder", "ffv1", "--chroma", "rgb"]
    _ = try run(["decode"] + exact + ["m.ncb", "whole.mkv"], in: folder)
    let whole = try Movie.read(folder.path("whole.mkv"))
    #expect(whole.frames.map { [$0.time, $0.duration] }.dropLast() == times.dropLast())
    let verified = try run(["verify", "m.ncb"], in: folder).text
    #expect(verified.hasPrefix("m.ncb: intact, ") && verified.hasSuffix("32x24, 25.00 frames a second, 10 frames decoded, CRC-32 of samples \(Movie.sum(whole.frames))\n"))
    for threads in ["1", "3"] {
      #expect(try run(["verify", "--threads", threads, "m.ncb"], in: folder).text == verified)
      // The encoder's bytes do not depend on them either.
      _ = try run(["encode", "--threads", threads] + Self.quick + ["--segment-frames", "4", "m.mkv", "m\(threads).ncb"], in: folder)
      #expect(try folder.read("m\(threads).ncb") == folder.read("m.ncb"))
    }
    // Numbered pictures.
    try FileManager.default.createDirectory(atPath: folder.path("p"), withIntermediateDirectories: true)
    _ = try run(["decode", "m.ncb", "p/%03d.png"], in: folder)
    #expect(try Movie.read(folder.path("p/%03d.png")).frames.map(\.samples) == whole.frames.map(\.samples))
    // They go in, too.
    let pictures = try run(["encode"] + Self.quick + ["--rate", "30000/1001", "p/%03d.png", "p.ncb"], in: folder)
    #expect(pictures.text.hasPrefix("p/%03d.png: 32x24, 29.97 frames a second, 10 frames, "))
    // Parts, from files and from pipes.
    for (range, frames) in [("3:7", 3..<7), ("8:", 8..<10), (":2", 0..<2), ("9:100", 9..<10)] {
      let arguments = ["decode", "--frames", range] + exact
      _ = try run(arguments + ["--force", "m.ncb", "part.mkv"], in: folder)
      let part = try Movie.read(folder.path("part.mkv")).frames
      #expect(part.map(\.samples) == whole.frames[frames].map(\.samples), "\(range)")
      #expect(part.map(\.time) == whole.frames[frames].map { $0.time - whole.frames[frames.lowerBound].time })
      let piped = try run(arguments + ["-", "-"], input: folder.read("m.ncb"))
      try folder.write("piped.mkv", piped.output)
      #expect(try Movie.read(folder.path("piped.mkv")).frames.map(\.samples) == part.map(\.samples))
    }
  }

  @Test func pipesCarryTheSameBytes() throws {
    let folder = try Folder()
    try Movie.make(folder.path("m.mkv"), frames: 6)
    _ = try run(["encode"] + Self.quick + ["--segment-frames", "3", "m.mkv", "m.ncb"], in: folder)
    let piped = try run(["encode"] + Self.quick + ["--segment-frames", "3", "-", "-"], input: folder.read("m.mkv"))
    #expect(piped.output == (try folder.read("m.ncb")) && piped.errors.hasPrefix("standard input: 32x24"))
    #expect(try run(["verify", "-"], input: piped.output).text.hasPrefix("standard input: intact"))
    _ = try run(["decode", "--format", "y4m", "-", "-"], input: piped.output)
    // Part of a video, smaller.
    _ = try run(["encode"] + Self.quick + ["--start", "0.08", "--duration", "0.12", "--scale", "16x12", "m.mkv", "part.ncb"], in: folder)
    #expect(try run(["info", "part.ncb"], in: folder).text.contains("video:       16x12, 25.00 frames a second\nframes:      3, 0.120 s\n"))
  }

  @Test func reports() throws {
    let folder = try Folder()
    let json = try run(["encode", "--json", "--effort", "1", "--quality", "30", Movie.film, "f.ncb"], in: folder)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(json.output)) as? [String: Any])
    let size = try folder.read("f.ncb").count
    #expect(object["width"] as? Int == 16 && object["frames"] as? Int == 2 && object["segments"] as? Int == 1 && object["bytes"] as? Int == size)
    #expect(object["codec"] as? String == "hnerv" && object["quality"] as? Double == 30 && object["effort"] as? Int == 1)
    #expect(object["inputCodec"] as? String == "mpeg4" && object["soundTracks"] as? Int == 1 && object["complete"] as? Bool == true)
    let psnr = try #require(object["psnr"] as? Double), sound = try #require(object["soundBytes"] as? Int)
    let bits = try #require(object["bitsPerPixel"] as? Double)
    #expect(psnr > 5 && bits == Double(8 * (size - sound)) / 512)
    let lines = try run(["info", "f.ncb"], in: folder).text.split(separator: "\n")
    for line in ["video:       16x16, 5.00 frames a second", "codec:       8 (hnerv), 1 segment", "sound:       aac, 44100 Hz stereo"] {
      #expect(lines.contains(Substring(line)), "\(line)")
    }
    let info = try run(["info", "--json", "f.ncb"], in: folder)
    let described = try #require(try JSONSerialization.jsonObject(with: Data(info.output)) as? [String: Any])
    let video = try #require(described["video"] as? [String: Any])
    #expect(video["frames"] as? Int == 2 && (video["segments"] as? [[String: Any]])?.first?["frames"] as? Int == 2)
    #expect(((video["soundTracks"] as? [[String: Any]])?.first?["codec"] as? String) == "aac" && described["sound"] is NSNull)
    #expect(try run(["encode", "--quiet", "--force"] + Self.quick + [Movie.film, "f.ncb"], in: folder).output.isEmpty)
    #expect(try run(["encode", "--force", "--bpp", "900", "--epochs", "1", Movie.film, "f.ncb"], in: folder).text.contains(" (of 900.0000 asked for), PSNR "))
    // Of frames' numbers alone.
    _ = try run(["encode", "--codec", "nerv"] + Self.quick + [Movie.film, "n.ncb"], in: folder)
    let nerv = try run(["info", "n.ncb"], in: folder).text
    #expect(nerv.contains("8 (nerv), 1 segment") && nerv.contains(" bytes (weights ") && !nerv.contains("embeddings"))
    _ = try run(["decode", "n.ncb", "n.mkv"], in: folder)
    _ = try run(["encode", "--codec", "nervpp"] + Self.quick + [Movie.film, "p.ncb"], in: folder)
    #expect(try run(["info", "p.ncb"], in: folder).text.contains("8 (nervpp), 1 segment"))
    #expect(try run(["verify", "p.ncb"], in: folder).text.contains("2 frames decoded"))
    // Of groups.
    _ = try run(["encode", "--codec", "nirvana"] + Self.quick + [Movie.film, "g.ncb"], in: folder)
    let groups = try run(["info", "g.ncb"], in: folder).text
    #expect(groups.contains("8 (nirvana), 1 segment") && groups.contains("in groups of 8") && !groups.contains("embeddings"))
    #expect(try run(["verify", "g.ncb"], in: folder).text.contains("2 frames decoded"))
    _ = try run(["decode", "--frames", "1:2", "g.ncb", "g.mkv"], in: folder)
    // The sound alone, where that is asked for.
    #expect(try run(["encode", "--codec", "mdct", Movie.film, "s.ncb"], in: folder).errors.contains("only its sound is coded"))
    #expect(try run(["encode", "--force", "--kbps", "48", Movie.film, "s.ncb"], in: folder).text.contains(" kbps"))
  }

  @Test(arguments: [
    (["encode", "--codec", "hnerv", "stereo.wav", "o.ncb"], ["has sound (pcm_s16le) and no video", "mdct"]),
    (["encode", "--codec", "hnerv", "cover.mp3", "o.ncb"], ["no video but a cover", "mdct"]),
    (["encode", "--codec", "hnerv", "make.py", "o.ncb"], ["make.py: "]), (["encode", "--epochs", "3", "stereo.wav", "o.ncb"], ["has sound", "no video"]),
    (["encode", "--epochs", "3", "../Images/photo.png", "o.ncb"], ["is a picture, and --epochs"]),
    (["encode", "--kbps", "9", "--epochs", "3", "stereo.wav", "o.ncb"], ["is sound, and --epochs"]),
    (["encode", "--psnr", "30", "film.mp4", "o.ncb"], ["is video, and --psnr"]), (["encode", "--bits", "3", "film.mp4", "o.ncb"], ["is video, and --bits"]),
    (["encode", "--start", "9", "film.mp4", "o.ncb"], ["no frame of its video begins"]), (["encode", "gone/%d.png", "o.ncb"], ["No such file"]),
    (["encode", "--codec", "mdct", "silent-film.mp4", "o.ncb"], ["has video (mpeg4) and no sound", "Give a file with sound"]),
    (["encode", "--resume", "stereo.wav", "film.mp4", "o.ncb"], ["the checkpoint is none"]),
    (["encode", "--audio", "copy", "--kbps", "9", "film.mp4", "o.ncb"], ["is sound, and --audio"]),
    (["encode", "--audio", "neural", "--kbps", "0.5", "film.mp4", "o.ncb"], ["0.5 kbps are less than the 0.96"]),
    (["encode", "--audio", "neural", "--target", "mse", "--tokens-levels", "2", "film.mp4", "o.ncb"], ["--target is for"]),
    (["encode", "--audio", "neural", "--tokens", "t.npy", "film.mp4", "o.ncb"], ["is video, and --tokens"]),
    (["encode", "--audio", "neural", "stereo.wav", "o.ncb"], ["has sound (pcm_s16le) and no video"]),
  ])
  func encodeRefuses(arguments: [String], words: [String]) throws {
    let folder = try Folder()
    let own = arguments.map { [".wav", ".mp4", ".mp3", ".py", ".png"].contains(where: $0.hasSuffix) ? Sound.path($0) : $0 }
    try Command.expectFailure(own, in: folder, saying: words)
    #expect(folder.names.isEmpty)
  }

  @Test func decodeRefuses() throws {
    let folder = try Folder()
    _ = try run(["encode"] + Self.quick + [Movie.film, "f.ncb"], in: folder)
    _ = try run(["encode", Fixture.photo, "p.ncb"], in: folder)
    let whole = try folder.read("f.ncb")
    try folder.write("cut.ncb", Array(whole.dropLast(whole.count / 2)))
    var flipped = whole
    flipped[whole.count / 2] ^= 16
    try folder.write("flipped.ncb", flipped)
    try folder.write("there.mp4", [1])
    for (arguments, words) in [
      (["f.ncb", "o.png"], ["is video", "film.mp4", "%04d"]), (["f.ncb", "o"], ["is video", "--format"]), (["f.ncb", "o.wav"], ["is video"]), (["--kbps", "9", "f.ncb", "o.mp4"], ["--kbps is for that"]),
      (["--format", "npz", "f.ncb", "o"], ["does not go to npz"]), (["--png-level", "3", "f.ncb", "o.mp4"], ["--png-level"]),
      (["--start", "1", "f.ncb", "o.mp4"], ["--start"]), (["--tokens", "0:4", "f.ncb", "o.mp4"], ["--tokens"]),
      (["--frames", "2:4", "f.ncb", "o.mp4"], ["--frames 2:4 is behind its last frame, 1"]), (["p.ncb", "o.mp4"], ["holds no video"]),
      (["--frames", "0:1", "p.ncb", "o.png"], ["holds no video", "--frames"]), (["cut.ncb", "o.mp4"], ["cut.ncb: "]),
      (["flipped.ncb", "o.mp4"], ["flipped.ncb: "]), (["f.ncb", "there.mp4"], ["exists already"]), (["--encoder", "foo", "f.ncb", "o.mp4"], ["foo"]),
      (["--encoder", "libx264", "--encoder-options", "x", "f.ncb", "o.mp4"], ["NAME=VALUE"]), (["--format", "mp4", "f.ncb", "-"], ["needs a file"]),
    ] as [([String], [String])] {
      try Command.expectFailure(["decode"] + arguments, in: folder, saying: words)
    }
    try Command.expectFailure(["decode", "--frames", "2:4", "-", "o.mp4"], in: folder, input: whole, saying: ["--frames 2:4 is behind its last frame"])
    try Command.expectFailure(["decode", "-", "o.mp4"], in: folder, input: Array(whole.dropLast(whole.count / 2)), saying: ["standard input: "])
    #expect(try folder.read("there.mp4") == [1])
  }

  @Test(arguments: [
    ["encode", "a", "b", "--params", "0"], ["encode", "a", "b", "--params", "x"], ["encode", "a", "b", "--params", "1M", "--bpp", "1"],
    ["encode", "a", "b", "--epochs", "0"], ["encode", "a", "b", "--epochs", "3", "--effort", "2"], ["encode", "a", "b", "--scale", "640"],
    ["encode", "a", "b", "--scale", "0x9"], ["encode", "a", "b", "--rate", "0"], ["encode", "a", "b", "--rate", "30/0"], ["encode", "a", "b", "--audio", "all"],
    ["encode", "a", "b", "--codec", "mdct", "--audio", "neural"], ["encode", "a", "b", "--audio", "neural", "--kbps", "0"],
    ["decode", "a", "b", "--audio", "neural"],
    ["encode", "a", "b", "--start", "1:60"], ["encode", "a", "b", "--duration", "0"], ["encode", "a", "b", "--segment-frames", "4097"],
    ["encode", "a", "b", "--codec", "hnerv", "--kbps", "9"], ["encode", "a", "b", "--codec", "hnerv", "--psnr", "30"],
    ["encode", "a", "b", "--codec", "hnerv", "--lambda", "0.1"], ["encode", "a", "b", "--codec", "mdct", "--epochs", "3"],
    ["encode", "a", "b", "--codec", "overfit", "--resume", "c"], ["encode", "a", "b", "--codec", "hnerv", "--lossless"],
    ["decode", "a", "b", "--frames", "3"], ["decode", "a", "b", "--frames", "4:4"], ["decode", "a", "b", "--chroma", "411"],
  ])
  func mistakesExitWith2(arguments: [String]) throws {
    let folder = try Folder()
    let outcome = try Command.finish(Command.process(arguments, in: folder))
    #expect(outcome.status == 2 && outcome.output.isEmpty && outcome.errorLines.count == 1 && folder.names.isEmpty, "\(outcome.errors)")
  }

  private static let long = ["--epochs", "600", "--params", "3000"]
  private static let endless = ["--epochs", "9999", "--params", "3000"]

  /// Sends a signal when a fit goes on.
  private func interrupted(_ arguments: [String], in folder: Folder, by number: Int32) throws -> (process: Process, errors: String) {
    let process = Command.process(arguments, in: folder)
    let errors = Pipe()
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    Command.limit(process)
    let end = Date(timeIntervalSinceNow: 10)
    while !folder.names.contains(where: { $0.hasSuffix(".tmp") }), Date() < end { usleep(2000) }
    // Handlers are set before the output is opened; reading takes some milliseconds.
    usleep(300_000)
    kill(process.processIdentifier, number)
    process.waitUntilExit()
    return (process, String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
  }

  @Test func fitsGoOnAfterCtrlC() throws {
    let folder = try Folder()
    try Movie.make(folder.path("m.mkv"), frames: 6)
    let arguments = ["encode"] + Self.long + ["--resume", "state", "m.mkv", "m.ncb"]
    let (process, errors) = try interrupted(arguments, in: folder, by: SIGINT)
    #expect(process.terminationReason == .exit && process.terminationStatus == 1)
    #expect(errors == "nccodec: m.mkv: interrupted. The same command with --resume state goes on from there.\n")
    #expect(folder.names == ["m.mkv", "state"])
    // Other settings are noticed.
    try Command.expectFailure(["encode", "--quality", "7", "--resume", "state", "m.mkv", "o.ncb"], in: folder, saying: ["the checkpoint is of other settings"])
    _ = try run(arguments, in: folder)
    #expect(folder.names == ["m.mkv", "m.ncb"])
    _ = try run(["encode"] + Self.long + ["m.mkv", "whole.ncb"], in: folder)
    #expect(try folder.read("m.ncb") == folder.read("whole.ncb"))
  }

  @Test func aTerminalShowsHowFarAFitIs() throws {
    let folder = try Folder()
    try Movie.make(folder.path("m.mkv"), frames: 6)
    let terminal = try PseudoTerminal()
    let process = Command.process(["encode"] + Self.long + ["--segment-frames", "3", "m.mkv", "m.ncb"], in: folder)
    process.standardOutput = FileHandle.nullDevice
    process.standardError = terminal.handle
    try process.run()
    Command.limit(process)
    let shown = terminal.output(containing: " left", within: 20)
    process.terminate()
    process.waitUntilExit()
    #expect(shown.contains(/\rsegment [12]\/2, epoch [0-9]+\/600, [0-9.]+ dB, (about [0-9]+ bytes, )?[0-9].* left/), "\(shown)")
  }

  @Test func theBestSoFarIsKept() throws {
    let folder = try Folder()
    try Movie.make(folder.path("m.mkv"), frames: 6)
    let (process, errors) = try interrupted(["encode"] + Self.endless + ["--keep-best", "m.mkv", "m.ncb"], in: folder, by: SIGINT)
    #expect(process.terminationReason == .exit && process.terminationStatus == 0 && errors.isEmpty)
    #expect(try run(["verify", "m.ncb"], in: folder).text.contains("6 frames decoded"))
  }

  @Test(arguments: [SIGINT, SIGTERM]) func signalsLeaveNothingBehind(number: Int32) throws {
    let folder = try Folder()
    try Movie.make(folder.path("m.mkv"), frames: 6)
    let (process, _) = try interrupted(["encode"] + Self.endless + ["m.mkv", "m.ncb"], in: folder, by: number)
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == number)
    #expect(folder.names == ["m.mkv"])
  }
}
