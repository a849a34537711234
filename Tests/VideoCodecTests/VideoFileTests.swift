import Bitstream
import Coding
import Media
import Synchronization
import Testing
import VideoCodec

/// Container and API, with stand-ins for fits.
@Suite struct VideoFileTests {
  private let standIn = StandIn()

  private func options(segment: Int? = nil, threads: Int = 1) -> VideoEncoder.Options {
    var options = VideoEncoder.Options()
    (options.segmentFrames, options.threads) = (segment, threads)
    return options
  }

  @Test(arguments: [1, 2, 9, 20, 45]) func thereAndBack(count: Int) throws {
    let clip = try Clip(durations: [Int64](repeating: 25, count: count))
    let (bytes, encoded) = try clip.encoded(options(segment: 8), standIn)
    // Up to an eighth more goes with the last segment.
    let segments = count <= 9 ? [count] : count == 20 ? [8, 8, 4] : [8, 8, 8, 8, 8, 5]
    #expect(standIn.started.withLock { $0 } == segments)
    #expect(encoded.byteCount == bytes.count && encoded.frames == count && encoded.segments == segments.count)
    #expect(encoded.psnr == 100 && encoded.isComplete && encoded.soundBytes == 0)
    #expect(encoded.bitsPerPixel == Double(8 * bytes.count) / Double(count * 16 * 12))
    for threads in [1, 3] {
      let decoder = try VideoDecoder(bytes, standIn, threads: threads)
      #expect(decoder.format == clip.format && decoder.frameCount == count && decoder.codec == "hnerv" && decoder.soundTracks.isEmpty)
      #expect(try decoder.all() == clip.frames)
      #expect(try decoder.next() == nil && decoder.nextSoundPacket() == nil)
      let stream = try VideoDecoder(stream: bytes, standIn, threads: threads)
      #expect(stream.frameCount == nil)
      #expect(try stream.all() == clip.frames)
      #expect(stream.frameCount == count)
    }
    let file = try VideoFile(reading: bytes)
    #expect(file.format == clip.format && file.frames == count && file.codec == "hnerv" && file.end == Int64(count * 25))
    #expect(file.segments.map(\.frames.count) == segments && file.segments.map(\.byteCount).reduce(0, +) == count * 576 + segments.count)
    #expect(file.byteCount == bytes.count && file.bitsPerPixel == encoded.bitsPerPixel && file.soundBytes.isEmpty)
    #expect(VideoFile.isOne(bytes) && !VideoFile.isOne([]))
  }

  @Test func whatIsSaidOfAFormatIsKept() throws {
    var clip = try Clip(durations: [1, 1])
    for rotation in Rotation.allCases {
      clip.format = try VideoFormat(
        width: 16, height: 12, timeBase: #require(Rational(exactly: 1001, 30_000)), frameRate: Rational(exactly: 30_000, 1001),
        sampleAspectRatio: #require(Rational(exactly: 64, 45)), rotation: rotation,
        colour: ColourDescription(primaries: 9, transfer: 16, matrix: 10, isFullRange: rotation == .half, chromaLocation: 3), sourceBitDepth: 10)
      let (bytes, _) = try clip.encoded(.init(), standIn)
      #expect(try VideoDecoder(bytes, standIn).format == clip.format)
    }
  }

  @Test func timesAreKeptToTheTick() throws {
    for durations in [[5, 5, 5, 5], [5, 6, 5, 6], [1, 1 << 39, 7, 2]] as [[Int64]] {
      for start in [0, 3, 1 << 50] as [Int64] {
        var clip = try Clip(durations: durations, start: start)
        #expect(try VideoDecoder(clip.encoded(.init(), standIn).bytes, standIn).all() == clip.frames)
        clip.frames.remove(at: 2)  // a gap
        #expect(try VideoDecoder(clip.encoded(.init(), standIn).bytes, standIn).all() == clip.frames)
        #expect(try VideoDecoder(stream: clip.encoded(options(segment: 1), standIn).bytes, standIn).all() == clip.frames)
      }
    }
  }

