/// `type` (1 byte, an ASCII letter), `length` (varint, bytes of the chunk's payload). The payload and a CRC-32 of 4
/// bytes follow.
// bitstream-spec 2.2
package struct ChunkHeader: BitstreamStructure, Equatable, Sendable {
  package static let maximumByteCount = 1 + Varint.maximumByteCount
  package static let checksumByteCount = 4

  package var type: ChunkType
  package var length: UInt64

  package init(type: ChunkType = .end, length: UInt64 = 0) {
    self.type = type
    self.length = length
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    let start = visitor.offset
    try visitor.unsigned("type", &type.rawValue)
    guard type.isLetter else {
      throw visitor.rejection(in: "type", at: start, "\(type) is no chunk type, which is an ASCII letter")
    }
    try visitor.varint("length", &length, unit: "bytes")
  }
}

/// What a chunk holds. Capital letters are critical: a reader that does not know them shall not go on. Small letters
/// are optional: a reader that does not know them skips them.
package struct ChunkType: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  package var rawValue: UInt8

  package init(rawValue: UInt8) { self.rawValue = rawValue }
  private init(_ letter: Unicode.Scalar) { rawValue = UInt8(ascii: letter) }

  package static let track = ChunkType("T")
  package static let payload = ChunkType("P")
  package static let end = ChunkType("E")
  package static let index = ChunkType("i")
  package static let colourProfile = ChunkType("c")
  package static let gamma = ChunkType("g")
  package static let exif = ChunkType("x")
  package static let text = ChunkType("t")
  package static let levels = ChunkType("l")

  package var isLetter: Bool { (0x41...0x5A).contains(rawValue & 0xDF) && rawValue < 0x80 }
  package var isCritical: Bool { rawValue & 0x20 == 0 }

  /// The known types stand in this order in a file; nil for unknown types, which stand anywhere after the tracks begin.
  // bitstream-spec 2.3
  package var rank: Int? {
    switch self {
    case .track: 0
    case .colourProfile, .gamma, .exif, .text, .levels: 1
    case .payload: 2
    case .index: 3
    case .end: 4
    default: nil
    }
  }

  package var name: String {
    switch self {
    case .track: "track"
    case .payload: "payload"
    case .end: "end"
    case .index: "index"
    case .colourProfile: "colour profile"
    case .gamma: "gamma"
    case .exif: "EXIF"
    case .text: "text"
    case .levels: "levels"
    default: "unknown chunk \(self)"
    }
  }

  /// `'T'`, or `0x00` for what is no letter.
  package var description: String {
    isLetter ? "'\(Unicode.Scalar(rawValue))'" : "0x" + JSONText.hex([rawValue])
  }
}
