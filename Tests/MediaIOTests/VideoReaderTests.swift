import Foundation
import Media
import MediaIO
import Testing

@Suite struct VideoReaderTests {
  /// Frames, times and sizes as ffprobe has them, of every clip.
  @Test(arguments: ["bigbuckbunny.mp4", "bikes.mp4", "car-detection.mp4", "carphone_pristine.mp4"])
  func clips(_ name: String) throws {
    guard let path = Fixture.clip(name) else { return }
    var options = VideoReader.Options()
    options.size = (32, 16)
    let video = try WholeVideo(path, options)
    #expect(video.damagedPackets == 0 && video.patchedFrames == 0)
    #expect(video.count == video.frames.count)
    guard
      let listed = try Fixture.output(
        "ffprobe",
        ["-v", "error", "-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp", "-of", "csv=p=0", path])
    else { return }
    let times = listed.split(separator: "\n").compactMap { Int64($0.split(separator: ",")[0]) }
    #expect(video.frames.map(\.time) == times)
    #expect(times.count > 100)
  }

  @Test(arguments: [("foreman_cif_intra_300f.264", 352, 288, 300), ("mobile_cif_pcm_30f.264", 352, 288, 30)])
  func rawStreams(_ name: String, _ width: Int, _ height: Int, _ count: Int) throws {
    guard let path = Fixture.clip(name) else { return }
    var options = VideoReader.Options()
    options.rate = Rational(exactly: 30000, 1001)
    let reader = try VideoReader(path, options: options)
    #expect((reader.format.width, reader.format.height) == (width, height))
    #expect(reader.format.timeBase == Rational(exactly: 1001, 30000))
    #expect(reader.container == "h264" && reader.format.frameRate == options.rate)
    var frames = 0
    while let frame = try reader.next() {
      #expect(frame.time == Int64(frames) && frame.duration == 1)
      frames += 1
    }
    #expect(frames == count)
    // Nothing says how fast: 25, and it is said.
    let assumed = try VideoReader(path)
    #expect(assumed.format.timeBase == Rational(exactly: 1, 25))
    #expect(assumed.notices.contains { $0.contains("assumed") })
  }

  @Test func bunnyIsWhatItIs() throws {
    guard let path = Fixture.clip("bigbuckbunny.mp4") else { return }
    let reader = try VideoReader(path)
    #expect(reader.format.width == 1280 && reader.format.height == 720 && reader.codec == "h264" && reader.container == "mov")
    #expect(reader.format.frameRate == Rational(exactly: 25, 1) && reader.format.timeBase == Rational(exactly: 1, 12800))
    // Nothing is said of the colours: those of a large picture are taken.
    #expect(reader.format.colour.matrix == 1 && !reader.format.colour.isFullRange && reader.format.colour.chromaLocation == 1)
    #expect(reader.format.sourceBitDepth == 8 && reader.format.rotation == .none && reader.format.sampleAspectRatio == .one)
    #expect(reader.soundTracks.isEmpty)
    let first = try #require(try reader.next())
    #expect(first.time == 0 && first.duration == 512)
  }

