import AudioCodec
import Bitstream
import Coding
import Media
import Testing
import VideoCodec

/// What becomes of a file: how it is refused, or its frames.
private func outcome(_ bytes: [UInt8], _ options: VideoDecoder.Options = .init()) -> Result<[VideoFrame], CodecError>? {
  do {
    let decoder = try VideoDecoder(bytes, options: options)
    var frames: [VideoFrame] = []
    while let frame = try decoder.next() {
      frames.append(frame)
      while try decoder.nextSoundPacket() != nil {}
      while try decoder.nextSound() != nil {}
    }
    while try decoder.nextSoundPacket() != nil {}
    while try decoder.nextSound() != nil {}
    return .success(frames)
  } catch let error as CodecError {
    // One line for people, that says something.
    #expect(!error.description.isEmpty && !error.description.contains("\n"))
    return .failure(error)
  } catch {
    Issue.record("not a CodecError: \(error)")
    return nil
  }
}

private func code(_ bytes: [UInt8], _ options: VideoDecoder.Options = .init()) -> CodecError.Code? {
  if case .failure(let error)? = outcome(bytes, options) { error.code } else { nil }
}

@Suite struct VideoFileTests {
  /// Two segments of small frames, with sound.
  private static let sample = encoded(.hnerv)

  /// `isSounding`: two tracks of coded sound go with it.
  private static func encoded(_ codec: VideoEncoder.Codec, isSounding: Bool = false) -> [UInt8] {
    let format = try! VideoFormat(width: 20, height: 12, timeBase: Rational(exactly: 1, 25)!, frameRate: Rational(exactly: 25, 1))
    var options = VideoEncoder.Options()
    options.codec = codec
    (options.segmentFrames, options.epochs, options.rate) = (3, 2, .parameters(2000))
    options.soundTracks = [CopiedTrack(codec: "opus", timeBase: Rational(exactly: 1, 48_000)!, sampleRate: 48_000, layout: .stereo)]
    var sound = AudioEncoder.Options()
    (sound.codec, sound.rate) = (.tokens, .kbps(1))
    let mono = (isSounding ? [24_000, 8000] : []).map { try! AudioFormat(sampleRate: $0, layout: .mono) }
    options.codedSound = zip(mono, [sound, AudioEncoder.Options()]).map { .init(format: $0, options: $1) }
    var bytes: [UInt8] = []
    let encoder = try! VideoEncoder(format: format, options: options) { bytes += $0 }
    for (track, format) in mono.enumerated() {
      let samples = (0..<format.sampleRate / 5).map { Float($0 % 50) / 100 }
      try! encoder.append(try! AudioBuffer(format: format, samples: [samples]), track: track)
    }
    for number in 0..<5 {
      let frame = try! VideoFrame(width: 20, height: 12, time: Int64(number), duration: 1) { samples in
        for i in samples.indices { samples[i] = UInt8(i % 20 * 8 + number * 10) }
      }
      try! encoder.append(frame)
      try! encoder.append(CopiedPacket(time: Int64(number) * 960, duration: 960, data: [1, 2, 3, UInt8(number)]), track: 0)
    }
    _ = try! encoder.finish()
    return bytes
  }

  @Test func theSampleIsFine() throws {
    let frames = try #require(try outcome(Self.sample)?.get())
    #expect(frames.map(\.time) == [0, 1, 2, 3, 4])
    #expect(try Container(reading: Self.sample).payloads.map(\.track) == [0, 0, 1])
    #expect(try Container(reading: Self.encoded(.nerv, isSounding: true)).payloads.map(\.track).sorted() == [0, 0, 1, 2, 3])
  }

  @Test func flippedBitsAndCutsAreFound() {
    let bytes = Self.encoded(.hnerv, isSounding: true)
    for place in stride(from: 0, to: bytes.count, by: 3) {
      var bad = bytes
      bad[place] ^= 1 << UInt8(place % 8)
      if code(bad) == nil { Issue.record("byte \(place) may be changed") }
      if code(Array(bytes[..<place])) == nil { Issue.record("\(place) bytes are read") }
    }
  }

