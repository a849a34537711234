import Foundation
import Media
import MediaIO
import Testing

@Suite struct VideoTimeTests {
  /// Steady and unsteady times in containers that hold them exactly, through an encoder that reorders and one that does not.
  @Test(arguments: ["mp4", "mov"], ["libx264", "mpeg4"])
  func exactTimes(_ ending: String, _ encoder: String) throws {
    let folder = try SoundFolder()
    let films = [
      try Film(frames: 30, timeBase: (1001, 30000), rate: (30000, 1001)), try Film(frames: 7, timeBase: (1, 12), rate: (12, 1)),
      try Film(timeBase: (1, 1000), rate: nil, durations: [40, 41, 1, 500, 33, 33, 34, 2000, 40, 40, 40, 17]),
      try Film(timeBase: (1, 90000), rate: nil, durations: [3003, 3003, 1, 1, 9009, 450_000, 3003]), try Film(frames: 1),
    ]
    for (i, film) in films.enumerated() where encoder == "libx264" || film.format.timeBase.denominator < 65536 {
      let path = folder["\(i).\(ending)"]
      try film.write(path, .init(encoder))
      let back = try WholeVideo(path)
      let (original, base) = (try Film.all(film), film.format.timeBase)
      // The same instants in another unit of time.
      #expect(back.frames.map { back.format.timeBase.rescale($0.time, to: base) } == original.map(\.time), "\(i)")
      // The last one's is lost where frames are reordered and do not come at a steady rate.
      let count = film.format.frameRate == nil ? original.count - 1 : original.count
      #expect(back.frames.prefix(count).map { back.format.timeBase.rescale($0.duration, to: base) } == original.prefix(count).map(\.duration), "\(i)")
      for frame in back.frames {
        let ticks = back.format.timeBase.rescale(frame.time, to: base)!
        #expect(base.rescale(ticks, to: back.format.timeBase) == frame.time)
      }
      for (a, b) in zip(back.frames, original) { #expect(psnr(a, b) > 25) }
      #expect(back.notices.isEmpty)
      if let rate = film.format.frameRate, film.durations.count > 1 { #expect(back.format.frameRate?.reduced == rate) }
    }
  }

  @Test(arguments: ["mkv", "webm"])
  func matroskaCountsMilliseconds(_ ending: String) throws {
    let folder = try SoundFolder()
    let film = try Film(timeBase: (1001, 30000), rate: (30000, 1001), durations: [1, 1, 2, 1, 5, 1, 1, 1])
    try film.write(folder["a.\(ending)"], ending == "webm" ? .init("libvpx-vp9", "crf=30:b=0:cpu-used=8") : .init("libx264", "crf=10"))
    let back = try WholeVideo(folder["a.\(ending)"])
    let original = try Film.all(film)
    #expect(back.frames.map(\.time) == original.map { Int64((Double($0.time) * 1001 / 30).rounded()) })
    for (a, b) in zip(back.frames, original) { #expect(psnr(a, b) > 28) }
  }

  /// Files that hold a rate instead of times.
  @Test(arguments: ["avi", "y4m"])
  func steadyRates(_ ending: String) throws {
    let folder = try SoundFolder()
    for (i, (rate, base)) in [((25, 1), (1, 25)), ((30000, 1001), (1001, 30000)), ((24, 1), (1, 1000))].enumerated() {
      // In ms a rate of 24 is 42, 41, 42, ....
      let durations = (0..<9).map { n -> Int64 in
        func time(_ n: Int) -> Int64 { Int64((Double(n * rate.1 * base.1) / Double(rate.0 * base.0)).rounded()) }
        return time(n + 1) - time(n)
      }
      let film = try Film(timeBase: base, rate: rate, durations: durations)
      try film.write(folder["\(i).\(ending)"])
      let back = try WholeVideo(folder["\(i).\(ending)"])
      #expect(back.frames.map(\.time) == (0..<9).map(Int64.init))
      #expect(back.format.timeBase.reduced == Rational(exactly: rate.1, rate.0))
      for (a, b) in zip(back.frames, try Film.all(film)) { #expect(psnr(a, b) > 30) }
    }
    let unsteady = try Film(timeBase: (1, 25), rate: (25, 1), durations: [1, 1, 3, 1])
    #expect(throws: MediaIOError(.unsupported)) { try unsteady.write(folder["v.\(ending)"]) }
    #expect(!folder.names.contains("v.\(ending)") && !folder.names.contains { $0.hasSuffix(".tmp") })
    // Without a rate, the first frame's duration is one.
    try Film(timeBase: (1, 50), rate: nil, durations: [2, 2, 2]).write(folder["w.\(ending)"])
    #expect(try WholeVideo(folder["w.\(ending)"]).format.timeBase.reduced == Rational(exactly: 1, 25))
  }

  /// A start behind 0 stays the distance to sound that begins earlier, and is nothing alone.
  @Test func laterStarts() throws {
    let folder = try SoundFolder()
    var film = try Film(frames: 4)
    film.start = 10
    try film.write(folder["a.mp4"])
    #expect(try WholeVideo(folder["a.mp4"]).times.first == 0)
  }

  @Test func missingTimesFollowTheOneBefore() {
    var clock = FrameClock(isCounting: false, usual: 40)
    let placed = [(nil, 0), (nil, 10), (100, 0), (nil, 0), (100, 7), (90, 5), (150, 0), (Int64.max, 3)].map { (stated: Int64?, duration: Int64) in
      clock.place(stated, duration: duration)
    }
    #expect(placed.map(\.time) == [0, 40, 100, 140, 141, 142, 150, 190])
    #expect(placed.map(\.duration) == [40, 10, 40, 40, 7, 5, 40, 3])
    #expect(clock.missing == 4 && clock.moved == 2)
    var counting = FrameClock(isCounting: true, usual: 40)
    #expect([5, 5, nil, 1].map { counting.place($0, duration: 9).time } == [0, 1, 2, 3])
    #expect(counting.missing == 0 && counting.moved == 0)
  }

  /// An edit list that begins in the midst of a group of pictures: those before are decoded and not shown.
  @Test func editLists() throws {
    guard let clip = Fixture.clip("bikes.mp4") else { return }
    let folder = try SoundFolder()
    guard try Fixture.output("ffmpeg", ["-v", "error", "-ss", "3.21", "-i", clip, "-c", "copy", "-t", "2", folder["cut.mp4"]]) != nil,
      let listed = try Fixture.output(
        "ffmpeg", ["-v", "error", "-i", folder["cut.mp4"], "-map", "0:v", "-fps_mode", "passthrough", "-s", "64x32", "-f", "framemd5", "-"])
    else { return }
    let times = listed.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { Int($0.split(separator: ",")[2].trimmingCharacters(in: .whitespaces)) }
    var options = VideoReader.Options()
    options.size = (64, 32)
    let video = try WholeVideo(folder["cut.mp4"], options)
    // Of 250 frames, some 50, the first of which is the 81st.
    #expect(video.frames.count == times.count && (45...55).contains(times.count))
    options.start = 3.24
    let whole = try WholeVideo(clip, options)
    #expect(zip(video.frames, whole.frames).allSatisfy { $0.samples == $1.samples })
    #expect(video.times.first! >= 0 && video.times.first! < 0.05)
  }

  @Test(arguments: Rotation.allCases)
  func rotation(_ rotation: Rotation) throws {
    let folder = try SoundFolder()
    var film = try Film(64, 32, frames: 3)
    film.format.rotation = rotation
    film.format.sampleAspectRatio = try #require(Rational(exactly: 3, 2))
    let original = try Film.all(film)
    for ending in ["mp4", "mov"] {
      let path = folder["a.\(ending)"]
      try film.write(path, .init("libx264", "crf=4"))
      let back = try WholeVideo(path)
      #expect(back.format.rotation == rotation && back.format.width == 64 && back.format.height == 32)
      #expect(back.format.shownWidth == (rotation.isSideways ? 32 : 64) && back.format.sampleAspectRatio == Rational(exactly: 3, 2))
      for (a, b) in zip(back.frames, original) { #expect(psnr(a, b) > 30) }
      if let side = try Fixture.output("ffprobe", ["-v", "error", "-show_entries", "stream_side_data=rotation", "-of", "csv=p=0", path]) {
        // ffprobe counts the other way round, from -180 to 180.
        let degrees = Int(side.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
        #expect(((-degrees % 360) + 360) % 360 == Int(rotation.rawValue))
      }
    }
    // Where it cannot be said, pictures are turned.
    let writer = try film.write(folder["a.mkv"], .exact)
    let turned = try WholeVideo(folder["a.mkv"])
    #expect(turned.format.rotation == .none && turned.format.width == film.format.shownWidth)
    #expect(turned.frames.map(\.samples) == original.map { $0.turned(rotation).samples })
    #expect(turned.format.sampleAspectRatio == (rotation.isSideways ? Rational(exactly: 2, 3) : Rational(exactly: 3, 2)))
    #expect(writer.notices.contains { $0.contains("turned") } == (rotation != .none))
  }

  @Test func turning() throws {
    let frame = try VideoFrame(
      width: 3, height: 2, samples: [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26], time: 5, duration: 6)
    #expect(frame.turned(.quarter).samples.prefix(6) == [4, 1, 5, 2, 6, 3])
    #expect(frame.turned(.half).samples.prefix(6) == [6, 5, 4, 3, 2, 1])
    #expect(frame.turned(.threeQuarters).samples.prefix(6) == [3, 6, 2, 5, 1, 4])
    #expect(frame.turned(.quarter).turned(.threeQuarters) == frame && frame.turned(.half).turned(.half) == frame)
    #expect(frame.image.samples.prefix(6) == [1, 11, 21, 2, 12, 22])
    #expect(VideoFrame(frame.image, time: 5, duration: 6) == frame)
  }

  @Test func rescaling() throws {
    let (a, b) = (try #require(Rational(exactly: 1, 3)), try #require(Rational(exactly: 1, 2)))
    #expect((-4...4).map { a.rescale($0, to: b) } == [-3, -2, -1, -1, 0, 1, 1, 2, 3])
    let fine = try #require(Rational(exactly: 1, Int(Int32.max)))
    #expect(try #require(Rational(exactly: Int(Int32.max), 1)).rescale(1 << 60, to: fine) == nil)
    #expect(fine.rescale(.min, to: .one) == -4_294_967_298)
    #expect(Rational(exactly: 0, 1) == nil && Rational(exactly: 1, 1 << 31) == nil && Rational(exactly: -1, 5) == nil)
    #expect(Rational(exactly: 50, 100)?.reduced == Rational(exactly: 1, 2))
  }
}
