import AudioCodec
import Bitstream
import Coding
import Foundation
import Media
import Testing
import VideoCodec

/// Sound beside a video that is coded anew, with stand-ins for fits.
@Suite struct CodedSoundTests {
  private let standIn = StandIn()
  private static let mono = try! AudioFormat(sampleRate: 24_000, layout: .mono)
  private static let stereo = try! AudioFormat(sampleRate: 16_000, layout: .stereo)
  /// By quality, in small groups' time; by rate, whose groups come late; and tokens.
  private static let tracks: [VideoEncoder.CodedSound] = {
    var fine = AudioEncoder.Options(), rated = AudioEncoder.Options(), tokens = AudioEncoder.Options()
    fine.rate = .quality(60)
    (rated.rate, rated.originalSampleRate) = (.kbps(32), 22_050)
    (tokens.codec, tokens.rate, tokens.groupSeconds) = (.tokens, .kbps(1), 2)
    return [.init(format: stereo, options: fine), .init(format: mono, options: rated), .init(format: mono, options: tokens)]
  }()

  /// `count` frames of a track's sound, from `first` on.
  private static func sound(_ format: AudioFormat, _ first: Int, _ count: Int) throws -> AudioBuffer {
    try AudioBuffer(
      format: format,
      samples: (0..<format.layout.count).map { channel in
        (first..<first + count).map { n in
          let t = Double(n) / Double(format.sampleRate)
          return Float(0.3 * sin(2 * .pi * Double(300 + 200 * channel) * t * (1 + 0.1 * t)))
        }
      })
  }

  /// 12 seconds of video at 5 frames a second, and 12.5 of sound.
  private func film() throws -> (bytes: [UInt8], clip: Clip, encoded: EncodedVideo) {
    let clip = try Clip(durations: [Int64](repeating: 120, count: 60))
    var options = VideoEncoder.Options()
    (options.segmentFrames, options.codedSound) = (15, Self.tracks)
    var bytes: [UInt8] = []
    let encoder = try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { bytes += $0 }
    for (number, frame) in clip.frames.enumerated() {
      for (track, sound) in Self.tracks.enumerated() {
        let perFrame = sound.format.sampleRate / 5
        try encoder.append(Self.sound(sound.format, number * perFrame, perFrame), track: track)
      }
      try encoder.append(frame)
    }
    for (track, sound) in Self.tracks.enumerated() {
      try encoder.append(Self.sound(sound.format, sound.format.sampleRate * 12, sound.format.sampleRate / 2), track: track)
    }
    try encoder.finishSound(track: 1, originalFrames: 275_625)
    let encoded = try encoder.finish()
    return (bytes, clip, encoded)
  }

  /// What a file of the track alone decodes to.
  private static func alone(_ track: Int) throws -> [[Float]] {
    var bytes: [UInt8] = []
    var encoder = try AudioEncoder(format: tracks[track].format, options: tracks[track].options) { bytes += $0 }
    try encoder.append(sound(tracks[track].format, 0, tracks[track].format.sampleRate * 25 / 2))
    _ = try encoder.finish(originalFrames: track == 1 ? 275_625 : nil)
    var decoder = try AudioDecoder(bytes)
    var samples = [[Float]](repeating: [], count: decoder.format.layout.count)
    while let buffer = try decoder.next() { for c in samples.indices { samples[c] += buffer.samples[c] } }
    return samples
  }

  @Test func samplesComeBesideTheirFrames() throws {
    let (bytes, clip, encoded) = try film()
    let file = try VideoFile(reading: bytes)
    #expect(file.codedSound.map(\.codec) == ["mdct", "mdct", "tokens"] && file.codedSound.map(\.format) == Self.tracks.map(\.format))
    #expect(file.codedSound.map(\.originalSampleRate) == [nil, 22_050, nil] && file.soundTracks.isEmpty)
    #expect(file.codedSoundBytes.allSatisfy { $0 > 100 } && file.codedSoundBytes.reduce(0, +) == encoded.soundBytes)
    #expect(file.bitsPerPixel == encoded.bitsPerPixel)
    // Groups by rate take about what they should, beside other tracks too.
    #expect(abs(Double(file.codedSoundBytes[1]) / (32_000 / 8 * 12.5) - 1) < 0.03)
    let wanted = try (0..<3).map(Self.alone)
    for decoder in [try VideoDecoder(bytes, standIn), try VideoDecoder(stream: bytes, standIn)] {
      var got = wanted.map { $0.map { _ in [Float]() } }
      var frames: [VideoFrame] = []
      while true {
        let frame = try decoder.next()
        while let (track, start, buffer) = try decoder.nextSound() {
          #expect(start == got[track][0].count && buffer.frames > 0)
          for c in got[track].indices { got[track][c] += buffer.samples[c] }
        }
        guard let frame else { break }
        frames.append(frame)
        // All that is heard with a frame is there with it.
        for (track, samples) in got.enumerated() {
          #expect(samples[0].count >= Int(frame.time + 120) * Self.tracks[track].format.sampleRate / 600, "track \(track), frame \(frames.count)")
        }
      }
      #expect(frames == clip.frames)
      #expect(got[0] == wanted[0] && got[2] == wanted[2])
      // Its rate counts a file's framing in, and so differs.
      #expect(got[1][0].count == wanted[1][0].count)
      let noise = zip(got[1][0], try Self.sound(Self.mono, 0, 300_000).samples[0]).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      #expect(noise < 0.045 * 300_000 * 0.01)
      #expect(decoder.codedSound.map(\.frames) == [200_000, 300_000, 300_000] && decoder.codedSound[1].originalFrames == 275_625)
    }
  }

