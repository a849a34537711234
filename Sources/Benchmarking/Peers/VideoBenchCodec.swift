import Media
import MediaIO
import NeuralCodecs

/// What a codec made of a clip.
package enum CodedClip: Sendable {
  /// A whole file.
  case file([UInt8])
  /// Packets without a container.
  case packets(CodedVideo)

  /// Of a file; of packets with what a decoder needs besides.
  package var byteCount: Int {
    switch self {
    case .file(let bytes): bytes.count
    case .packets(let video): video.byteCount + video.extradata.count
    }
  }
}

/// A codec of video at several settings, from R'G'B' frames in memory to bytes and back.
package protocol VideoBenchCodec: Sendable {
  /// With `missing`, nothing else is asked of it.
  var record: CodecRecord { get }
  /// Whether it keeps to the calling thread, so that several may run at once. Others run alone, and the whole process's time is theirs.
  var isSingleThreaded: Bool { get }
  /// A guess at encoding and decoding, in seconds per megapixel of all frames together, until some were measured.
  var secondsPerMegapixel: Double { get }

  /// The settings of a curve with that many points, from the lowest rate up.
  func settings(points: Int) -> [BenchSetting]
  /// Throws `CancellationError` where `control` says to stop.
  func encode(_ clip: ClipSource, at setting: BenchSetting, _ control: BenchControl) throws -> CodedClip
  /// Gives the frames in the order in which they are shown.
  func decode(_ coded: CodedClip, _ body: (VideoFrame) throws -> Void) throws
}

/// The codecs of video that a benchmark can be told to run.
package enum VideoBenchCodecs {
  package static var standard: [String] { ours + peers }
  private static var ours: [String] { VideoEncoder.Codec.allCases.filter(\.isAvailable).map(\.rawValue) }
  private static let peers = ["x264", "x265", "svtav1"]

  /// Throws `BenchError` for a name that there is not, or not yet.
  package static func check(_ name: String) throws(BenchError) {
    if standard.contains(name) { return }
    let there = "there are \(standard.joined(separator: ", "))"
    throw BenchError(VideoEncoder.Codec(rawValue: name) == nil ? "'\(name)' is no codec of video: \(there)" : "there is no \(name) yet: \(there)")
  }

  /// One that this machine lacks has `record.missing`. Throws as `check` does.
  package static func named(_ name: String, _ options: OurVideoCodec.Options, version: String) throws(BenchError) -> any VideoBenchCodec {
    try check(name)
    if let codec = VideoEncoder.Codec(rawValue: name) { return OurVideoCodec(codec, options, version) }
    return name == "x264" ? LibAVVideoCodec.x264 : name == "x265" ? LibAVVideoCodec.x265 : LibAVVideoCodec.svtav1
  }
}
