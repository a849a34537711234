import Bitstream
import Coding
import Media
import Synchronization
import Testing
import VideoCodec

/// Progress, ends before the end, and checkpoints, with stand-ins for fits.
@Suite struct VideoFittingTests {
  private let standIn = StandIn()

  @Test func progressIsTold() throws {
    let clip = try Clip(durations: [Int64](repeating: 1, count: 20))
    let all = Mutex<[CodingProgress]>([])
    var options = VideoEncoder.Options()
    (options.segmentFrames, options.expectedFrames, options.epochs) = (8, 20, 4)
    options.progress = { one in all.withLock { $0.append(one) } }
    _ = try clip.encoded(options, standIn)
    let told = all.withLock { $0 }
    #expect(told.count == 3 * StandInFit.iterations)
    #expect(zip(told, told.dropFirst()).allSatisfy { $0.fraction < $1.fraction } && told.last?.fraction == 1)
    let segments = told.compactMap(\.segment)
    #expect(segments.map(\.number) == told.indices.map { $0 / 8 + 1 } && segments.allSatisfy { $0.count == 3 && $0.iterations == 8 })
    #expect(segments[0].frames == 0..<8 && segments[8].frames == 8..<16 && segments[16].frames == 16..<20)
    #expect(segments.prefix(8).map(\.epoch) == [0, 1, 1, 2, 2, 3, 3, 4] && segments.allSatisfy { $0.epochs == 4 })
    #expect(segments.prefix(8).map(\.psnr) == (1...8).map { Double($0) * 6 })
    let bytes = try #require(segments.last?.byteCount)
    #expect(abs(bytes - 20 * 576) < 200)
    #expect(told.allSatisfy { ($0.secondsLeft ?? -1) >= 0 } && told.last?.secondsLeft == 0)
  }

  @Test func anEarlyEndKeepsWhatIsThere() throws {
    let clip = try Clip(durations: [Int64](repeating: 1, count: 20))
    let asked = Mutex(0)
    var options = VideoEncoder.Options()
    options.segmentFrames = 8
    // In the third step of the second segment.
    options.finishesEarly = { asked.withLock { $0 += 1; return $0 == 11 } }
    let (bytes, encoded) = try clip.encoded(options, standIn)
    #expect(!encoded.isComplete && encoded.frames == 16 && encoded.segments == 2)
    let frames = try VideoDecoder(bytes, standIn).all()
    #expect(Array(frames[..<8]) == Array(clip.frames[..<8]) && frames.count == 16)
    #expect(frames[8].samples == clip.frames[8].samples.map { $0 & 0xE0 } && encoded.psnr < 100)
  }

  /// Cancels after some steps, and gives what was saved last.
  private func interrupted(_ clip: Clip, after steps: Int, interval: Double = 1e9, resuming: [UInt8]? = nil) throws -> (saved: [UInt8]?, count: Int) {
    let saved = Mutex<[[UInt8]]>([]), asked = Mutex(0)
    var options = VideoEncoder.Options()
    options.segmentFrames = 8
    options.isCancelled = { asked.withLock { $0 += 1; return $0 > steps } }
    options.checkpoints = .init(resuming: resuming) { bytes in saved.withLock { $0.append(bytes) } }
    options.checkpoints?.interval = interval
    #expect(throws: CancellationError.self) { try clip.encoded(options, StandIn()) }
    return saved.withLock { ($0.last, $0.count) }
  }

  @Test func checkpointsAreGoneOnFrom() throws {
    let clip = try Clip(durations: [Int64](repeating: 1, count: 20))
    var plain = VideoEncoder.Options()
    plain.segmentFrames = 8
    let whole = try clip.encoded(plain, standIn).bytes
    for steps in [0, 3, 7, 8, 9, 15, 20, 23] {
      let (saved, count) = try interrupted(clip, after: steps)
      // One for each segment that was done, one for the end.
      #expect(count == steps / 8 + 1)
      var options = plain
      let fresh = StandIn(), asked = Mutex(0)
      options.checkpoints = .init(resuming: saved) { _ in }
      options.progress = { _ in asked.withLock { $0 += 1 } }
      #expect(try clip.encoded(options, fresh).bytes == whole)
      #expect(asked.withLock { $0 } == 24 - steps, "\(steps)")
    }
    // Twice, and at each step.
    let once = try interrupted(clip, after: 5)
    let twice = try interrupted(clip, after: 6, resuming: once.saved)
    var options = plain
    options.checkpoints = .init(resuming: twice.saved) { _ in }
    #expect(try clip.encoded(options, standIn).bytes == whole)
    #expect(try interrupted(clip, after: 7, interval: 0).count == 8)
  }

  @Test func otherCheckpointsAreRefused() throws {
    let clip = try Clip(durations: [Int64](repeating: 1, count: 20))
    func code(_ bytes: [UInt8], _ clip: Clip, _ change: (inout VideoEncoder.Options) -> Void = { _ in }) -> CodecError.Code? {
      var options = VideoEncoder.Options()
      options.segmentFrames = 8
      options.checkpoints = .init(resuming: bytes) { _ in }
      change(&options)
      do {
        _ = try clip.encoded(options, StandIn())
        return nil
      } catch { return (error as? CodecError)?.code }
    }
    for steps in [3, 9] {
      let saved = try #require(try interrupted(clip, after: steps).saved)
      #expect(code(saved, clip) == nil)
      #expect(code(saved, clip) { $0.rate = .quality(51) } == .invalidOption)
      #expect(code(saved, clip) { $0.epochs = 7 } == .invalidOption)
      #expect(code(saved, clip) { $0.segmentFrames = 9 } == .invalidOption)
      var other = clip
      other.frames[1].withUnsafeMutableSamples { $0[5] ^= 1 }
      #expect(code(saved, other) == .invalidOption)
      for count in 0..<min(60, saved.count) { #expect(code(Array(saved[..<count]), clip) == .malformed, "\(count)") }
    }
    #expect(code([1, 2, 3], clip) == .malformed)
  }

  @Test func cancellingATaskSavesToo() async throws {
    let clip = try Clip(durations: [Int64](repeating: 1, count: 20))
    let saved = Mutex(0)
    let task = Task {
      var options = VideoEncoder.Options()
      options.segmentFrames = 8
      options.checkpoints = .init { _ in saved.withLock { $0 += 1 } }
      withUnsafeCurrentTask { $0?.cancel() }
      return try clip.encoded(options, StandIn()).bytes
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(saved.withLock { $0 } == 1)
  }
}
