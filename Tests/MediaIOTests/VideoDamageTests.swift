import Foundation
import Media
import MediaIO
import Testing

@Suite struct VideoDamageTests {
  private static let strict: VideoReader.Options = {
    var options = VideoReader.Options()
    options.damage = .refuse
    return options
  }()

  private func refusal(_ path: String, _ options: VideoReader.Options = .init()) -> MediaIOError? {
    do {
      _ = try WholeVideo(path, options)
      return nil
    } catch let error as MediaIOError {
      #expect(!error.description.isEmpty && !error.description.contains("\n"))
      return error
    } catch {
      Issue.record("not a MediaIOError: \(error)")
      return nil
    }
  }

  /// In MP4, where packets are found though they are damaged.
  @Test(arguments: ["libx264", "mpeg4"])
  func corruptPackets(_ encoder: String) throws {
    let folder = try SoundFolder()
    let film = try Film(96, 64, frames: 20)
    try film.write(folder["a.mp4"], .init(encoder, encoder == "mpeg4" ? "b=4M" : "preset=ultrafast:crf=5:g=5"))
    let good = try FileIO.read(folder["a.mp4"])
    let whole = try WholeVideo(folder["a.mp4"], Self.strict)
    #expect(whole.frames.count == 20 && whole.damagedPackets == 0 && whole.patchedFrames == 0)
    var found = 0
    for seed in 0..<10 {
      var bad = good
      // A stretch in the midst, where packets lie.
      var generator = SeededGenerator(state: UInt64(seed))
      let start = Int.random(in: (good.count / 4)..<(good.count / 2), using: &generator)
      for i in start..<min(start + 40, good.count) { bad[i] = UInt8.random(in: 0...255, using: &generator) }
      try FileIO.write(bad, to: folder["b.mp4"], overwrite: true)
      // Times stay in order (WholeVideo looks), and what is wrong is counted.
      let video = try WholeVideo(folder["b.mp4"])
      #expect(video.frames.count <= 20 && video.frames.count >= 5)
      if video.damagedPackets + video.patchedFrames > 0 {
        found += 1
        #expect(video.notices.contains { $0.contains("damaged") })
      }
      if let error = refusal(folder["b.mp4"], Self.strict) { #expect(error == MediaIOError(.damaged), "\(error)") }
    }
    #expect(found >= 5)
    var bad = good
    for i in (good.count / 3)..<(good.count / 3 + 200) { bad[i] ^= 0x5A }
    try FileIO.write(bad, to: folder["c.mp4"])
    #expect(refusal(folder["c.mp4"], Self.strict) == MediaIOError(.damaged))
  }

  /// Changed anywhere, headers too: frames in order, or an error that says something.
  @Test(arguments: ["mp4", "mov", "mkv", "webm", "avi", "y4m", "264"])
  func hostileBytes(_ ending: String) throws {
    let folder = try SoundFolder()
    var film = try Film(48, 32, frames: 6)
    if ending == "264" {
      try FileIO.write(CodedVideo(&film, VideoEncoding("libx264", options: "crf=20")).packets.flatMap(\.data), to: folder["a.264"])
    } else {
      try film.write(folder["a.\(ending)"], ending == "webm" ? .init("libvpx-vp9", "cpu-used=8") : .init())
    }
    let good = try FileIO.read(folder["a.\(ending)"])
    var options = VideoReader.Options()
    (options.copiesSound, options.limits) = (true, ImageLimits(maxPixels: 1 << 22))
    var generator = SeededGenerator(state: 7)
    var (read, refused) = (0, 0)
    for trial in 0..<150 {
      var bad = good
      // Headers are at both ends.
      for _ in 0..<(1 + trial % 6) {
        let place = Int.random(in: 0..<bad.count, using: &generator)
        let near = trial % 3 == 0 ? place : trial % 3 == 1 ? place % min(bad.count, 600) : bad.count - 1 - place % min(bad.count, 1500)
        bad[near] = trial % 2 == 0 ? UInt8.random(in: 0...255, using: &generator) : [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
      }
      let path = folder["b\(trial).\(ending)"]
      try FileIO.write(bad, to: path)
      options.damage = trial % 4 == 0 ? .refuse : .skip
      options.start = trial % 5 == 0 ? 0.08 : 0
      if refusal(path, options) == nil { read += 1 } else { refused += 1 }
      try FileManager.default.removeItem(atPath: path)
    }
    #expect(read > 0 && refused > 0 && read + refused == 150)
  }

  @Test func cutFiles() throws {
    let folder = try SoundFolder()
    try Film(96, 64, frames: 20).write(folder["a.mkv"], .init("libx264", "preset=ultrafast:crf=5:g=5"))
    try Film(96, 64, frames: 20).write(folder["a.mp4"], .init("libx264", "preset=ultrafast:crf=5:g=5"))
    let (matroska, mp4) = (try FileIO.read(folder["a.mkv"]), try FileIO.read(folder["a.mp4"]))
    for count in stride(from: 0, to: matroska.count, by: max(1, matroska.count / 23)) {
      try FileIO.write(Array(matroska[..<count]), to: folder["b.mkv"], overwrite: true)
      if let video = try? WholeVideo(folder["b.mkv"]) {
        #expect((1...20).contains(video.frames.count))
      } else {
        #expect(refusal(folder["b.mkv"]) != nil)
      }
      try FileIO.write(Array(mp4[..<min(count, mp4.count)]), to: folder["b.mp4"], overwrite: true)
      // Its end says what is where.
      if count < mp4.count { #expect(refusal(folder["b.mp4"]) != nil) }
    }
    #expect(refusal(folder["b.mkv"], Self.strict) == MediaIOError(.damaged) || (try? WholeVideo(folder["b.mkv"]).frames.count) == 20)
  }

  @Test func whatIsNoVideo() throws {
    let folder = try SoundFolder()
    let sound = refusal(Fixture.sounds + "stereo.mp3")
    #expect(sound == MediaIOError(.noVideo) && sound?.description.contains("codec of sound") == true)
    // The same with a cover: a picture, not a video.
    let covered = refusal(Fixture.sounds + "cover.mp3")
    #expect(covered == MediaIOError(.noVideo) && covered?.description.contains("cover") == true)

    try FileIO.write([], to: folder["empty.mp4"])
    #expect(refusal(folder["empty.mp4"]) == MediaIOError(.empty))
    try FileIO.write(Array("no video at all, only words".utf8), to: folder["words.mp4"])
    #expect(refusal(folder["words.mp4"]) == MediaIOError(.unknownFormat))
    #expect(refusal(folder["missing.mp4"]) == MediaIOError(.system))
    #expect(refusal(folder.path) == MediaIOError(.system))
    // A header and nothing behind it.
    try FileIO.write(Array("YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C444\n".utf8), to: folder["none.y4m"])
    #expect(refusal(folder["none.y4m"]) == MediaIOError(.empty))
    // A playlist must not open other files.
    try FileIO.write(Array("#EXTM3U\n#EXTINF:1,\n\(folder["a.ts"])\n#EXT-X-ENDLIST\n".utf8), to: folder["list.m3u8"])
    #expect(refusal(folder["list.m3u8"]) != nil)
    try FileIO.write(Array("ffconcat version 1.0\nfile \(folder["a.ts"])\n".utf8), to: folder["list.ffconcat"])
    #expect(refusal(folder["list.ffconcat"]) != nil)
  }

  @Test func hugePictures() throws {
    let folder = try SoundFolder()
    for (width, height) in [(60_000, 60_000), (70_000, 16), (12_000, 12_000)] {
      try FileIO.write(Array("YUV4MPEG2 W\(width) H\(height) F25:1 Ip A1:1 C420jpeg\nFRAME\n".utf8) + [UInt8](repeating: 0, count: 4096),
        to: folder["a.y4m"], overwrite: true)
      let error = refusal(folder["a.y4m"])
      // Of the first not even libavformat knows what to make.
      #expect(error == MediaIOError(width == 60_000 ? .unknownFormat : .tooLarge), "\(width) \(String(describing: error))")
    }
    try Film(64, 48, frames: 2).write(folder["b.mkv"], .exact)
    var options = VideoReader.Options()
    options.limits = ImageLimits(maxPixels: 64 * 48 - 1)
    #expect(refusal(folder["b.mkv"], options) == MediaIOError(.tooLarge))
    options.limits = ImageLimits(maxPixels: 64 * 48)
    #expect(refusal(folder["b.mkv"], options) == nil)
  }

  /// Another size on the way: scaled to the first, and said.
  @Test func sizesThatChange() throws {
    let folder = try SoundFolder()
    var (small, large) = (try Film(64, 48, frames: 5), try Film(128, 96, frames: 5))
    let original = try Film.all(small)
    let encoding = try VideoEncoding("libx264", options: "crf=2:bf=0", sampling: .c444)
    let packets = try CodedVideo(&small, encoding).packets + CodedVideo(&large, encoding).packets
    try FileIO.write(packets.flatMap(\.data), to: folder["a.264"])
    let video = try WholeVideo(folder["a.264"])
    #expect(video.frames.count == 10 && video.format.width == 64 && video.format.height == 48)
    #expect(video.notices.contains { $0.hasPrefix("5 frames of other sizes") })
    #expect(video.frames.map(\.time) == (0..<10).map(Int64.init))
    // The formula's picture is the same at any size, up to its edges.
    for (a, b) in zip(video.frames[5...], original) { #expect(psnr(a, b) > 18) }
    for (a, b) in zip(video.frames[..<5], original) { #expect(psnr(a, b) > 38) }
  }

  /// Rates of raw streams: the caller's, or what the stream says itself, or 25.
  @Test func ratesOfRawStreams() throws {
    let folder = try SoundFolder()
    var film = try Film(64, 48, frames: 4, timeBase: (1, 50), rate: (50, 1))
    try FileIO.write(CodedVideo(&film, VideoEncoding("libx264", options: "crf=20")).packets.flatMap(\.data), to: folder["a.264"])
    // x264 writes it into its sequence parameters.
    let own = try WholeVideo(folder["a.264"])
    #expect(own.format.timeBase == Rational(exactly: 1, 50) && own.frames.count == 4 && own.notices.isEmpty)
    var options = VideoReader.Options()
    options.rate = Rational(exactly: 24000, 1001)
    #expect(try WholeVideo(folder["a.264"], options).format.timeBase == Rational(exactly: 1001, 24000))
    film = try Film(64, 48, frames: 4)
    try FileIO.write(
      CodedVideo(&film, VideoEncoding("libx265", options: "preset=ultrafast:x265-params=log-level=none")).packets.flatMap(\.data),
      to: folder["a.hevc"])
    let hevc = try WholeVideo(folder["a.hevc"], options)
    #expect(hevc.frames.count == 4 && hevc.frames.map(\.time) == [0, 1, 2, 3] && hevc.format.timeBase == Rational(exactly: 1001, 24000))
  }
}
