/// One picture of a video, with its time. A value type: copies share storage until one of them is written to.
public struct VideoFrame: Sendable, Hashable {
  /// Pixels, 1...65535.
  public let width: Int
  public let height: Int
  /// `[3, height, width]`: a plane each of R, G and B, rows from the top, no padding.
  public private(set) var samples: [UInt8]
  /// When it is shown first, and how long, in ticks of the video's time base; `duration` is at least 1 where a source gives the frame.
  public var time: Int64
  public var duration: Int64

  /// Throws `ImageError`: a side outside 1...65535, or samples that are not 3 * width * height.
  public init(width: Int, height: Int, samples: [UInt8], time: Int64, duration: Int64) throws(ImageError) {
    try Image.checkSize(width: width, height: height)
    guard samples.count == 3 * width * height else {
      throw ImageError(.sampleCount, at: "samples", "\(samples.count) samples for 3x\(height)x\(width)")
    }
    (self.width, self.height, self.samples, self.time, self.duration) = (width, height, samples, time, duration)
  }

  /// Makes a frame by writing all of its samples `[3, height, width]`, which hold nothing before. Throws `ImageError` (size).
  public init(
    width: Int, height: Int, time: Int64, duration: Int64, initializingWith body: (UnsafeMutableBufferPointer<UInt8>) -> Void
  ) throws(ImageError) {
    try Image.checkSize(width: width, height: height)
    let count = 3 * width * height
    samples = [UInt8](unsafeUninitializedCapacity: count) { memory, filled in
      body(UnsafeMutableBufferPointer(start: memory.baseAddress, count: count))
      filled = count
    }
    (self.width, self.height, self.time, self.duration) = (width, height, time, duration)
  }

  public var pixelCount: Int { width * height }

  /// Calls `body` with the samples `[3, height, width]`; the buffer must not escape.
  public func withUnsafeSamples<R>(_ body: (UnsafeBufferPointer<UInt8>) throws -> R) rethrows -> R {
    try samples.withUnsafeBufferPointer(body)
  }

  /// Calls `body` with writable samples; copies them first if another frame shares them.
  public mutating func withUnsafeMutableSamples<R>(_ body: (UnsafeMutableBufferPointer<UInt8>) throws -> R) rethrows -> R {
    try samples.withUnsafeMutableBufferPointer { try body($0) }
  }
}

extension VideoFrame {
  /// A still picture as a frame: grey as equal R, G and B, colours as stored where there is alpha, which is dropped. The inverse, but for
  /// metadata, is `image`.
  public init(_ image: Image, time: Int64, duration: Int64) {
    let (plane, channels) = (image.pixelCount, image.channels)
    // An Image's sides are in range.
    try! self.init(width: image.width, height: image.height, time: time, duration: duration) { to in
      image.withUnsafeSamples { from in
        for c in 0..<3 {
          let (out, first) = (to.baseAddress! + c * plane, channels == 3 ? c : 0)
          for i in 0..<plane { out[i] = from[i * channels + first] }
        }
      }
    }
  }

  /// The frame as a picture of R, G and B.
  public var image: Image {
    let plane = pixelCount
    // A frame's sides are in range.
    return try! Image(width: width, height: height, colour: .rgb) { to, _ in
      withUnsafeSamples { from in
        for c in 0..<3 { for i in 0..<plane { to[3 * i + c] = from[c * plane + i] } }
      }
    }
  }

  /// Turned clockwise.
  public func turned(_ rotation: Rotation) -> VideoFrame {
    if rotation == .none { return self }
    let (w, h) = rotation.isSideways ? (height, width) : (width, height)
    let plane = pixelCount
    // Where output (x, y) comes from is origin + x * stepX + y * stepY in the plane.
    let (origin, stepX, stepY) =
      switch rotation {
      case .none: (0, 1, width)
      case .quarter: (plane - width, -width, 1)
      case .half: (plane - 1, -1, -width)
      case .threeQuarters: (width - 1, width, -1)
      }
    return try! VideoFrame(width: w, height: h, time: time, duration: duration) { to in
      withUnsafeSamples { from in
        for c in 0..<3 {
          for y in 0..<h {
            let out = to.baseAddress! + c * plane + y * w
            let start = c * plane + origin + y * stepY
            for x in 0..<w { out[x] = from[start + x * stepX] }
          }
        }
      }
    }
  }
}

/// Where frames come from: in the order in which they are shown, their times strictly ascending.
public protocol FrameSource {
  var format: VideoFormat { get }
  /// How many frames there will be; nil where that is not known. Files may be wrong about it, so it is for progress only.
  var frameCount: Int? { get }
  /// The next frame, of the format's width and height; nil at the end, and ever after.
  mutating func next() throws -> VideoFrame?
}

extension FrameSource {
  /// The frames that are left, as a sequence for `for try await`, which ends with `CancellationError` where the task is cancelled.
  public var sequence: FrameSequence<Self> { FrameSequence(source: self) }
}

/// The frames of a source, one at a time; none is read before it is asked for. To be walked once.
public struct FrameSequence<Source: FrameSource>: AsyncSequence {
  public typealias Element = VideoFrame
  let source: Source

  public struct Iterator: AsyncIteratorProtocol {
    var source: Source

    public mutating func next() async throws -> VideoFrame? {
      try Task.checkCancellation()
      return try source.next()
    }
  }

  public func makeAsyncIterator() -> Iterator { Iterator(source: source) }
}

/// Where frames go.
public protocol FrameSink {
  /// What is known at the end.
  associatedtype Outcome
  /// Takes the next frame, which begins after the one before.
  mutating func append(_ frame: VideoFrame) throws
  /// Ends what was written; nothing can be appended after it. Without it, nothing is left behind.
  @discardableResult mutating func finish() throws -> Outcome
}
