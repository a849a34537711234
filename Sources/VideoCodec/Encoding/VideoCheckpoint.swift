import Bitstream
import Coding
import Media

/// An encoding that was left: the segments that are done, and the state of the one that was being fitted. Of the same build only; not part of the
/// specification.
///
///     magic       8 bytes
///     settings    text behind a varint length: all that the segments depend on
///     done        list of Done
///     isFitting   1 byte
///     sum         u32, CRC-32 of the next segment's frames, if it is being fitted
///     state       bytes to the end, the fit's; none if there is no fit
struct VideoCheckpoint: BitstreamStructure {
  /// A segment that was fitted:
  ///
  ///     sum    u32, CRC-32 of its frames
  ///     data   bytes behind a varint length
  struct Done: BitstreamStructure {
    var sum: UInt32 = 0
    var data: ArraySlice<UInt8> = []

    mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
      try visitor.unsigned("sum", &sum)
      try visitor.bytes("data", &data, .prefixed(limit: 1 << 28))
    }
  }

  private static let magic: [UInt8] = [0x8E] + Array("NCBfit1".utf8)

  var settings = ""
  var done: [Done] = []
  /// Of the segment behind those that are done.
  var fitting: (sum: UInt32, state: ArraySlice<UInt8>)?

  init(settings: String) { self.settings = settings }

  /// The inverse is `serialised()`. Throws `CodecError`: `malformed`, or `invalidOption` where it was made with other settings.
  init(_ bytes: [UInt8], settings: String) throws(CodecError) {
    guard bytes.starts(with: Self.magic) else { throw CodecError(.malformed, "the checkpoint is none: it begins otherwise. Give another file.") }
    do {
      self = try Self.parse(bytes[...], into: Self(settings: ""), named: "checkpoint")
    } catch {
      throw CodecError(.malformed, "the checkpoint is damaged: \(error.description). Remove it to begin anew.")
    }
    guard self.settings == settings else {
      throw CodecError(
        .invalidOption, "the checkpoint is of other settings (\(self.settings), now \(settings)). Give those, or another file.")
    }
  }

  mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    var magic = Self.magic[...]
    try visitor.bytes("magic", &magic, .fixed(Self.magic.count))
    try visitor.text("settings", &settings, .prefixed(limit: 1 << 12))
    try visitor.list("done", &done, limit: 1 << 20, minimumBytes: 5, blank: Done())
    var isFitting: UInt8 = fitting == nil ? 0 : 1
    try visitor.unsigned("is fitting", &isFitting, in: 0...1)
    guard isFitting == 1 else { return fitting = nil }
    var (sum, state) = fitting ?? (0, [])
    try visitor.unsigned("sum", &sum)
    try visitor.bytes("state", &state, .rest(limit: 1 << 32))
    fitting = (sum, state)
  }

  /// Of samples and times.
  static func sum(of frames: [VideoFrame]) -> UInt32 {
    frames.reduce(UInt32(0)) { sum, frame in
      let times = [frame.time, frame.duration].flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * Int64($0))) } }
      return Checksum.crc32(frame.samples[...], seed: Checksum.crc32(times[...], seed: sum))
    }
  }
}
