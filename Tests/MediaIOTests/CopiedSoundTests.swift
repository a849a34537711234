import Bitstream
import Coding
import Foundation
import Media
import MediaIO
import Testing

/// Sound of a video that is carried along in packets.
@Suite struct CopiedSoundTests {
  private static func sounding(_ start: Double = 0, _ duration: Double? = nil) -> VideoReader.Options {
    var options = VideoReader.Options()
    (options.copiesSound, options.size) = (true, (32, 32))
    (options.start, options.duration) = (start, duration)
    return options
  }

  /// A file's first track of sound, packets through an `.ncb` file.
  private func throughContainer(_ video: WholeVideo) throws -> (CopiedTrack, [CopiedPacket]) {
    var writer = try CopiedTrackWriter(video.tracks[0])
    var container = Container(tracks: [writer.header])
    for (track, packet) in video.sound where track == 0 {
      if let payload = try writer.append(packet) { container.payloads.append(payload) }
    }
    if let payload = try writer.finish() { container.payloads.append(payload) }
    let back = try Container(reading: container.serialised())
    #expect(back == container)
    var reader = try CopiedTrackReader(back.tracks[0])
    let packets = try back.payloads.flatMap { try reader.packets(of: $0) }
    #expect(reader.track == video.tracks[0])
    #expect(packets == video.sound.filter { $0.track == 0 }.map(\.packet))
    return (reader.track, packets)
  }

  /// Writes a film with sound.
  private func write(_ path: String, _ film: Film, _ track: CopiedTrack, _ packets: [CopiedPacket], _ options: VideoWriter.Options) throws {
    var (options, film, sound) = (options, film, packets[...])
    options.soundTracks = [track]
    let writer = try VideoWriter(path, as: #require(VideoFileFormat(path: path)), format: film.format, options: options)
    while let frame = try film.next() {
      while let packet = sound.first, Double(packet.time) * track.timeBase.value <= Double(frame.time) * film.format.timeBase.value {
        try writer.append(sound.removeFirst(), track: 0)
      }
      try writer.append(frame)
    }
    for packet in sound { try writer.append(packet, track: 0) }
    try writer.finish()
  }

  /// Every packet's time, size and MD5, as ffmpeg has them.
  private func packetsByFFmpeg(_ path: String) throws -> [String]? {
    let arguments = ["-v", "error", "-i", path, "-map", "0:a:0", "-c", "copy", "-f", "framemd5", "-"]
    guard let text = try Fixture.output("ffmpeg", arguments) else { return nil }
    // stream, decoding time, time, duration, size, MD5
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let fields = line.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
      return fields[4] + " " + fields[5]
    }
  }

