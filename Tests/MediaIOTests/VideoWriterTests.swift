import Foundation
import Media
import MediaIO
import Testing

@Suite struct VideoWriterTests {
  @Test(arguments: [
    ("mp4", "libx264", "crf=16", 32.0), ("mkv", "libx265", "crf=18:x265-params=log-level=none", 28), ("mp4", "libx265", "preset=ultrafast", 26),
    ("webm", "libvpx-vp9", "crf=20:b=0:cpu-used=8", 26), ("mkv", "libsvtav1", "preset=12:crf=20", 26), ("mp4", "libsvtav1", "preset=12:crf=20", 26),
    ("mov", "mpeg4", "b=4M", 22), ("avi", "mjpeg", "b=8M", 22), ("mkv", "ffv1", "", 82), ("avi", "rawvideo", "", 22), ("avi", "", "", 26),
    ("y4m", "", "", 32), ("webm", "", "", 28), ("mov", "", "", 30),
  ])
  func everyFileAndEncoder(_ ending: String, _ encoder: String, _ options: String, _ quality: Double) throws {
    let folder = try SoundFolder()
    let path = folder["a.\(ending)"]
    let film = try Film(128, 64, frames: 10)
    let writer = try film.write(path, encoder.isEmpty ? .init() : .init(encoder, options))
    let back = try WholeVideo(path)
    let original = try Film.all(film)
    #expect(back.frames.count == 10 && back.notices.isEmpty)
    // 4:2:0 blurs the block's edges, so luma says more: the mean of all.
    let mean = zip(back.frames, original).map { psnr($0, $1) }.reduce(0, +) / 10
    #expect(mean > quality, "\(mean)")
    #expect(writer.frames == 10)
    #expect(try FileIO.read(path).count == writer.byteCount)
    #expect(writer.videoBytes > 0 && writer.videoBytes <= writer.byteCount)
    if let probed = try Fixture.output(
      "ffprobe", ["-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames,pix_fmt", "-of", "csv=p=0", path])
    {
      #expect(probed.contains("10"))
      if encoder.isEmpty, ending != "y4m" { #expect(probed.hasPrefix("yuv420p,")) }
    }
  }

  @Test(arguments: [(63, 47), (1, 1), (64, 47), (17, 16), (1, 40)])
  func oddSizes(_ width: Int, _ height: Int) throws {
    let folder = try SoundFolder()
    let film = try Film(width, height, frames: 3)
    // FFV1 does not take a single column or pixel.
    for (ending, encoder) in [("mp4", "libx264"), ("mkv", "ffv1"), ("y4m", "rawvideo"), ("webm", "libvpx-vp9")] where encoder != "ffv1" || width > 1 {
      let path = folder["a.\(ending)"]
      let writer = try film.write(path, ending == "y4m" ? .init() : .init(encoder, encoder == "libx264" ? "crf=4" : ""))
      let back = try WholeVideo(path)
      #expect((back.format.width, back.format.height, back.frames.count) == (width, height, 3))
      if encoder == "libx264" { #expect(writer.notices.contains { $0.contains("odd") }) }
      if encoder == "ffv1" { #expect(back.frames.map(\.samples) == (try Film.all(film)).map(\.samples)) }
    }
    // 4:2:0 that cannot be is an error of the encoder's.
    #expect(throws: MediaIOError(.unsupported)) { try film.write(folder["b.mp4"], .init("libx264", "", .c420)) }
    #expect(!folder.names.contains("b.mp4"))
  }

  @Test func nothingIsLeftBehind() throws {
    let folder = try SoundFolder()
    let film = try Film(frames: 3)
    let frames = try Film.all(film)
    for file in VideoFileFormat.allCases {
      let path = file == .pictures ? folder["p%02d.png"] : folder["a.\(file.rawValue)"]
      // Given up in the midst, and without a frame.
      for count in [0, 2] {
        do {
          let writer = try VideoWriter(path, as: file, format: film.format)
          for frame in frames.prefix(count) { try writer.append(frame) }
          if count == 0 { #expect(throws: MediaIOError(.empty)) { try writer.finish() } }
        }
        #expect(folder.names.isEmpty, "\(file) \(count): \(folder.names)")
      }
      try film.write(path, as: file)
      let names = folder.names
      #expect(names.count == (file == .pictures ? 3 : 1))
      // What exists is not overwritten unless that is said.
      #expect(throws: MediaIOError(.exists)) { try film.write(path, as: file) }
      #expect(folder.names == names)
      var options = VideoWriter.Options()
      options.overwrite = true
      try film.write(path, as: file, options)
      for name in names { try FileManager.default.removeItem(atPath: folder[name]) }
    }
  }

  @Test func pictures() throws {
    let folder = try SoundFolder()
    var film = try Film(20, 10, frames: 3)
    film.format.rotation = .quarter
    try film.write(folder["%03d.png"])
    #expect(folder.names == ["001.png", "002.png", "003.png"])
    let original = try Film.all(film)
    #expect(try ImageReader.read(FileIO.read(folder["002.png"])).image.samples == original[1].turned(.quarter).image.samples)
    #expect(try WholeVideo(folder["%03d.png"]).frames.map(\.samples) == original.map { $0.turned(.quarter).samples })
  }

  @Test func refusals() throws {
    let folder = try SoundFolder()
    let film = try Film(frames: 2)
    func refusal(_ name: String, _ options: VideoWriter.Options) -> String? {
      do {
        try film.write(folder[name], options)
        return nil
      } catch let error as MediaIOError {
        #expect(error.code == .unsupported)
        return error.description
      } catch {
        Issue.record("\(error)")
        return nil
      }
    }
    #expect(try refusal("a.mp4", .init("libx999"))?.contains("no encoder of video named libx999") == true)
    #expect(try refusal("a.mp4", .init("aac"))?.contains("no encoder of video named aac") == true)
    #expect(try refusal("a.mp4", .init("libx264", "presett=slow"))?.contains("option presett=slow: Option not found") == true)
    #expect(try refusal("a.mp4", .init("libx264", "crf=much"))?.contains("option crf=much") == true)
    #expect(try refusal("a.webm", .init("libx264"))?.contains("webm cannot hold h264") == true)
    #expect(try refusal("a.y4m", .init("libx264"))?.contains("y4m cannot hold what libx264 makes") == true)
    #expect(try refusal("a.mp4", .init("libvpx-vp9", "", .rgb)) == nil)
    #expect(try refusal("b.mp4", .init("mpeg4", "", .c444))?.contains("takes no 8-bit samples of 444") == true)
    #expect(throws: MediaIOError(.unsupported)) { try VideoEncoding("libx264", options: "crf") }
    #expect(try VideoEncoding("x", options: "a=1:b=c\\:d\\e:c==").options.map { "\($0.name)|\($0.value)" } == ["a|1", "b|c:d\\e", "c|="])
    // A rate in quality's place, or another quality, takes the default's place.
    #expect(try VideoEncoding("libx264", options: "b=100k").options.map(\.name) == ["preset", "b"])
    var opus = VideoWriter.Options()
    opus.soundTracks = [CopiedTrack(codec: "aac", timeBase: .one, sampleRate: 8000, layout: .mono)]
    #expect(refusal("a.webm", opus)?.contains("webm cannot hold sound of aac") == true)
    opus.soundTracks[0].codec = "h264"
    #expect(refusal("c.mp4", opus)?.contains("does not know the sound's codec h264") == true)
    opus.soundTracks[0].codec = "opus"
    #expect(try refusal("a.avi", .init("rawvideo", "", .rgb))?.contains("raw samples of rgb") == true)
    #expect(refusal("a.y4m", opus)?.contains("y4m cannot hold sound") == true)
    // Times that go back.
    let writer = try VideoWriter(folder["d.mp4"], as: .mp4, format: film.format)
    let frame = try Film.all(film)[1]
    try writer.append(frame)
    #expect(throws: MediaIOError(.unsupported)) { try writer.append(frame) }
    #expect(throws: MediaIOError(.system)) { try film.write(folder["missing/a.mp4"]) }
    for (name, file) in [("a.MP4", VideoFileFormat.mp4), ("a.mov", .mov), ("x%d.png", .pictures), ("a.m4v", .mp4), ("a.WebM", .webm)] {
      #expect(VideoFileFormat(path: name) == file)
    }
    for name in ["a.png", "a", "a.264", "x%d.jpg"] { #expect(VideoFileFormat(path: name) == nil) }
  }

  /// Coded in memory and decoded again: packets are counted, times stay.
  @Test(arguments: [
    ("libx264", "preset=veryfast:crf=20"), ("libx265", "preset=ultrafast:crf=22"), ("libsvtav1", "preset=12:crf=30"), ("ffv1", ""),
    ("libvpx-vp9", "cpu-used=8"),
  ])
  func inMemory(_ encoder: String, _ options: String) throws {
    var film = try Film(96, 64, timeBase: (1, 1000), rate: nil, durations: [40, 40, 7, 40, 1000, 40, 40, 40])
    let original = try Film.all(film), scheduler = sched_getscheduler(0)
    let coded = try CodedVideo(&film, VideoEncoding(encoder, options: options))
    #expect(coded.packets.count >= 8 && coded.byteCount == coded.packets.reduce(0) { $0 + $1.data.count })
    #expect(coded.packets[0].isKey)
    #expect(coded.version.hasPrefix("libavcodec ") && !coded.version.contains("H.26"))
    if encoder == "libx264" { #expect(coded.version.contains("x264 - core")) }
    if encoder == "libsvtav1" { #expect(coded.version.contains("SVT-AV1 v")) }
    // SVT-AV1 would leave this thread a real-time one.
    #expect(sched_getscheduler(0) == scheduler)
    var decoded: [VideoFrame] = []
    try coded.decode { decoded.append($0) }
    #expect(decoded.map(\.time) == original.map(\.time))
    for (a, b) in zip(decoded, original) { #expect(encoder == "ffv1" ? a.samples == b.samples : psnr(a, b) > 28) }
  }

  /// More bits, more quality: the options arrive.
  @Test func qualityFollowsTheOptions() throws {
    let sizes = try [10, 25, 40].map { crf in
      var film = try Film(96, 64, frames: 8)
      return try CodedVideo(&film, VideoEncoding("libx264", options: "crf=\(crf)")).byteCount
    }
    #expect(sizes[0] > sizes[1] && sizes[1] > sizes[2])
  }
}
