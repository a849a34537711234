import Media
import MediaIO
import NeuralCodecs

/// What a codec made of a clip.
package enum CodedClip: Sendable {
  /// A whole file.
  case file([UInt8])
  /// Packets without a container.
  case packets(CodedVideo)

  /// Of a file; of packets with what a decoder needs besides, and without an encoder's signature, which none needs.
  package var byteCount: Int {
    switch self {
    case .file(let bytes): bytes.count
    case .packets(let video): video.byteCount + video.extradata.count - video.signatureBytes
    }
  }
}

extension CodedVideo {
  /// The unit of the first packet in which x264 and x265 tell their version and settings: more than some small clips' frames.
  fileprivate var signatureBytes: Int {
    guard let data = packets.first?.data, ["libx264", "libx265"].contains(encoder) else { return 0 }
    // As H.264, annex B has it: a unit begins with 0, 0, 1 and its kind, of which supplements are 6, of H.265 39.
    let starts = data.indices.dropLast(3).filter { data[$0] == 0 && data[$0 + 1] == 0 && data[$0 + 2] == 1 }
    let isSupplement = { (start: Int) in encoder == "libx264" ? data[start + 3] & 31 == 6 : data[start + 3] >> 1 & 63 == 39 }
    return zip(starts, starts.dropFirst() + [data.count]).reduce(0) { sum, unit in
      isSupplement(unit.0) && data[unit.0..<unit.1].contains(Array("x26".utf8)) ? sum + unit.1 - unit.0 : sum
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
  /// What is run where nothing is said: of ours the best.
  package static let standard = ["hnerv"] + peers
  private static var ours: [String] { VideoEncoder.Codec.allCases.map(\.rawValue) }
  private static let peers = ["x264", "x265", "svtav1"]

  /// Throws `BenchError` for a name that there is not.
  package static func check(_ name: String) throws(BenchError) {
    let all = ours + peers
    if all.contains(name) { return }
    throw BenchError("'\(name)' is no codec of video: there are \(all.joined(separator: ", "))")
  }

  /// One that this machine lacks has `record.missing`. Throws as `check` does.
  package static func named(_ name: String, _ options: OurVideoCodec.Options, version: String) throws(BenchError) -> any VideoBenchCodec {
    try check(name)
    if let codec = VideoEncoder.Codec(rawValue: name) { return OurVideoCodec(codec, options, version) }
    return name == "x264" ? LibAVVideoCodec.x264 : name == "x265" ? LibAVVideoCodec.x265 : LibAVVideoCodec.svtav1
  }
}