  /// Behind right checksums: refused, or frames.
  @Test(arguments: [VideoEncoder.Codec.hnerv, .nerv, .nervpp]) func damagedSegmentsEnd(codec: VideoEncoder.Codec) throws {
    let good = try Container(reading: Self.encoded(codec, isSounding: true))
    var (refused, accepted) = (0, 0)
    var options = VideoDecoder.Options()
    options.maxMemory = 1 << 26
    for trial in 0..<600 {
      var file = good
      let payload = trial % file.payloads.count
      var data = Array(file.payloads[payload].data)
      // The beginning, where all is headers, as often as the rest.
      let place = trial % 2 == 0 ? trial * 31 % data.count : trial / 2 % min(90, data.count)
      data[place] ^= UInt8(truncatingIfNeeded: 1 + trial * 7)
      if trial % 5 == 0 { data.removeLast(trial % data.count) }
      file.payloads[payload].data = data[...]
      switch outcome(try file.serialised(), options) {
      case .success(let frames):
        accepted += 1
        #expect(zip(frames, frames.dropFirst()).allSatisfy { $0.time < $1.time })
      case .failure(let error):
        refused += 1
        #expect([.malformed, .limitExceeded, .unsupported].contains(error.code), "\(error)")
      case nil: break
      }
    }
    #expect(refused > 100 && accepted > 20 && refused + accepted == 600)
  }

  @Test func segmentsHaveToFitTogether() throws {
    let good = try Container(reading: Self.sample)
    func code(_ change: (inout Container) throws -> Void) throws -> CodecError.Code? {
      var file = good
      try change(&file)
      return RobustnessTests.code(try file.serialised())
    }
    func header(_ payload: Payload) throws -> (header: VideoPayloadHeader, data: [UInt8]) {
      var reader = FieldReader(payload.data, named: "")
      let header = try reader.read(VideoPayloadHeader())
      return (header, Array(payload.data.dropFirst(reader.offset)))
    }
    func rewrite(_ payload: inout Payload, _ change: (inout VideoPayloadHeader) -> Void) throws {
      var (header, data) = try header(payload)
      change(&header)
      payload.data = (try header.serialised() + data)[...]
    }
    #expect(try code { _ in } == nil)
    #expect(try code { $0.payloads.remove(at: 0) } == .malformed)  // a frame that is no first one
    #expect(try code { $0.payloads.remove(at: 1) } == .malformed)  // no last segment
    #expect(try code { $0.payloads.removeAll() } == .malformed)
    #expect(try code { try rewrite(&$0.payloads[1]) { $0.isLast = false } } == .malformed)
    #expect(try code { try rewrite(&$0.payloads[0]) { $0.isLast = true } } == .malformed)
    #expect(try code { try rewrite(&$0.payloads[1]) { $0.first = 4 } } == .malformed)
    #expect(try code { $0.payloads[1].start = 2 } == .malformed)  // at the last frame's time
    #expect(try code { $0.payloads[1].start = 1 << 61 } == .malformed)
    #expect(try code { $0.payloads[1].isRandomAccess = false } == .malformed)
    #expect(try code { $0.payloads[1].data = [] } == .malformed)
    #expect(try code { $0.tracks[0].model = 1 } == .unsupported)
    #expect(try code { $0.tracks[0].codec = 99 } == .unsupported)
    #expect(try code { $0.tracks[0].configuration = [] } == .malformed)
    #expect(try code { $0.tracks[0].timeBase = TimeBase(numerator: 1, denominator: 1 << 31) } == .malformed)
    #expect(try code { $0.tracks.removeFirst(); $0.payloads = [] } == .unsupported)  // sound alone
    // Frames that the networks do not make.
    func resized(_ width: UInt32, _ height: UInt32) throws -> CodecError.Code? {
      try code { file in
        var configuration = try VideoConfiguration(parsing: file.tracks[0].configuration)
        (configuration.width, configuration.height) = (width, height)
        file.tracks[0].configuration = try configuration.serialised()[...]
      }
    }
    #expect(try resized(2000, 12) == .malformed && resized(20, 1200) == .malformed)
    #expect(try resized(65_535, 65_535) == .limitExceeded)
  }

  @Test func limitsHold() {
    var options = VideoDecoder.Options()
    options.maxPixels = 239
    #expect(code(Self.sample, options) == .limitExceeded)
    options.maxPixels = 240
    #expect(code(Self.sample, options) == nil)
    options.maxMemory = 100
    #expect(code(Self.sample, options) == .limitExceeded)
  }
}
