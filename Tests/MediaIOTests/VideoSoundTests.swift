import Foundation
import Media
import MediaIO
import Testing

/// Sound of a video as samples: to the packets of a file, and from packets.
@Suite struct VideoSoundTests {
  private func decode(_ track: CopiedTrack, _ packets: [CopiedPacket]) throws -> (samples: [[Float]], decoder: CopiedSoundDecoder) {
    let decoder = try CopiedSoundDecoder(track, named: "test")
    var samples = [[Float]](repeating: [], count: track.layout.count)
    func take(_ buffer: AudioBuffer) {
      #expect(buffer.format == decoder.format && buffer.frames > 0)
      for c in samples.indices { samples[c] += buffer.samples[c] }
    }
    for packet in packets { try decoder.decode(packet, take) }
    try decoder.finish(take)
    #expect(samples[0].count == decoder.frames)
    return (samples, decoder)
  }

  /// A film of one second with a sweep, written and read again.
  @Test(arguments: [
    ("mp4", "aac", 44_100), ("mov", "aac", 48_000), ("mkv", "opus", 48_000), ("webm", "opus", 48_000), ("mkv", "opus", 44_100), ("avi", "mp3", 44_100),
  ])
  func soundComesBackFromFiles(ending: String, codec: String, rate: Int) throws {
    let folder = try SoundFolder()
    let path = folder["film." + ending], file = try #require(VideoFileFormat(path: path))
    let sweep = Sweep(rate: rate, frames: rate), film = try Film(frames: 25)
    let encoder = try VideoSoundEncoder(sweep.format, for: file, kbps: 160, named: "test")
    #expect(encoder.track.codec == codec && encoder.notices.isEmpty == (encoder.track.sampleRate == rate))
    var packets: [CopiedPacket] = []
    try encoder.append(sweep.buffer) { packets.append($0) }
    try encoder.finish { packets.append($0) }
    var options = try VideoWriter.Options(file == .webm ? "libvpx-vp9" : "mpeg4")
    options.soundTracks = [encoder.track]
    let writer = try VideoWriter(path, as: file, format: film.format, options: options)
    for packet in packets { try writer.append(packet, track: 0) }
    for frame in try Film.all(film) { try writer.append(frame) }
    try writer.finish()
    var reading = VideoReader.Options()
    reading.copiesSound = true
    let video = try WholeVideo(path, reading)
    #expect(video.tracks.map(\.codec) == [codec])
    let (samples, decoder) = try decode(video.tracks[0], video.sound.map(\.packet))
    let written = Sweep(rate: encoder.track.sampleRate, frames: encoder.track.sampleRate)
    #expect(decoder.format == (try written.format) && decoder.damagedPackets == 0)
    // AVI cannot say what an MP3 encoder's delay is, and the others' times are in ms.
    let isExact = file == .mp4 || file == .mov
    if isExact { #expect(samples[0].count == written.frames) }
    #expect(abs(samples[0].count - written.frames) < (file == .avi ? 4000 : 64))
    let lags = isExact ? 0...0 : file == .avi ? 0...1200 : -48...48
    for c in 0..<2 { #expect(try #require(lags.map { written.ratio(samples[c], channel: c, lag: $0) }.max()) > 20) }
  }

  private static func packets(_ times: [(time: Int64, skips: (Int, Int))]) -> [CopiedPacket] {
    times.enumerated().map { n, packet in
      // Ten samples of 100 n + 1 and so on.
      let data = (1...10).flatMap { i in withUnsafeBytes(of: Int16(100 * n + i).littleEndian) { Array($0) } }
      return CopiedPacket(time: packet.time, duration: 10, skippedAtStart: packet.skips.0, skippedAtEnd: packet.skips.1, data: data)
    }
  }

  private static func pcm(_ base: Int = 1000) -> CopiedTrack {
    var track = CopiedTrack(codec: "pcm_s16le", timeBase: Rational(exactly: 1, base)!, sampleRate: 1000, layout: .mono)
    (track.bitsPerCodedSample, track.blockAlign) = (16, 2)
    return track
  }

  @Test func samplesGoWhereTimesSay() throws {
    func numbers(_ times: [(time: Int64, skips: (Int, Int))]) throws -> [Int] {
      try decode(Self.pcm(), Self.packets(times)).samples[0].map { Int($0 * 32_768) }
    }
    let (first, second) = (Array(1...10), Array(101...110))
    #expect(try numbers([(0, (0, 0)), (10, (0, 0))]) == first + second)
    // Before time 0, and what is to be skipped.
    #expect(try numbers([(-4, (0, 0)), (6, (0, 0))]) == first[4...] + second)
    #expect(try numbers([(-10, (10, 0)), (0, (0, 3))]) == Array(second[..<7]))
    #expect(try numbers([(-3, (3, 0)), (7, (0, 0))]) == first[3...] + second)
    // Late, with a gap of half a second, and back by as much.
    #expect(try numbers([(5, (0, 0)), (515, (0, 0))]) == [0, 0, 0, 0, 0] + first + [Int](repeating: 0, count: 500) + second)
    #expect(try numbers([(0, (0, 0)), (10, (0, 0)), (-600, (0, 0))]) == first + second)
    // Rounded times are no gaps.
    #expect(try numbers([(0, (0, 0)), (12, (0, 0)), (19, (0, 0))]) == first + second + (201...210))
    #expect(throws: MediaIOError.self) { try numbers([(0, (0, 0)), (87_000_000, (0, 0))]) }
  }

  @Test func whatCannotBeIsRefused() throws {
    var track = Self.pcm()
    track.codec = "no such codec"
    #expect(throws: MediaIOError.self) { try CopiedSoundDecoder(track, named: "test") }
    let format = try AudioFormat(sampleRate: 8000, layout: .mono)
    for file in [VideoFileFormat.y4m, .pictures] {
      #expect(throws: MediaIOError.self) { try VideoSoundEncoder(format, for: file, named: "test") }
    }
    #expect(throws: MediaIOError.self) { try VideoSoundEncoder(AudioFormat(sampleRate: 8000, layout: ChannelLayout(count: 40)), for: .mp4, named: "test") }
    // Packets that are none are counted.
    var broken = CopiedTrack(codec: "mp3", timeBase: Rational(exactly: 1, 44_100)!, sampleRate: 44_100, layout: .stereo)
    broken.frameSize = 1152
    let decoder = try CopiedSoundDecoder(broken, named: "test")
    try decoder.decode(CopiedPacket(time: 0, duration: 1152, data: [1, 2, 3, 4, 5])) { _ in Issue.record("there is no sound") }
    try decoder.finish { _ in Issue.record("there is no sound") }
    #expect(decoder.damagedPackets == 1)
  }
}
