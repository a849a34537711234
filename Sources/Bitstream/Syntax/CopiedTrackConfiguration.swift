/// The configuration of codec 7, sound in packets of another codec:
///
///     codec        text behind a varint length, 1...32 bytes: libavcodec's name
///     rate         varint, 1...768000 Hz
///     channels     varint, 1...255
///     mask         varint, 0 or a WAVE channel mask of as many bits as there are channels
///     bit rate     varint, at most 2^40; 0 not known, as in the next six
///     coded bits   varint, at most 128
///     meant bits   varint, at most 128
///     block        varint, at most 2^24 bytes
///     frame        varint, at most 2^24 samples
///     profile      varint, at most 2^20: libavcodec's number plus 1
///     padding      varint, at most 2^24 samples
///     preroll      varint, at most 2^24 samples
///     language     text behind a varint length, at most 16 bytes
///     header       bytes to the end, at most 2^18
// bitstream-spec 13.1
package struct CopiedTrackConfiguration: BitstreamStructure, Equatable, Sendable {
  package static let maximumRate: UInt32 = 768_000
  package static let maximumHeaderBytes = 1 << 18

  package var codec = ""
  package var sampleRate: UInt32 = 48_000
  package var channels: UInt32 = 1
  package var mask: UInt64 = 0
  package var bitRate: UInt64 = 0
  package var bitsPerCodedSample: UInt32 = 0
  package var bitsPerRawSample: UInt32 = 0
  package var blockAlign: UInt32 = 0
  package var frameSize: UInt32 = 0
  package var profile: UInt32 = 0
  package var initialPadding: UInt32 = 0
  package var seekPreroll: UInt32 = 0
  package var language = ""
  package var header: ArraySlice<UInt8> = []

  package init() {}

  /// The inverse is `serialised()`. Throws `malformed` or `limitExceeded`.
  package init(parsing configuration: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self(), named: "copied track configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.text("codec", &codec, .prefixed(limit: 32))
    try visitor.require(!codec.isEmpty, "codec", "it has no name")
    try visitor.varint("rate", &sampleRate, in: 1...Self.maximumRate, unit: "Hz")
    try visitor.channels(&channels, mask: &mask)
    try visitor.varint("bit rate", &bitRate, in: 0...1 << 40, unit: "bits/s")
    try visitor.varint("coded bits", &bitsPerCodedSample, in: 0...128)
    try visitor.varint("meant bits", &bitsPerRawSample, in: 0...128)
    try visitor.varint("block", &blockAlign, in: 0...1 << 24, unit: "bytes")
    try visitor.varint("frame", &frameSize, in: 0...1 << 24, unit: "samples")
    try visitor.varint("profile", &profile, in: 0...1 << 20)
    try visitor.varint("padding", &initialPadding, in: 0...1 << 24, unit: "samples")
    try visitor.varint("preroll", &seekPreroll, in: 0...1 << 24, unit: "samples")
    try visitor.text("language", &language, .prefixed(limit: 16))
    try visitor.bytes("header", &header, .rest(limit: Self.maximumHeaderBytes))
  }
}