  @Test func soundIsFoundWithItsFrames() throws {
    let (bytes, clip, _) = try film()
    let all = try VideoDecoder(bytes, standIn)
    var whole = Self.tracks.map { $0.format.layout.count == 1 ? [[Float]()] : [[], []] }
    while try all.next() != nil {}
    while let (track, _, buffer) = try all.nextSound() { for c in whole[track].indices { whole[track][c] += buffer.samples[c] } }
    let file = try VideoDecoder(bytes, standIn)
    // In a stream only forwards, within the frames that are decoded already and beyond.
    for (decoder, places) in [(file, [40, 2, 59, 0]), (try VideoDecoder(stream: bytes, standIn), [1, 3, 31, 59])] {
      for frame in places {
        try decoder.seek(toFrame: frame)
        #expect(try decoder.next() == clip.frames[frame])
        var ends = [Int](repeating: 0, count: 3)
        while let (track, start, buffer) = try decoder.nextSound() {
          let rate = Self.tracks[track].format.sampleRate
          if ends[track] == 0 { #expect(start == frame * rate / 5) } else { #expect(start == ends[track]) }
          ends[track] = start + buffer.frames
          for c in whole[track].indices {
            let truth = whole[track][c][start..<ends[track]]
            // A token decoder that begins in the midst comes near what it was.
            #expect(track == 2 ? zip(truth, buffer.samples[c]).allSatisfy { abs($0 - $1) < 0.02 } : truth.elementsEqual(buffer.samples[c]))
          }
        }
        for (track, end) in ends.enumerated() where end > 0 { #expect(end >= (frame + 1) * Self.tracks[track].format.sampleRate / 5) }
        if frame == 40 { #expect(ends.allSatisfy { $0 > 0 }) }
      }
    }
  }

  @Test func damageIsFound() throws {
    let (bytes, _, _) = try film()
    let whole = try Container(reading: bytes)
    func outcome(_ change: (inout Container) -> Void) throws -> CodecError.Code? {
      var container = whole
      change(&container)
      let decoder = try VideoDecoder(container.serialised(), standIn)
      do {
        while try decoder.next() != nil { while try decoder.nextSound() != nil {} }
        while try decoder.nextSound() != nil {}
      } catch let error as CodecError { return error.code }
      return nil
    }
    #expect(try outcome { _ in } == nil)
    let last = try #require(whole.payloads.lastIndex { $0.track == 1 }), first = try #require(whole.payloads.firstIndex { $0.track == 1 })
    #expect(try outcome { $0.payloads.remove(at: last) } == .malformed)
    #expect(try outcome { $0.payloads.remove(at: first) } == .malformed)
    #expect(try outcome { $0.payloads[last].data = $0.payloads[last].data.prefix(1) } == .malformed)
    // A track that is empty is one.
    #expect(try outcome { $0.payloads.removeAll { $0.track == 2 } } == nil)
    var foreign = whole
    foreign.tracks[1].model = 9
    #expect(throws: CodecError.self) { try VideoDecoder(foreign.serialised(), standIn) }
    // A sound decoder leaves it alone.
    #expect(throws: CodecError.self) { try AudioDecoder(bytes) }
    #expect(!AudioFile.isOne(bytes) && VideoFile.isOne(bytes))
  }

  @Test func badSoundIsRefused() throws {
    let clip = try Clip(durations: [1, 1])
    var options = VideoEncoder.Options()
    options.codedSound = [Self.tracks[0]]
    let encoder = try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { _ in }
    #expect(throws: CodecError.self) { try encoder.append(Self.sound(Self.stereo, 0, 9), track: 1) }
    #expect(throws: CodecError.self) { try encoder.append(Self.sound(Self.mono, 0, 9), track: 0) }
    #expect(throws: CodecError.self) { try encoder.finishSound(track: 0, originalFrames: 3) }
    options.codedSound[0].options.rate = .kbps(-1)
    #expect(throws: CodecError.self) { try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { _ in } }
    let done = try VideoEncoder(format: clip.format, options: { var o = VideoEncoder.Options(); o.codedSound = [Self.tracks[0]]; return o }(), fits: standIn.fits) { _ in }
    try done.finishSound(track: 0)
    #expect(throws: CodecError.self) { try done.append(Self.sound(Self.stereo, 0, 9), track: 0) }
  }
}
