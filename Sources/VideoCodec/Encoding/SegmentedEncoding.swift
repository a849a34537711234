import AudioCodec
import Coding
import Media
import Metrics

/// Collects frames to segments, has them fitted, and writes them.
final class SegmentedEncoding {
  private let format: VideoFormat
  private let options: VideoEncoder.Options
  private let fits: SegmentFits
  private let file: VideoFileWriter
  private let threads: Int
  /// Frames of a segment, and how many are left for the last one at most.
  private let segmentFrames: Int
  private let longestSegment: Int

  private var waiting: [VideoFrame] = []
  private var lastTime: Int64 = -1
  /// Of all frames of segments that were written.
  private var psnrSum = 0.0
  private(set) var hasFinishedEarly = false
  private var isFinished = false

  /// What is saved; nil where nothing is.
  private var checkpoint: VideoCheckpoint?
  /// Of a checkpoint that was given: segments that are there, and a fit that goes on.
  private var restored: [VideoCheckpoint.Done] = []
  private var resumed: (sum: UInt32, state: ArraySlice<UInt8>)?
  private let clock = ContinuousClock()

  init(_ format: VideoFormat, _ options: VideoEncoder.Options, _ fits: SegmentFits, write: @escaping ([UInt8]) throws -> Void) throws {
    (self.format, self.options, self.fits) = (format, options, fits)
    threads = Threads.resolve(options.threads)
    segmentFrames = options.segmentFrames(of: format)
    longestSegment = min(4096, segmentFrames + max(1, segmentFrames / 8))
    if let checkpoints = options.checkpoints {
      let settings = Self.settings(format, options, segmentFrames)
      checkpoint = VideoCheckpoint(settings: settings)
      if let bytes = checkpoints.resuming {
        let saved = try VideoCheckpoint(bytes, settings: settings)
        (restored, resumed) = (saved.done, saved.fitting)
      }
    }
    file = try VideoFileWriter(format, options, write: write)
  }

  /// What segments depend on, but for the frames.
  private static func settings(_ format: VideoFormat, _ options: VideoEncoder.Options, _ segmentFrames: Int) -> String {
    let rate =
      switch options.rate {
      case .quality(let quality): "quality \(quality)"
      case .bitsPerPixel(let bits): "\(bits) bits per pixel"
      case .parameters(let count): "\(count) parameters"
      }
    return "\(options.codec.rawValue), \(format.width)x\(format.height), \(rate), \(options.epochs.map { "\($0) epochs" } ?? "effort \(options.effort)"), segments of \(segmentFrames)\(options.cheapBlocks ? ", cheap blocks" : "")"
  }

  func append(_ frame: VideoFrame) throws {
    precondition(!isFinished, "nothing comes after finish()")
    if hasFinishedEarly { return }
    guard frame.width == format.width, frame.height == format.height else {
      throw CodecError(.invalidOption, "a frame of \(frame.width)x\(frame.height) pixels is not of \(format.width)x\(format.height)")
    }
    let number = file.frames + waiting.count
    guard frame.time > lastTime else {
      throw CodecError(.invalidOption, "frame \(number) comes at \(frame.time), which is not after \(lastTime)")
    }
    guard (1...1 << 40).contains(frame.duration), lastTime < 0 || frame.time - lastTime <= 1 << 40, frame.time <= 1 << 60 else {
      throw CodecError(.invalidOption, "frame \(number), at \(frame.time) for \(frame.duration), is not within 2^40 ticks of the one before")
    }
    lastTime = frame.time
    waiting.append(frame)
    if waiting.count > longestSegment {
      let segment = Array(waiting[..<segmentFrames])
      waiting.removeFirst(segmentFrames)
      try encode(segment, isLast: false)
    }
  }

  func append(_ packet: CopiedPacket, track: Int) throws {
    precondition(!isFinished, "nothing comes after finish()")
    // Sound behind a video that was ended is not wanted.
    if hasFinishedEarly { return }
    try file.append(packet, track: track)
  }

  func append(_ sound: AudioBuffer, track: Int) throws {
    precondition(!isFinished, "nothing comes after finish()")
    if !hasFinishedEarly { try file.append(sound, track: track) }
  }

  func finishSound(track: Int, originalFrames: Int?) throws { try file.finishSound(track: track, originalFrames: originalFrames) }

  func finish() throws -> EncodedVideo {
    precondition(!isFinished, "finish() comes once")
    if !hasFinishedEarly {
      guard !waiting.isEmpty else { throw CodecError(.invalidOption, "a video has at least one frame, and this one has none") }
      let segment = waiting
      waiting = []
      try encode(segment, isLast: true)
    }
    isFinished = true
    let bytes = try file.finish()
    let pixels = Double(file.frames) * Double(format.width * format.height)
    return EncodedVideo(
      byteCount: bytes, frames: file.frames, segments: file.segments, bitsPerPixel: Double(8 * (bytes - file.soundBytes)) / pixels,
      soundBytes: file.soundBytes, psnr: psnrSum / Double(file.frames), isComplete: !hasFinishedEarly)
  }

