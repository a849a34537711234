import Bitstream
import Coding
import Glibc
import Media

/// The transform codec's encoder: collects samples, analyses them a *window* of many groups at a time, finds the step that makes the
/// window as large as it should be, and writes its groups.
final class MDCTEncoder: SoundEncoder {
  private let format: AudioFormat
  private let options: AudioEncoder.Options
  private let geometry: AudioGeometry
  private let groupFrames: Int
  /// Frames of a window; at least that many more wait before one is encoded, but for the last.
  private let windowFrames: Int
  private let analysis: Analysis
  private let encoder: GroupEncoder
  private let file: AudioFileWriter
  /// [channel]: from half a frame before frame `nextFrame` on.
  private var pcm: [[Float]]
  private var nextFrame = 0
  private(set) var frames = 0
  /// Of the next frame, by pair, if they were needed for the one before already; and the last blocks of the one before.
  private var nextDepths: [[Int]]?
  private var lastSizes: [Int?]
  private var lastFrame: AnalysedFrame?
  private var stepIndex: Int

  init(_ format: AudioFormat, _ options: AudioEncoder.Options, to output: any SoundOutput) throws {
    self.format = format
    self.options = options
    let geometry = AudioGeometry(sampleRate: format.sampleRate)
    self.geometry = geometry
    groupFrames = geometry.framesInGroup(sampleRate: format.sampleRate)
    let channels = format.layout.count
    let tuning = MDCTTuning(options)
    analysis = Analysis(geometry, channels: channels, options: tuning.analysis)
    encoder = GroupEncoder(geometry, channels: channels, CoefficientModel(.shipped), options: tuning.group)
    // Memory goes with the samples of a window.
    let groups = max(1, min(20, 40 / channels))
    windowFrames = tuning.stepIndex == nil ? groups * groupFrames : groupFrames
    pcm = [[Float]](repeating: [Float](repeating: 0, count: geometry.longest), count: channels)
    lastSizes = [Int?](repeating: nil, count: (channels + 1) / 2)
    stepIndex = tuning.stepIndex ?? 2048
    var configuration = AudioConfiguration()
    configuration.sampleRate = UInt32(format.sampleRate)
    configuration.channels = AudioChannels(format.layout, originalRate: options.originalSampleRate)
    file = try AudioFileWriter(
      CodecID.transformAudio, sampleRate: format.sampleRate, configuration, tags: options.tags, to: output)
  }

  func append(_ samples: [[Float]]) throws {
    // In pieces, so that memory does not grow with what is given at once.
    let total = samples[0].count, piece = windowFrames * geometry.longest
    for start in stride(from: 0, to: total, by: piece) {
      let end = min(start + piece, total)
      for c in pcm.indices { pcm[c] += samples[c][start..<end] }
      frames += end - start
      // The frames of a window and the one behind it have to be there.
      while available > windowFrames * (options.isByRate ? 3 : 2) / 2 + 1 { try encode(windowFrames) }
    }
  }

  /// Whole frames with half a frame behind them.
  private var available: Int { pcm[0].count / geometry.longest - 1 }

  func finish(originalFrames: Int?) throws -> EncodedAudio {
    let longest = geometry.longest
    if frames > 0 {
      let count = (max(0, frames - longest / 2) + longest - 1) / longest + 1 - nextFrame
      let missing = (count + 1) * longest - pcm[0].count
      if missing > 0 { for c in pcm.indices { pcm[c] += [Float](repeating: 0, count: missing) } }
      let end = nextFrame + count
      while nextFrame < end {
        // A last frame alone may end behind the sound, so it goes with those before it.
        let rest = end - nextFrame
        let now = options.isByRate || rest <= windowFrames + 1 ? rest : windowFrames
        try encode(now, isLast: now == rest, originalFrames: originalFrames)
      }
    }
    return try file.finish(frames: frames)
  }

  /// `count` frames of what waits, all of it if `isLast`.
  private func encode(_ count: Int, isLast: Bool = false, originalFrames: Int? = nil) throws {
    try Task.checkCancellation()
    let target = options.isByRate ? self.target(count, isLast: isLast) : nil
    analysis.stepIndex = target.map { guess(count, bytes: $0) } ?? stepIndex
    let analysed = try analyse(count, isLast: isLast)
    let groups = try encodeGroups(analysed, target: target)
    for (number, (range, bytes)) in zip(groupRanges(count), groups).enumerated() {
      let first = range.lowerBound, here = range.count
      var header = AudioPayloadHeader(hasOriginal: options.originalSampleRate != nil)
      header.frames = UInt8(here)
      let start = (nextFrame + first) * geometry.longest
      if isLast, number == groups.count - 1 {
        header.isLast = true
        header.samples = UInt64(frames - start)
        header.originalSamples = UInt64(originalFrames ?? 0)
      }
      try file.append(header, bytes, start: start)
    }
    nextFrame += count
    for c in pcm.indices { pcm[c].removeFirst(count * geometry.longest) }
    if let report = options.progress {
      let done = Double(min(frames, nextFrame * geometry.longest))
      let all = Double(max(options.expectedFrames ?? 0, frames))
      report(CodingProgress(fraction: isLast ? 1 : done / all, stage: "sound"))
    }
  }

  // MARK: Analysis