  @Test func anyFrameIsFoundWithoutTheOthers() throws {
    let clip = try Clip(durations: (0..<50).map { 5 + $0 % 3 })
    let (bytes, _) = try clip.encoded(options(segment: 8), standIn)
    for threads in [1, 4] {
      let decoder = try VideoDecoder(bytes, standIn, threads: threads)
      for frame in [49, 0, 7, 8, 25, 24, 48] {
        try decoder.seek(toFrame: frame)
        standIn.decoded.withLock { $0 = [] }
        #expect(try decoder.next() == clip.frames[frame])
        let (length, place) = (frame >= 48 ? 2 : 8, frame % 8)
        #expect(standIn.decoded.withLock { $0 } == [place..<min(place + threads, length)], "\(frame)")
        if frame < 49 { #expect(try decoder.next() == clip.frames[frame + 1]) }
      }
      try decoder.seek(toFrame: 30)
      #expect(try decoder.all() == Array(clip.frames[30...]))
      try decoder.seek(toFrame: 50)
      #expect(try decoder.next() == nil)
      try decoder.seek(toFrame: 0)
      #expect(try decoder.all() == clip.frames)
      // A stream goes on only.
      let stream = try VideoDecoder(stream: bytes, standIn, threads: threads)
      #expect(try stream.next() == clip.frames[0])
      try stream.seek(toFrame: 2)
      #expect(try stream.next() == clip.frames[2])
      try stream.seek(toFrame: 33)
      standIn.decoded.withLock { $0 = [] }
      #expect(try stream.next() == clip.frames[33])
      #expect(standIn.decoded.withLock { $0.count } == 1)
      #expect(throws: CodecError.self) { try stream.seek(toFrame: 32) }
      #expect(try stream.all() == Array(clip.frames[34...]))
    }
    #expect(throws: CodecError.self) { try VideoDecoder(bytes, standIn).seek(toFrame: -1) }
  }

  @Test func segmentsFollowTheLengthThatIsKnown() throws {
    func lengths(_ count: Int, expected: Int?) throws -> [Int] {
      let standIn = StandIn()
      var options = VideoEncoder.Options()
      options.expectedFrames = expected
      _ = try Clip(durations: [Int64](repeating: 1, count: count)).encoded(options, standIn)
      return standIn.started.withLock { $0 }
    }
    #expect(try lengths(300, expected: 300) == [150, 150])
    #expect(try lengths(300, expected: nil) == [256, 44])
    #expect(try lengths(280, expected: nil) == [280])
    #expect(try lengths(301, expected: 299) == [150, 151])
    // 8 frames of 4000x4000 are 384 MB.
    let large = try VideoFormat(width: 4000, height: 4000, timeBase: .one)
    #expect(VideoEncoder.Options().segmentFrames(of: large) == 8)
  }

  @Test func asASequence() async throws {
    let clip = try Clip(durations: [Int64](repeating: 2, count: 20))
    let (bytes, _) = try clip.encoded(options(segment: 8), standIn)
    var frames: [VideoFrame] = []
    for try await frame in try VideoDecoder(bytes, standIn).sequence { frames.append(frame) }
    #expect(frames == clip.frames)
  }

  @Test func whatCannotBeEncodedIsRefused() throws {
    let clip = try Clip(durations: [2, 2, 2])
    func code(_ frames: [VideoFrame], _ change: (inout VideoEncoder.Options) -> Void = { _ in }) -> CodecError.Code? {
      var options = VideoEncoder.Options()
      change(&options)
      do {
        let encoder = try VideoEncoder(format: clip.format, options: options, fits: standIn.fits) { _ in }
        for frame in frames { try encoder.append(frame) }
        _ = try encoder.finish()
        return nil
      } catch { return (error as? CodecError)?.code }
    }
    func with(_ change: (inout VideoFrame) -> Void) -> [VideoFrame] {
      var frames = clip.frames
      change(&frames[1])
      return frames
    }
    #expect(code(clip.frames) == nil)
    #expect(code([]) == .invalidOption)
    #expect(code(with { $0.time = 0 }) == .invalidOption && code(with { $0.time = -1 }) == .invalidOption)
    #expect(code(with { $0.duration = 0 }) == .invalidOption && code(with { $0.time = 1 << 61 }) == .invalidOption)
    #expect(try code(Clip(16, 13, durations: [1]).frames) == .invalidOption)
    #expect(code(clip.frames, { $0.effort = 0 }) == .invalidOption && code(clip.frames, { $0.epochs = 0 }) == .invalidOption)
    #expect(code(clip.frames, { $0.rate = .quality(101) }) == .invalidOption && code(clip.frames, { $0.rate = .bitsPerPixel(0) }) == .invalidOption)
    #expect(code(clip.frames, { $0.rate = .parameters(0) }) == .invalidOption && code(clip.frames, { $0.segmentFrames = 4097 }) == .invalidOption)
    #expect(code(clip.frames, { ($0.codec, $0.cheapBlocks) = (.nerv, true) }) == .invalidOption)
    // What the output says is told as it is.
    struct Full: Error {}
    #expect(throws: Full.self) {
      let encoder = try VideoEncoder(format: clip.format, options: .init(), fits: standIn.fits) { _ in throw Full() }
      try encoder.append(clip.frames[0])
    }
  }
}
