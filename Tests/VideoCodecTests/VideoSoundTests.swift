import Bitstream
import Coding
import Media
import Testing
import VideoCodec

/// Sound beside a video, with stand-ins for fits.
@Suite struct VideoSoundTests {
  private let standIn = StandIn()
  private static let aac: CopiedTrack = {
    var track = CopiedTrack(codec: "aac", timeBase: Rational(exactly: 1, 48_000)!, sampleRate: 48_000, layout: .stereo)
    (track.extradata, track.frameSize, track.language) = ([1, 2, 3], 1024, "eng")
    return track
  }()
  private static let opus = CopiedTrack(codec: "opus", timeBase: Rational(exactly: 1, 1000)!, sampleRate: 48_000, layout: .mono)

  /// 12 seconds of video at 5 frames a second, 12.5 of two tracks of sound, beginning before it.
  private func film() throws -> (bytes: [UInt8], clip: Clip, sound: [[CopiedPacket]], encoded: EncodedVideo) {
    let clip = try Clip(durations: [Int64](repeating: 120, count: 60))
    let first = (0..<586).map { (i: Int) -> CopiedPacket in
      CopiedPacket(time: Int64(i) * 1024 - 1024, duration: 1024, data: [UInt8](repeating: UInt8(i % 251), count: 20))
    }
    let second = (0..<625).map { (i: Int) -> CopiedPacket in CopiedPacket(time: Int64(i) * 20, duration: 20, data: [UInt8(i % 256)]) }
    let sound = [first, second]
    var options = VideoEncoder.Options()
    (options.segmentFrames, options.soundTracks) = (15, [Self.aac, Self.opus])
    var bytes: [UInt8] = []
    let encoder = try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { bytes += $0 }
    var next = [0, 0]
    for frame in clip.frames {
      let end = Double(frame.time + 120) / 600
      for (track, perSecond) in [48_000.0, 1000].enumerated() {
        while next[track] < sound[track].count, Double(sound[track][next[track]].time) / perSecond < end {
          try encoder.append(sound[track][next[track]], track: track)
          next[track] += 1
        }
      }
      try encoder.append(frame)
    }
    for track in 0..<2 { for packet in sound[track][next[track]...] { try encoder.append(packet, track: track) } }
    let encoded = try encoder.finish()
    return (bytes, clip, sound, encoded)
  }

  @Test func packetsAreKept() throws {
    let (bytes, clip, sound, encoded) = try film()
    #expect(encoded.segments == 4 && encoded.soundBytes > 586 * 20)
    let file = try VideoFile(reading: bytes)
    #expect(file.soundTracks == [Self.aac, Self.opus] && file.soundBytes.reduce(0, +) == encoded.soundBytes)
    #expect(file.bitsPerPixel == encoded.bitsPerPixel)
    #expect(file.segments.count == 4 && file.videoBytes > 60 * 576)
    for decoder in [try VideoDecoder(bytes, standIn), try VideoDecoder(stream: bytes, standIn)] {
      #expect(decoder.soundTracks == [Self.aac, Self.opus])
      var got: [[CopiedPacket]] = [[], []]
      var frames: [VideoFrame] = []
      while true {
        let frame = try decoder.next()
        while let (track, packet) = try decoder.nextSoundPacket() {
          got[track].append(packet)
          // None comes later than the frames of its time, nor much before them: a payload has a second.
          let seconds = Double(packet.time) * decoder.soundTracks[track].timeBase.value
          if let frame { #expect(seconds >= Double(frame.time) / 600 - 1.1 && seconds < Double(frame.time) / 600 + 4.1) }
        }
        guard let frame else { break }
        frames.append(frame)
      }
      #expect(frames == clip.frames && got == sound)
    }
  }

  @Test func payloadsLieBesideEachOther() throws {
    let (bytes, _, _, _) = try film()
    let reader = try ContainerReader(MemorySource(bytes))
    let times = reader.units.map { unit in Double(unit.start) / [600, 48_000, 1000][Int(unit.track)] }
    #expect(times == times.sorted() && reader.hasIndex)
    #expect(reader.units.filter { $0.track == 0 }.map(\.start) == [0, 1800, 3600, 5400])
    #expect(reader.units[0].track == 0)
  }

  @Test func soundIsFoundWithItsFrames() throws {
    let (bytes, clip, sound, _) = try film()
    let decoder = try VideoDecoder(bytes, standIn)
    for frame in [40, 2, 59, 0] {
      try decoder.seek(toFrame: frame)
      #expect(try decoder.next() == clip.frames[frame])
      let (time, end) = (Double(frame) / 5, min(Double(frame) / 5 + 0.2, 12))
      var got: [[CopiedPacket]] = [[], []]
      while let (track, packet) = try decoder.nextSoundPacket() { got[track].append(packet) }
      for track in 0..<2 {
        let ticks = [48_000.0, 1000][track]
        let first = try #require(got[track].first), begin = try #require(sound[track].firstIndex(of: first))
        // All that is heard with the frame, and half a second before it at least.
        #expect(Double(first.time) / ticks <= max(0, time - 0.5))
        #expect(Double(first.time) / ticks >= time - 2.2 || begin == 0)
        #expect(Array(sound[track][begin..<begin + got[track].count]) == got[track])
        #expect(Double(got[track].last!.time) / ticks >= end - 0.1)
      }
    }
  }

  @Test func badSoundIsRefused() throws {
    let clip = try Clip(durations: [1, 1])
    var options = VideoEncoder.Options()
    options.soundTracks = [Self.aac]
    let encoder = try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { _ in }
    #expect(throws: CodecError.self) { try encoder.append(CopiedPacket(time: 0, duration: 1, data: []), track: 1) }
    try encoder.append(CopiedPacket(time: 5, duration: 1, data: []), track: 0)
    #expect(throws: CodecError.self) { try encoder.append(CopiedPacket(time: 4, duration: 1, data: []), track: 0) }
    options.soundTracks[0].codec = ""
    #expect(throws: CodecError.self) { try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { _ in } }
  }
}
