import AudioCodec
import Bitstream
import Coding
public import Media

/// What an `.ncb` file says of the video in it. Nothing is decoded; checksums are checked.
public struct VideoFile: Sendable {
  /// Payloads that decode on their own.
  public struct Segment: Sendable, Equatable {
    /// Numbers of its frames.
    public let frames: Range<Int>
    /// Of its data.
    public let byteCount: Int
    /// Of these, the network's weights, and the embeddings; 0 of what is not there.
    public let weightBytes, embeddingBytes: Int
    /// Frames of a group, each of which has weights of its own; nil where all have one network.
    public let groupFrames: Int?
  }

  public let format: VideoFormat
  /// What made it: "hnerv", "nerv", "nervpp" or "nirvana".
  public let codec: String
  public let frames: Int
  /// When the last frame ends, in ticks of the format.
  public let end: Int64
  public let segments: [Segment]
  /// Sound that was copied.
  public let soundTracks: [CopiedTrack]
  /// Sound that was coded anew; how many frames it has is known to a decoder alone.
  public let codedSound: [CodedSoundTrack]
  public let byteCount: Int
  /// Of the payloads of video, and of each sound track of both kinds, their chunks' framing aside.
  public let videoBytes: Int
  public let soundBytes: [Int]
  public let codedSoundBytes: [Int]

  /// Seconds, from time 0.
  public var duration: Double { Double(end) * format.timeBase.value }
  /// Of the file without its sound.
  public var bitsPerPixel: Double {
    Double(8 * (byteCount - soundBytes.reduce(0, +) - codedSoundBytes.reduce(0, +))) / (Double(frames) * Double(format.width * format.height))
  }

  /// Whether the bytes are a file with video: decides by its track chunks, and by nothing behind them.
  public static func isOne(_ bytes: [UInt8]) -> Bool { isOne(MemorySource(bytes)) }

  package static func isOne(_ source: some ByteSource) -> Bool {
    let reader = try? ContainerReader(source, limits: ContainerLimits(), checksums: .onDemand, navigation: .index)
    return reader?.tracks.contains { $0.modality == .video } ?? false
  }

  /// Throws `CodecError` for what is no readable `.ncb` file with video.
  public init(reading bytes: [UInt8]) throws { try self.init(reading: MemorySource(bytes)) }

  /// Of a file on disk, chunk by chunk.
  package init(reading source: some ByteSource) throws {
    let parts = try CodecError.explainingVideo { try VideoParts(source, checksums: .whenOpening) }
    (format, codec, soundTracks) = (parts.format, parts.family.label, parts.soundTracks)
    byteCount = source.byteCount
    var (segments, end): ([Segment], Int64) = ([], 0)
    while let part = try CodecError.explainingVideo({ try parts.next() }) {
      guard case .segment(let segment) = part, let last = segment.times.last else { continue }
      var fields = FieldReader(segment.data, named: "segment")
      let syntax = try? fields.read(SegmentSyntax())
      segments.append(
        Segment(
          frames: segment.first..<segment.end, byteCount: segment.data.count, weightBytes: syntax?.weights.count ?? 0,
          embeddingBytes: syntax?.embeddings.count ?? 0, groupFrames: syntax?.network.groupFrames.map { Int($0) }))
      end = last.time + last.duration
    }
    (videoBytes, soundBytes, codedSoundBytes) = (parts.videoBytes, parts.soundBytes, parts.codedBytes)
    codedSound = try parts.codedTracks.map { CodedSoundTrack(try AudioDecoder($0)) }
    (self.segments, self.end, frames) = (segments, end, segments.last?.frames.upperBound ?? 0)
  }
}
