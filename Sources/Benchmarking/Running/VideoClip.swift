import Glibc
import Media
import MediaIO
import Synchronization

/// Which frames of each file are measured, and which part of them.
package struct VideoCut: Sendable {
  /// Seconds.
  package var start = 0.0
  /// Seconds from `start`; nil: to the end.
  package var duration: Double?
  /// The first so many of those; nil: all.
  package var frames: Int?
  /// Pixels that frames are scaled to; nil: as they are.
  package var size: (width: Int, height: Int)?
  /// Pixels of their middle that are kept, after scaling; nil: all.
  package var crop: (width: Int, height: Int)?

  package init() {}
}

/// A file's frames as every codec gets them: R'G'B' of 8 bits, in memory where there is room, or else read from the file each time.
package struct VideoClip: Sendable {
  /// Samples that are kept in memory, in bytes.
  package static let room = 1 << 30

  package let format: VideoFormat
  package let frameCount: Int
  /// Of the frames, their size and rate: 64 hexadecimal digits.
  package let digest: String
  private let path: String
  private let cut: VideoCut
  /// Nil where they do not fit.
  private let frames: [VideoFrame]?

  /// Reads the whole clip once. Throws `MediaIOError`, and `BenchError` for frames smaller than `cut.crop`.
  package init(_ path: String, _ cut: VideoCut, room: Int = VideoClip.room) throws {
    var source = try ClipReader(path, cut)
    (self.path, self.cut, format) = (path, cut, source.format)
    var (count, kept): (Int, [VideoFrame]?) = (0, [])
    var digests = "\(format.width)x\(format.height) \(format.frameRate?.description ?? "")"
    while let frame = try source.next() {
      count += 1
      digests += sha256(frame.samples)
      if count * frame.samples.count <= room { kept?.append(frame) } else { kept = nil }
    }
    guard count > 0 else { throw BenchError("there are no frames in that stretch of it") }
    (frameCount, frames, digest) = (count, kept, sha256(Array(digests.utf8)))
  }

  /// Millions of pixels, of all frames together.
  package var megapixels: Double { Double(format.width * format.height) * Double(frameCount) / 1e6 }
  package var isInMemory: Bool { frames != nil }

  /// The frames, to be walked once. What it takes to read a file again goes to `pauses`.
  package func source(_ pauses: Pauses = Pauses()) throws -> ClipSource {
    try ClipSource(format: format, count: frameCount, frames: frames ?? [], reader: frames == nil ? ClipReader(path, cut) : nil, pauses: pauses)
  }
}

/// A clip's frames, from memory or from its file.
package struct ClipSource: FrameSource {
  package let format: VideoFormat
  package var frameCount: Int? { count }
  private let count: Int
  private var left: ArraySlice<VideoFrame>
  private var reader: ClipReader?
  private let pauses: Pauses

  fileprivate init(format: VideoFormat, count: Int, frames: [VideoFrame], reader: ClipReader?, pauses: Pauses) {
    (self.format, self.count, left, self.reader, self.pauses) = (format, count, frames[...], reader, pauses)
  }

  package mutating func next() throws -> VideoFrame? {
    reader == nil ? left.popFirst() : try pauses.during { try reader?.next() }
  }
}

/// Reads a file's frames and cuts them.
private struct ClipReader: FrameSource {
  let format: VideoFormat
  var frameCount: Int? { nil }
  private let reader: VideoReader
  private let cut: VideoCut

  init(_ path: String, _ cut: VideoCut) throws {
    var options = VideoReader.Options()
    (options.start, options.duration, options.size) = (cut.start, cut.duration, cut.size)
    reader = try VideoReader(path, options: options)
    self.cut = cut
    let whole = reader.format
    guard let (width, height) = cut.crop else {
      format = whole
      return
    }
    guard width <= whole.width, height <= whole.height else {
      throw BenchError("its frames of \(whole.width)x\(whole.height) are smaller than the \(width)x\(height) that are to be cut from them")
    }
    format = try VideoFormat(
      width: width, height: height, timeBase: whole.timeBase, frameRate: whole.frameRate, sampleAspectRatio: whole.sampleAspectRatio,
      rotation: whole.rotation, colour: whole.colour, sourceBitDepth: whole.sourceBitDepth)
  }

  mutating func next() throws -> VideoFrame? {
    guard reader.frames < cut.frames ?? .max, let frame = try reader.next() else { return nil }
    return frame.middle(width: format.width, height: format.height)
  }
}

extension VideoFrame {
  /// The middle of the frame, of a size that is not larger; where the rest is odd, the left and upper margin is the smaller one.
  package func middle(width w: Int, height h: Int) -> VideoFrame {
    precondition(w <= width && h <= height, "a part of the frame")
    if w == width, h == height { return self }
    let first = (height - h) / 2 * width + (width - w) / 2
    // Sides that are not larger are in range; a side of 0 is a mistake.
    return try! VideoFrame(width: w, height: h, time: time, duration: duration) { to in
      withUnsafeSamples { from in
        for c in 0..<3 {
          for y in 0..<h {
            memcpy(to.baseAddress! + (c * h + y) * w, from.baseAddress! + c * pixelCount + first + y * width, w)
          }
        }
      }
    }
  }
}

/// The clip that was asked for last, so that its frames are read once for all codecs.
final class ClipCache: Sendable {
  private let cut: VideoCut
  private let kept = Mutex<(path: String, clip: VideoClip)?>(nil)

  init(_ cut: VideoCut) { self.cut = cut }

  func take(_ path: String) throws -> VideoClip {
    if let (found, clip) = kept.withLock({ $0 }), found == path { return clip }
    // Two threads may read the same; better than to wait for each other.
    let clip = try VideoClip(path, cut)
    kept.withLock { $0 = (path, clip) }
    return clip
  }
}
