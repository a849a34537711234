/// The configuration of codec 6, sound as tokens:
///
///     tokens      1 byte: bits 0...2 levels - 1, bit 3 mode, bits 4...7 reserved
///     channels    AudioChannels
///
/// The sample rate is 24000 Hz, and the track's ticks are 1 / 24000 seconds.
// bitstream-spec 12.1
package struct TokenConfiguration: BitstreamStructure, Equatable, Sendable {
  private var higherLevels: UInt8 = 0
  package var mode = TokenMode.hop320
  package var channels = AudioChannels()

  /// 1...8
  package var levels: Int {
    get { Int(higherLevels) + 1 }
    set { higherLevels = UInt8(newValue - 1) }
  }

  package init() {}

  /// The inverse is `serialised()`. Throws `malformed`.
  package init(parsing configuration: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self(), named: "token configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.packed("tokens") { tokens in
      tokens.unsigned("levels - 1", &higherLevels, bits: 3)
      tokens.enumeration("mode", &mode, bits: 1)
    }
    try channels.visitFields(&visitor)
  }
}

/// How far apart frames of tokens are.
package enum TokenMode: UInt8, FieldEnumeration {
  case hop320 = 0
  case hop600 = 1

  package var label: String { "\(hop) samples" }
  /// Samples at 24 kHz.
  package var hop: Int { self == .hop320 ? 320 : 600 }
}

/// What a payload of codec 6 begins with; range-coded data follow to its end:
///
///     flags            1 byte: bit 0 whether it is the last
///     frames           varint, 1...1024
///     samples          varint, only in the last: what its last frame holds of each channel, 1 up to the mode's hop
///     original         varint, of each channel at the original rate; only in the last, and only if there is such a rate
// bitstream-spec 12.2
package struct TokenPayloadHeader: BitstreamStructure, Equatable, Sendable {
  package static let maximumFrames: UInt32 = 1024

  private let mode: TokenMode
  private let hasOriginal: Bool
  package var isLast = false
  package var frames: UInt32 = 1
  package var samples: UInt32 = 1
  package var originalSamples: UInt64 = 0

  package init(mode: TokenMode, hasOriginal: Bool) { (self.mode, self.hasOriginal) = (mode, hasOriginal) }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.packed("flags") { flags in flags.flag("last", &isLast) }
    try visitor.varint("frames", &frames, in: 1...Self.maximumFrames)
    guard isLast else { return }
    try visitor.varint("samples", &samples, in: 1...UInt32(mode.hop))
    if hasOriginal { try visitor.varint("original", &originalSamples, in: 0...1 << 44) }
  }
}