  /// From a place in the midst: the frames that begin there, with times from there.
  @Test(arguments: [(0.0, nil), (1.0, 1.0), (2.5, nil), (0.13, 0.2), (4.9, 100)] as [(Double, Double?)])
  func stretches(_ start: Double, _ duration: Double?) throws {
    guard let path = Fixture.clip("bikes.mp4") else { return }
    var options = VideoReader.Options()
    let whole = try WholeVideo(path)
    (options.start, options.duration) = (start, duration)
    let part = try WholeVideo(path, options)
    let ticks = Int64((start * 12800).rounded())
    let end = duration.map { ticks + Int64(($0 * 12800).rounded()) } ?? .max
    let wanted = whole.frames.filter { $0.time >= ticks && $0.time < end }
    #expect(part.frames.map(\.time) == wanted.map { $0.time - ticks })
    #expect(part.frames.map(\.samples) == wanted.map(\.samples))
    #expect(part.frames.last!.time + part.frames.last!.duration == min(wanted.last!.time + wanted.last!.duration, end) - ticks)
    if let count = part.count { #expect(abs(count - part.frames.count) <= 1) }
  }

  @Test func stretchesWithoutFramesAreErrors() throws {
    let folder = try SoundFolder()
    try Film(frames: 10).write(folder["a.mkv"], .exact)
    for (start, duration) in [(5.0, nil), (0.001, 0.002)] as [(Double, Double?)] {
      var options = VideoReader.Options()
      (options.start, options.duration) = (start, duration)
      #expect(throws: MediaIOError(.empty)) { try VideoReader(folder["a.mkv"], options: options) }
    }
  }

  @Test func scaling() throws {
    let folder = try SoundFolder()
    var film = try Film(64, 48, frames: 3)
    film.format.sampleAspectRatio = try #require(Rational(exactly: 4, 3))
    try film.write(folder["a.mkv"], .exact)
    var options = VideoReader.Options()
    options.size = (32, 48)
    let small = try WholeVideo(folder["a.mkv"], options)
    #expect((small.format.width, small.format.height, small.frames.count) == (32, 48, 3))
    // Half as many columns are twice as wide.
    #expect(small.format.sampleAspectRatio == Rational(exactly: 8, 3))
    let whole = try WholeVideo(folder["a.mkv"])
    #expect(whole.format.sampleAspectRatio == Rational(exactly: 4, 3))
    // A smooth place keeps its value.
    #expect(abs(Int(small.frames[0].samples[40 * 32 + 16]) - Int(whole.frames[0].samples[40 * 64 + 32])) <= 2)
    options.size = (70_000, 16)
    #expect(throws: MediaIOError(.tooLarge)) { try VideoReader(folder["a.mkv"], options: options) }
  }

  @Test func pipes() throws {
    let folder = try SoundFolder()
    try Film(frames: 9).write(folder["a.mkv"], .exact)
    let (bytes, whole) = (try FileIO.read(folder["a.mkv"]), try WholeVideo(folder["a.mkv"]))
    func fifo(_ bytes: [UInt8]) throws -> String {
      let path = folder["pipe-\(bytes.count)"]
      #expect(mkfifo(path, 0o600) == 0)
      Thread.detachNewThread {
        let descriptor = open(path, O_WRONLY)
        var rest = bytes[...]
        signal(SIGPIPE, SIG_IGN)
        while !rest.isEmpty {
          let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, min($0.count, 4096)) }
          if count <= 0 { break }
          rest = rest.dropFirst(count)
        }
        close(descriptor)
      }
      return path
    }
    let piped = try WholeVideo(fifo(bytes))
    #expect(piped.frames == whole.frames && piped.format == whole.format)
    // The beginning was read before, to see what it is.
    let path = try fifo(Array(bytes[1000...]))
    let reader = try VideoReader(path, after: Array(bytes[..<1000]))
    #expect(try Film.all(reader) == whole.frames)
  }

  @Test func numberedPictures() throws {
    let folder = try SoundFolder()
    for (i, name) in ["f007.png", "f008.png", "f009.png", "f010.png"].enumerated() {
      try FileIO.write(PNGWriter.write(Film.frame(20, 10, number: i, time: 0, duration: 1).image), to: folder[name])
    }
    try FileIO.write([1, 2, 3], to: folder["f011.txt"])
    var options = VideoReader.Options()
    options.rate = Rational(exactly: 10, 1)
    let video = try WholeVideo(folder["f%03d.png"], options)
    #expect(video.frames.count == 4 && video.count == 4)
    for (i, frame) in video.frames.enumerated() {
      #expect(frame == (try Film.frame(20, 10, number: i, time: Int64(i), duration: 1)))
    }
    #expect(video.format.timeBase == Rational(exactly: 1, 10) && video.format.colour.matrix == 0)
    (options.start, options.duration) = (0.1, 0.2)
    #expect(try WholeVideo(folder["f%03d.png"], options).frames.map(\.samples) == video.frames[1...2].map(\.samples))
    // One that is damaged, one of another size, grey with alpha; a gap.
    try FileIO.write([0x89, 0x50, 0x4E, 0x47, 1], to: folder["f008.png"], overwrite: true)
    let grey = try Image(
      width: 40, height: 20, colour: .grey, samples: [UInt8](repeating: 77, count: 800), alpha: [UInt8](repeating: 9, count: 800))
    try FileIO.write(PNGWriter.write(grey), to: folder["f009.png"], overwrite: true)
    let mixed = try WholeVideo(folder["f%03d.png"])
    #expect(mixed.frames.map(\.time) == [0, 2, 3] && mixed.damagedPackets == 1)
    #expect(mixed.frames[1].samples.allSatisfy { $0 == 77 })
    #expect(mixed.notices.contains { $0.contains("another size") } && mixed.notices.contains { $0.contains("damaged picture") })
    var strict = VideoReader.Options()
    strict.damage = .refuse
    #expect(throws: MediaIOError.self) { try WholeVideo(folder["f%03d.png"], strict) }
    try FileManager.default.removeItem(atPath: folder["f009.png"])
    #expect(throws: MediaIOError(.damaged)) { try VideoReader(folder["f%03d.png"]) }
    #expect(throws: MediaIOError(.empty)) { try VideoReader(folder["g%03d.png"]) }
    // Not a pattern, but the name of a file.
    try Film(frames: 2).write(folder["f%03d.mkv"], as: .mkv, .exact)
    #expect(try WholeVideo(folder["f%03d.mkv"]).frames.count == 2)
  }

  @Test func names() throws {
    #expect(NumberedNames("a/%04d.png")?[37] == "a/0037.png")
    #expect(NumberedNames("%d.png")?[12345] == "12345.png")
    #expect(NumberedNames("100%%-%02d")?[5] == "100%-05")
    for bad in ["a.png", "%s.png", "%4d.png", "%d-%d.png", "%", "%%d", "%0999d"] { #expect(NumberedNames(bad) == nil, "\(bad)") }
  }

  @Test func asSequence() async throws {
    let film = try Film(frames: 5)
    var count = 0
    for try await frame in film.sequence {
      #expect(frame.time == Int64(count))
      count += 1
    }
    #expect(count == 5)
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      for try await _ in try Film(frames: 5).sequence { Issue.record("a frame after it was cancelled") }
    }
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  /// Resident memory does not grow between a twentieth of a clip and its end; other tests run meanwhile and take some.
  @Test func memoryDoesNotGrow() throws {
    let folder = try SoundFolder()
    let film = try Film(640, 480, frames: 1000)
    let writer = try VideoWriter(folder["long.mkv"], as: .mkv, format: film.format, options: .init("libx264", "preset=ultrafast"))
    var (source, early) = (film, 0)
    while let frame = try source.next() {
      try writer.append(frame)
      if writer.frames == 50 { early = residentBytes() }
    }
    // 950 frames are 875 MB.
    #expect(residentBytes() - early < 400 << 20)
    try writer.finish()
    let reader = try VideoReader(folder["long.mkv"])
    while try reader.next() != nil { if reader.frames == 50 { early = residentBytes() } }
    #expect(reader.frames == 1000)
    #expect(residentBytes() - early < 400 << 20)
  }

  private func residentBytes() -> Int {
    let pages = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(separator: " ")
    return Int(pages?[1] ?? "0")! * sysconf(Int32(_SC_PAGESIZE))
  }
}
