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