  private func withSamples<R>(of frame: Int, _ channels: Range<Int>, _ body: ([UnsafePointer<Float>]) -> R) -> R {
    let first = frame * geometry.longest
    func collect(_ c: Int, _ found: [UnsafePointer<Float>]) -> R {
      guard c < channels.upperBound else { return body(found) }
      return pcm[c].withUnsafeBufferPointer { collect(c + 1, found + [$0.baseAddress! + first]) }
    }
    return collect(channels.lowerBound, [])
  }

  private func analyse(_ count: Int, isLast: Bool) throws -> [AnalysedFrame] {
    let channels = pcm.count, longest = geometry.longest
    func depths(_ frame: Int) -> [[Int]] {
      (0..<(channels + 1) / 2).map { pair in
        withSamples(of: frame, 2 * pair..<min(2 * pair + 2, channels)) { analysis.depths($0) }
      }
    }
    var current = nextDepths ?? depths(0)
    let starts = Set(groupRanges(count).map(\.lowerBound))
    var frames: [AnalysedFrame] = []
    frames.reserveCapacity(count)
    for f in 0..<count {
      if f % 16 == 0 { try Task.checkCancellation() }
      let next = isLast && f == count - 1 ? nil : depths(f + 1)
      var frame = AnalysedFrame(shapes: current.map { FrameShape(depths: $0) }, coefficients: [], offsets: [])
      for c in 0..<channels {
        frame.coefficients.append(
          withSamples(of: f, c..<c + 1) {
            analysis.coefficients(
              $0[0], current[c / 2], before: lastSizes[c / 2], behind: next.map { longest >> $0[c / 2][0] })
          })
      }
      analysis.finish(&frame, after: starts.contains(f) ? nil : lastFrame)
      lastFrame = frame
      frames.append(frame)
      lastSizes = current.map { longest >> $0.last! }
      if let next { current = next }
    }
    nextDepths = current
    return frames
  }

  /// Groups of `count` frames: a single frame at the end belongs to the group before it.
  private func groupRanges(_ count: Int) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var first = 0
    while first < count {
      let end = count - first <= groupFrames + 1 ? count : first + groupFrames
      ranges.append(first..<end)
      first = end
    }
    return ranges
  }

  // MARK: Rate

  /// Bytes that the range-coded data of the next `count` frames should take.
  private func target(_ count: Int, isLast: Bool) -> Double {
    guard case .kbps(let kbps) = options.rate else { return 0 }
    let groups = (count + groupFrames - 1) / groupFrames
    let end = isLast ? frames : (nextFrame + count) * geometry.longest
    let perFrame = kbps * 125 / Double(format.sampleRate)
    let wanted = perFrame * Double(end) - Double(file.byteCount(with: groups))
    // What windows before this one took too much or too little is made up for, within bounds.
    let fair = perFrame * Double(count * geometry.longest)
    return max(wanted, isLast ? 1 : 0.5 * fair)
  }

  /// The step index that should give so many bytes, by the coefficients of halved frames: bits are about log2(1 + |c| / step).
  private func guess(_ count: Int, bytes: Double) -> Int {
    var logs: [Float] = []
    for f in stride(from: 0, to: count, by: max(1, count / 32)) {
      for c in pcm.indices {
        let depths = [1, 1], half = geometry.longest / 2
        let values = withSamples(of: f, c..<c + 1) { analysis.coefficients($0[0], depths, before: half, behind: half) }
        logs += analysis.normalised(values, depths)
      }
    }
    let wanted = Float(8 * bytes) * Float(logs.count) / Float(count * geometry.longest * pcm.count)
    return Analysis.stepIndex(of: logs, bits: wanted)
  }

  /// Encodes with the step that makes them take about `target` bytes, or the one that is chosen.
  private func encodeGroups(_ analysed: [AnalysedFrame], target: Double?) throws -> [[UInt8]] {
    func groups(_ index: Int) throws -> [[UInt8]] {
      try groupRanges(analysed.count).map { range in
        try Task.checkCancellation()
        return encoder.encode(analysed[range], stepIndex: index)
      }
    }
    let finest = encoder.finestStep(analysed)
    guard let target else { return try groups(max(stepIndex, finest)) }
    // Bytes fall with the index: the bounds close in on the last index that is still too large, and the first that is not.
    var (low, high) = (finest - 1, 4096)
    var best: (index: Int, bytes: Int, groups: [[UInt8]])?
    var index = max(finest, analysis.stepIndex)
    var slope = -0.006
    var last: (index: Int, bytes: Int)?
    for _ in 0..<10 {
      let made = try groups(index)
      let bytes = made.reduce(0) { $0 + $1.count }
      if best.map({ abs(Double($0.bytes) - target) > abs(Double(bytes) - target) }) ?? true { best = (index, bytes, made) }
      if abs(Double(bytes) - target) < 0.002 * target { break }
      if let last, last.index != index, last.bytes != bytes {
        slope = min(-0.001, max(-0.03, log(Double(bytes) / Double(last.bytes)) / Double(index - last.index)))
      }
      last = (index, bytes)
      if Double(bytes) > target { low = max(low, index) } else { high = min(high, index) }
      guard high - low > 1 else { break }
      let next = index + Int((log(target / Double(max(1, bytes))) / slope).rounded())
      index = max(low + 1, min(high - 1, next))
    }
    stepIndex = best!.index
    return best!.groups
  }
}

extension AudioEncoder.Options {
  var isByRate: Bool {
    if case .kbps = rate { return true }
    return false
  }
}
