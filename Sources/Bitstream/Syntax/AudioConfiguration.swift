/// What a sound has and where it comes from, in the configurations of codecs 5 and 6:
///
///     channels    varint, 1...255
///     mask        varint, 0 or a WAVE channel mask of as many bits as there are channels
///     original    varint, 0 or 1...768000 Hz: the rate before the sound was resampled
// bitstream-spec 11.1
package struct AudioChannels: BitstreamStructure, Equatable, Sendable {
  package static let maximumOriginalRate: UInt32 = 768_000

  package var count: UInt32 = 1
  package var mask: UInt64 = 0
  /// 0 for the rate itself.
  package var originalRate: UInt32 = 0

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.channels(&count, mask: &mask)
    try visitor.varint("original rate", &originalRate, in: 0...Self.maximumOriginalRate, unit: "Hz")
  }
}

extension FieldVisitor {
  /// How many channels sound has, and a WAVE channel mask of as many bits, or 0.
  mutating func channels(_ count: inout UInt32, mask: inout UInt64) throws(BitstreamError) {
    try varint("channels", &count, in: 1...255)
    try varint("mask", &mask)
    try require(mask == 0 || mask.nonzeroBitCount == Int(count), "mask", "it names \(mask.nonzeroBitCount) of \(count) channels")
  }
}

/// The configuration of codec 5, sound by a transform:
///
///     rate        varint, 1...48000 Hz
///     channels    AudioChannels
///
/// The track's ticks are 1 / rate seconds.
// bitstream-spec 11.1
package struct AudioConfiguration: BitstreamStructure, Equatable, Sendable {
  package static let maximumRate: UInt32 = 48_000

  package var sampleRate: UInt32 = 48_000
  package var channels = AudioChannels()

  package init() {}

  /// The inverse is `serialised()`. Throws `malformed`.
  package init(parsing configuration: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self(), named: "audio configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("rate", &sampleRate, in: 1...Self.maximumRate, unit: "Hz")
    try channels.visitFields(&visitor)
  }
}

/// What a payload of codec 5 begins with; range-coded data follow to its end:
///
///     flags            1 byte: bit 0 whether it is the last
///     frames           1 byte, 1...64
///     samples          varint, of each channel, only in the last: 1 up to what the frames hold
///     original         varint, of each channel at the original rate; only in the last, and only if there is such a rate
// bitstream-spec 11.3
package struct AudioPayloadHeader: BitstreamStructure, Equatable, Sendable {
  package static let maximumFrames: UInt8 = 64
  package static let maximumByteCount = 2 + 2 * Varint.maximumByteCount

  private let hasOriginal: Bool
  package var isLast = false
  package var frames: UInt8 = 1
  package var samples: UInt64 = 0
  package var originalSamples: UInt64 = 0

  package init(hasOriginal: Bool) { self.hasOriginal = hasOriginal }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.packed("flags") { flags in flags.flag("last", &isLast) }
    try visitor.unsigned("frames", &frames, in: 1...Self.maximumFrames)
    guard isLast else { return }
    try visitor.varint("samples", &samples, in: 1...1 << 40)
    if hasOriginal { try visitor.varint("original", &originalSamples, in: 0...1 << 44) }
  }
}