  @Test func bunnysSoundStaysAsItIs() throws {
    guard let path = Fixture.clip("bigbuckbunny.mp4") else { return }
    let video = try WholeVideo(path, Self.sounding())
    #expect(video.tracks.count == 1 && video.tracks[0].codec == "aac" && video.tracks[0].sampleRate == 48000)
    #expect(video.tracks[0].layout.count == 6 && !video.tracks[0].extradata.isEmpty)
    #expect(video.sound.count == 249 && video.frames.count == 132)
    let (track, packets) = try throughContainer(video)
    let folder = try SoundFolder()
    let film = try Film(64, 48, frames: 132)
    let wanted = try packetsByFFmpeg(path)
    for ending in ["mp4", "mkv", "mov"] {
      let copy = folder["a.\(ending)"]
      try write(copy, film, track, packets, .init("libx264", "preset=ultrafast"))
      let back = try WholeVideo(copy, Self.sounding())
      #expect(back.frames.count == 132 && back.tracks.count == 1)
      #expect(back.sound.map(\.packet.data) == packets.map(\.data))
      #expect(back.tracks[0].extradata == track.extradata && back.tracks[0].layout == track.layout)
      for (a, b) in zip(back.sound, packets) {
        let (seconds, original) = (Double(a.packet.time) * back.tracks[0].timeBase.value, Double(b.time) * track.timeBase.value)
        // Matroska rounds to ms.
        #expect(abs(seconds - original) <= (ending == "mkv" ? 0.0005001 : 1e-9))
      }
      if let wanted { #expect(try packetsByFFmpeg(copy) == wanted) }
      // It decodes to the same samples.
      let (a, b) = (try WholeSound(copy), try WholeSound(path))
      #expect(a.samples == b.samples)
    }
    #expect(throws: MediaIOError(.unsupported)) { try write(folder["a.webm"], film, track, packets, .init("libvpx-vp9", "cpu-used=8")) }
    #expect(!folder.names.contains("a.webm"))
  }

  /// AAC begins with samples that only prepare the decoder, and ends in the midst of a packet; Opus likewise; others not.
  @Test(arguments: [
    (AudioFileFormat.m4a, "mp4"), (.m4a, "mov"), (.opus, "webm"), (.opus, "mkv"), (.flac, "mkv"), (.flac, "mp4"), (.mp3, "mp4"), (.mp3, "mkv"),
    (.wav, "mov"), (.wav, "avi"), (.ogg, "mkv"),
  ])
  func delaysAndPaddings(_ sound: AudioFileFormat, _ ending: String) throws {
    let folder = try SoundFolder()
    let sweep = Sweep(rate: 48_000, channels: 2, frames: 100_111)
    let source = folder["s.\(sound.rawValue)"]
    let audio = try AudioWriter(source, as: sound, format: sweep.format)
    try audio.append(sweep.buffer)
    try audio.finish()
    // Sound alone is refused by our reader, so ffmpeg puts it beside a picture.
    let film = try Film(64, 48, frames: 50)
    try film.write(folder["v.mkv"], .init("libx264", "preset=ultrafast"))
    let both = folder["both.\(sound == .wav ? "mov" : sound == .m4a || sound == .mp3 ? "mp4" : "mkv")"]
    let arguments = ["-v", "error", "-i", folder["v.mkv"], "-i", source, "-map", "0:v", "-map", "1:a", "-c", "copy", "-strict", "-2", both]
    guard try Fixture.output("ffmpeg", arguments) != nil else { return }
    let video = try WholeVideo(both, Self.sounding())
    #expect(video.tracks.count == 1)
    let (track, packets) = try throughContainer(video)
    let original = try WholeSound(both)
    let copy = folder["copy.\(ending)"]
    try write(copy, film, track, packets, ending == "webm" ? .init("libvpx-vp9", "cpu-used=8") : .init("libx264", "preset=ultrafast"))
    let back = try WholeVideo(copy, Self.sounding())
    #expect(back.sound.map(\.packet.data) == packets.map(\.data))
    let decoded = try WholeSound(copy)
    if ["mp4", "mov", "avi", "webm"].contains(ending) || sound == .flac || sound == .opus { #expect(decoded.frames == original.frames) }
    // It stays where it was beside the pictures; Matroska moves both behind 0, and rounds to ms.
    let lead = Double(back.sound[0].packet.time) * back.tracks[0].timeBase.value - back.times[0]
    let wanted = Double(packets[0].time) * track.timeBase.value
    #expect(abs(lead - wanted) < (ending == "mp4" || ending == "mov" ? 1e-4 : 1.1e-3), "\(lead) \(wanted)")
    #expect(back.times[0] == 0 || ["mkv", "webm"].contains(ending) && back.times[0] < 0.06)
    if sound == .m4a {
      // From a place in the midst, the same to the sample.
      let part = try WholeVideo(copy, Self.sounding(1, 0.5))
      let (cut, rest) = try throughContainer(part)
      try write(folder["part.mp4"], Film(64, 48, frames: 12), cut, rest, .init("libx264", "preset=ultrafast"))
      let heard = try WholeSound(folder["part.mp4"])
      #expect(heard.frames == 24_000)
      // But for noise that the decoder makes itself; a sample to the side it is something else.
      for c in 0..<2 {
        func error(_ shift: Int) -> Float {
          zip(heard.samples[c], original.samples[c][(48_000 + shift)...]).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
        }
        #expect(error(0) * 4 < min(error(-1), error(1)), "\(error(0)) \(error(-1))")
      }
    }
    // The same sound, at the same place.
    let count = min(decoded.frames, original.frames)
    let shift = decoded.frames >= original.frames ? decoded.frames - original.frames : 0
    #expect(shift < 3000)
    if shift == 0 { for c in 0..<2 { #expect(decoded.samples[c].prefix(count).elementsEqual(original.samples[c].prefix(count))) } }
  }

  /// A stretch: packets that overlap it, and the cut to the sample where the file can say it.
  @Test(arguments: [(1.0, 2.0), (0.5, nil), (2.2345, 0.777), (0.0, 1.5)] as [(Double, Double?)])
  func stretches(_ start: Double, _ duration: Double?) throws {
    guard let path = Fixture.clip("bigbuckbunny.mp4") else { return }
    let whole = try WholeVideo(path, Self.sounding())
    let part = try WholeVideo(path, Self.sounding(start, duration))
    let (track, packets) = try throughContainer(part)
    // Ticks are samples here; the cut is at a tick of the video.
    let (ticks, samples) = (try #require(Rational(exactly: 1, 12800)), try #require(Rational(exactly: 1, 48000)))
    let first = Int64((start * 12800).rounded())
    let cut = try #require(ticks.rescale(first, to: samples))
    let end = duration.flatMap { ticks.rescale(first + Int64(($0 * 12800).rounded()), to: samples) } ?? 254_976
    let overlapping = whole.sound.map(\.packet).filter { $0.time + $0.duration > cut && $0.time < end }
    let preparing = start == 0 ? 0 : 1
    #expect(packets.dropFirst(preparing).map(\.data) == overlapping.map(\.data))
    #expect(packets.dropFirst(preparing).map { $0.time + cut } == overlapping.map(\.time))
    let heard = packets.reduce(0) { $0 + Int($1.duration) - $1.skippedAtStart - $1.skippedAtEnd }
    #expect(abs(heard - Int(min(end, 254_976) - cut)) <= 1)
    if preparing == 1 { #expect(packets[0].skippedAtStart == 1024 && packets[0].time < 0) }
    let folder = try SoundFolder()
    try write(folder["a.mp4"], Film(64, 48, frames: 30), track, packets, .init("libx264", "preset=ultrafast"))
    let (decoded, original) = (try WholeSound(folder["a.mp4"]), try WholeSound(path))
    #expect(abs(decoded.frames - heard) <= 1)
    // Prepared by the packet before, it is the same sound from the first sample on.
    let offset = Int(cut)
    var worst: Float = 0
    for i in 0..<min(decoded.frames, heard) where offset + i < original.frames {
      worst = max(worst, abs(decoded.samples[0][i] - original.samples[0][offset + i]))
    }
    #expect(worst < 1e-6, "\(worst)")
  }

  @Test func trimming() {
    let track = CopiedTrack(codec: "x", timeBase: Rational(exactly: 1, 1000)!, sampleRate: 8000, layout: .mono)
    let packets = (0..<10).map { CopiedPacket(time: Int64($0 * 20), duration: 20, data: [UInt8($0)]) }
    func kept(_ trimmer: PacketTrimmer) -> [CopiedPacket] {
      var trimmer = trimmer
      return packets.flatMap { trimmer.trim($0) }
    }
    #expect(kept(PacketTrimmer(track, origin: 0)) == packets)
    let middle = kept(PacketTrimmer(track, origin: 50, from: 50, to: 95))
    #expect(middle.map { $0.data[0] } == [1, 2, 3, 4] && middle.map(\.time) == [-30, -10, 10, 30])
    #expect(middle.map(\.skippedAtStart) == [160, 80, 0, 0] && middle.map(\.skippedAtEnd) == [0, 0, 0, 40])
    // At the edge of a packet.
    let edge = kept(PacketTrimmer(track, origin: 40, from: 40, to: 80))
    #expect(edge.map { $0.data[0] } == [1, 2, 3] && edge.map(\.skippedAtStart) == [160, 0, 0] && edge.map(\.skippedAtEnd) == [0, 0, 0])
    // A decoder that needs 50 ms before.
    var slow = track
    slow.seekPreroll = 400
    #expect(kept(PacketTrimmer(slow, origin: 100, from: 100, to: 110)).map { $0.data[0] } == [2, 3, 4, 5])
    // Nothing there.
    #expect(kept(PacketTrimmer(track, origin: 300, from: 300)).isEmpty)
    var trimmer = PacketTrimmer(track, origin: 0, from: nil, to: 20)
    #expect(packets.prefix(1).flatMap { trimmer.trim($0) }.count == 1 && !trimmer.isDone)
    #expect(trimmer.trim(packets[1]).isEmpty && trimmer.isDone)
  }

  /// Without being asked for, sound is not kept; silent films have none.
  @Test func onlyOnRequest() throws {
    #expect(try VideoReader(Fixture.sounds + "silent-film.mp4", options: Self.sounding()).soundTracks.isEmpty)
    let film = Fixture.sounds + "film.mp4"
    #expect(try WholeVideo(film).sound.isEmpty)
    let video = try WholeVideo(film, Self.sounding())
    #expect(video.tracks.count == 1 && !video.sound.isEmpty)
  }
}
