import Media
import MediaIO

/// A peer that codes through libavcodec, on one thread as far as it can be told. Its times have libswscale's in them, which makes Y'CbCr of
/// 4:2:0 from the frames and frames from that: it is part of coding what ours code as it is.
package struct LibAVVideoCodec: VideoBenchCodec {
  package let record: CodecRecord
  package let isSingleThreaded: Bool
  package let secondsPerMegapixel: Double
  private let encoder: String
  private let options: String
  /// Rate factors at the ends of a curve, the lowest rate's first.
  private let range: (first: Double, last: Double)

  package static let x264 = LibAVVideoCodec("x264", "x264", "libx264", "preset medium", "preset=medium", 46, 18, isSingleThreaded: true, 0.06)
  /// One worker beside the thread of its only frame at a time: it has no mode without threads of its own.
  package static let x265 = LibAVVideoCodec(
    "x265", "x265", "libx265", "preset medium, one worker", #"preset=medium:x265-params=log-level=none\:pools=1\:frame-threads=1"#, 46, 20,
    isSingleThreaded: false, 0.15)
  package static let svtav1 = LibAVVideoCodec(
    "svtav1", "SVT-AV1", "libsvtav1", "preset 8, one logical processor", "preset=8:svtav1-params=lp=1", 63, 25, isSingleThreaded: false, 0.06)

  /// Whether it is there, and which one it is, is seen by coding a little.
  package init(
    _ name: String, _ title: String, _ encoder: String, _ settings: String, _ options: String, _ first: Double, _ last: Double,
    isSingleThreaded: Bool, _ secondsPerMegapixel: Double
  ) {
    (self.encoder, self.options, range) = (encoder, options, (first, last))
    (self.isSingleThreaded, self.secondsPerMegapixel) = (isSingleThreaded, secondsPerMegapixel)
    let found = Result { try Self.version(VideoEncoding(encoder, options: "\(options):crf=\(Int(first))")) }
    var missing: String?
    if case .failure(let error) = found { missing = "\(error)" }
    record = CodecRecord(
      name: name, title: title, family: .peer, version: (try? found.get()) ?? "",
      settings: "\(settings), 4:2:0 by libswscale, crf \(Int(first)) to \(Int(last)); packets without container, decoded on one thread", missing: missing)
  }

  private static func version(_ encoding: VideoEncoding) throws -> String {
    struct Grey: FrameSource {
      let format: VideoFormat
      var left = 2
      var frameCount: Int? { nil }
      mutating func next() throws -> VideoFrame? {
        guard left > 0 else { return nil }
        left -= 1
        return try VideoFrame(width: 64, height: 64, samples: [UInt8](repeating: 128, count: 3 * 64 * 64), time: Int64(2 - left), duration: 1)
      }
    }
    let rate = Rational(exactly: 25, 1)!
    var source = Grey(format: try VideoFormat(width: 64, height: 64, timeBase: rate.reciprocal, frameRate: rate))
    return try CodedVideo(&source, encoding).version
  }

  package func settings(points: Int) -> [BenchSetting] { BenchSetting.spread("crf", from: range.first, to: range.last, points: points) }

  package func encode(_ clip: ClipSource, at setting: BenchSetting, _ control: BenchControl) throws -> CodedClip {
    var source = StoppableSource(clip, control)
    let coded = try CodedVideo(&source, VideoEncoding(encoder, options: "\(options):crf=\(Int(setting.value))"))
    if control.isStopped() { throw CancellationError() }
    return .packets(coded)
  }

  package func decode(_ coded: CodedClip, _ body: (VideoFrame) throws -> Void) throws {
    guard case .packets(let video) = coded else { preconditionFailure("what encode has made") }
    try video.decode(body)
  }
}

/// Frames until the user wants to stop, with how far they have come. The clip ends then, with one frame at least: SVT-AV1 waits for ever where it is
/// let go of without an end.
private struct StoppableSource: FrameSource {
  private var source: ClipSource
  private let control: BenchControl
  private var given = 0

  init(_ source: ClipSource, _ control: BenchControl) { (self.source, self.control) = (source, control) }

  var format: VideoFormat { source.format }
  var frameCount: Int? { source.frameCount }

  mutating func next() throws -> VideoFrame? {
    if given > 0, control.isStopped() { return nil }
    given += 1
    if let count = frameCount { control.progress(Double(given) / Double(count + 1)) }
    return try source.next()
  }
}
