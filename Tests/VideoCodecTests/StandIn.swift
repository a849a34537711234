import Bitstream
import Coding
import Media
import Synchronization
import VideoCodec

/// Fits that are none: a segment's data are how many steps it has had, and its samples, of which each step shows one bit more.
final class StandInFit: SegmentFitting {
  static let iterations = 8
  private let frames: [VideoFrame]
  private(set) var iteration: Int

  init(_ frames: [VideoFrame], iteration: Int = 0) { (self.frames, self.iteration) = (frames, iteration) }

  var iterations: Int { Self.iterations }
  var psnr: Double? { iteration == 0 ? nil : Double(iteration) * 6 }
  var estimatedBits: Double? { iteration == 0 ? nil : Double(8 * bytes.count) }

  func step(threads: Int) { iteration += 1 }
  func finish(threads: Int) -> [UInt8] { bytes }
  func checkpoint() -> [UInt8] { [UInt8(iteration)] }

  private var bytes: [UInt8] {
    let mask = UInt8(truncatingIfNeeded: 0xFF00 >> iteration)
    return [UInt8(iteration)] + frames.flatMap { $0.samples.map { $0 & mask } }
  }
}

final class StandInDecoder: SegmentDecoding {
  private let data: ArraySlice<UInt8>
  private let shape: SegmentShape
  private let count: Int
  private let note: (Range<Int>) -> Void

  init(_ data: ArraySlice<UInt8>, _ shape: SegmentShape, note: @escaping (Range<Int>) -> Void) throws {
    count = 3 * shape.width * shape.height
    guard data.count == 1 + shape.frames * count else { throw CodecError.standIn }
    (self.data, self.shape, self.note) = (data.dropFirst(), shape, note)
  }

  func samples(of frames: Range<Int>, threads: Int) -> [[UInt8]] {
    precondition(frames.lowerBound >= 0 && frames.upperBound <= shape.frames && !frames.isEmpty && frames.count <= threads)
    note(frames)
    return frames.map { Array(data.dropFirst($0 * count).prefix(count)) }
  }
}

extension CodecError {
  /// Of what the stand-in cannot read.
  static let standIn = CodecError(.malformed, "no data of the stand-in's")
}

/// What was asked of stand-ins.
final class StandIn: Sendable {
  let started = Mutex<[Int]>([])
  /// `[frames]` of a segment that were decoded together.
  let decoded = Mutex<[Range<Int>]>([])

  var open: SegmentOpener {
    { data, shape in try StandInDecoder(data, shape) { range in self.decoded.withLock { $0.append(range) } } }
  }

  var fits: SegmentFits {
    SegmentFits(
      start: { frames, _ in
        self.started.withLock { $0.append(frames.count) }
        return StandInFit(frames)
      },
      resume: { frames, _, state in
        guard state.count == 1, let iteration = state.first else { throw CodecError.standIn }
        return StandInFit(frames, iteration: Int(iteration))
      }, open: open)
  }
}

/// A video of formulas.
struct Clip {
  var format: VideoFormat
  var frames: [VideoFrame]

  init(_ width: Int = 16, _ height: Int = 12, durations: [Int64], start: Int64 = 0, timeBase: Rational = Rational(exactly: 1, 600)!) throws {
    format = try VideoFormat(width: width, height: height, timeBase: timeBase)
    var time = start
    frames = try durations.enumerated().map { number, duration in
      defer { time += duration }
      return try VideoFrame(width: width, height: height, time: time, duration: duration) { samples in
        for i in samples.indices { samples[i] = UInt8(truncatingIfNeeded: i &* 7 &+ number &* 31) }
      }
    }
  }

  /// A file of it.
  func encoded(_ options: VideoEncoder.Options = .init(), _ standIn: StandIn = StandIn()) throws -> (bytes: [UInt8], encoded: EncodedVideo) {
    var bytes: [UInt8] = []
    let encoder = try VideoEncoder(format: format, options: options, fits: standIn.fits) { bytes += $0 }
    for frame in frames { try encoder.append(frame) }
    let encoded = try encoder.finish()
    return (bytes, encoded)
  }
}

extension VideoDecoder {
  /// In memory.
  convenience init(_ bytes: [UInt8], _ standIn: StandIn, threads: Int = 1) throws {
    var options = Options()
    options.threads = threads
    try self.init(MemorySource(bytes), options: options, open: standIn.open)
  }

  /// Read front to back, some bytes at a time.
  convenience init(stream bytes: [UInt8], _ standIn: StandIn, threads: Int = 1, piece: Int = 1000) throws {
    var options = Options()
    options.threads = threads
    var rest = bytes[...]
    try self.init(options: options, open: standIn.open) { count in
      let some = Array(rest.prefix(min(count, piece)))
      rest = rest.dropFirst(some.count)
      return some
    }
  }

  func all() throws -> [VideoFrame] {
    var frames: [VideoFrame] = []
    while let frame = try next() { frames.append(frame) }
    return frames
  }
}