  private func encode(_ frames: [VideoFrame], isLast: Bool) throws {
    let sum = checkpoint == nil ? 0 : VideoCheckpoint.sum(of: frames)
    let data: [UInt8]
    if let done = restored.first {
      guard done.sum == sum else { throw Self.foreignCheckpoint }
      restored.removeFirst()
      data = Array(done.data)
    } else {
      data = try fit(frames, sum, isLast: isLast)
    }
    checkpoint?.done.append(VideoCheckpoint.Done(sum: sum, data: data[...]))
    checkpoint?.fitting = nil
    try measure(frames, data)
    try file.append(frames.map { ($0.time, $0.duration) }, data, isLast: isLast || hasFinishedEarly)
    if hasFinishedEarly { waiting = [] }
    if !isLast { try save() }
  }

  private static let foreignCheckpoint = CodecError(
    .invalidOption, "the checkpoint is of other frames. Give the video that it was made of, or another file.")

  private func fit(_ frames: [VideoFrame], _ sum: UInt32, isLast: Bool) throws -> [UInt8] {
    let settings = SegmentSettings(codec: options.codec, rate: options.rate, epochs: options.epochs(frames: frames.count), cheapBlocks: options.cheapBlocks)
    let fit: any SegmentFitting
    if let saved = resumed {
      guard saved.sum == sum else { throw Self.foreignCheckpoint }
      resumed = nil
      fit = try fits.resume(frames, settings, saved.state)
    } else {
      fit = try fits.start(frames, settings)
    }
    let (first, start) = (fit.iteration, clock.now)
    var saved = start
    while fit.iteration < fit.iterations {
      if Task.isCancelled || options.isCancelled?() == true {
        try save(fit, sum)
        throw CancellationError()
      }
      try fit.step(threads: threads)
      let now = clock.now
      report(fit, frames.count, settings, isLast: isLast, speed: (now - start).inSeconds / Double(fit.iteration - first))
      if options.finishesEarly?() == true, fit.iteration < fit.iterations {
        hasFinishedEarly = true
        break
      }
      if let interval = options.checkpoints?.interval, (now - saved).inSeconds >= interval, fit.iteration < fit.iterations {
        try save(fit, sum)
        saved = clock.now
      }
    }
    return try fit.finish(threads: threads)
  }

  private func save(_ fit: any SegmentFitting, _ sum: UInt32) throws {
    if checkpoint == nil { return }
    checkpoint?.fitting = (sum, fit.checkpoint()[...])
    try save()
  }

  private func save() throws {
    guard let checkpoint else { return }
    let bytes: [UInt8]
    do { bytes = try checkpoint.serialised() } catch { throw CodecError(.limitExceeded, "the checkpoint is too large: \(error.description)") }
    try options.checkpoints?.save(bytes)
  }

  /// Adds what the frames have lost, by decoding them.
  private func measure(_ frames: [VideoFrame], _ data: [UInt8]) throws {
    let decoder = try fits.open(
      data[...], SegmentShape(frames: frames.count, width: format.width, height: format.height, maxMemory: .max))
    var next = 0
    while next < frames.count {
      try Task.checkCancellation()
      let range = next..<min(next + threads, frames.count)
      for (n, samples) in zip(range, try decoder.samples(of: range, threads: threads)) {
        let decoded = try VideoFrame(width: format.width, height: format.height, samples: samples, time: 0, duration: 1)
        psnrSum += min(100, try psnr(frames[n], decoded))
      }
      next = range.upperBound
    }
  }

  /// How many segments so many frames will be.
  private func segments(of frames: Int) -> Int {
    frames <= 0 ? 0 : max(1, (frames - (longestSegment - segmentFrames) + segmentFrames - 1) / segmentFrames)
  }

  /// `speed`: seconds of an iteration.
  private func report(_ fit: any SegmentFitting, _ count: Int, _ settings: SegmentSettings, isLast: Bool, speed: Double) {
    guard let progress = options.progress else { return }
    let (done, seen) = (file.frames, file.frames + count)
    let expected = isLast ? seen : options.expectedFrames.map { max($0, seen + waiting.count) }
    let share = Double(fit.iteration) / Double(max(1, fit.iterations))
    // Frames that come take as long as these.
    let left = Double(fit.iterations) * speed * ((1 - share) + Double((expected ?? seen) - seen) / Double(count))
    let bytes = fit.estimatedBits.map { bits in
      let video = Double(file.byteCount) + bits / 8
      return Int(expected.map { video * Double($0) / Double(seen) } ?? video)
    }
    let segment = CodingProgress.Segment(
      number: file.segments + 1, count: expected.map { file.segments + 1 + segments(of: $0 - seen) }, frames: done..<seen,
      epoch: settings.epochs * fit.iteration / max(1, fit.iterations), epochs: settings.epochs, iteration: fit.iteration, iterations: fit.iterations,
      psnr: fit.psnr, byteCount: bytes)
    progress(
      CodingProgress(
        fraction: (Double(done) + share * Double(count)) / Double(expected ?? seen), stage: "fit", secondsLeft: left, segment: segment))
  }
}

extension Duration {
  fileprivate var inSeconds: Double { Double(components.seconds) + 1e-18 * Double(components.attoseconds) }
}
