import Bitstream

/// Puts `.ncb` files together chunk by chunk, right or wrong, with checksums that match.
enum NCBBytes {
  static func varint(_ value: Int) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F | 0x80)] + varint(value >> 7)
  }

  /// bitstream-spec 2.1, 2.2
  static func file(major: UInt8 = 1, _ chunks: [(type: Character, payload: [UInt8])]) -> [UInt8] {
    var file: [UInt8] = [0x8E, 0x4E, 0x43, 0x42, 0x0D, 0x0A, 0x1A, 0x0A, major, 0]
    var crc = Checksum.crc32(file)
    for chunk in chunks {
      let bytes = [chunk.type.asciiValue!] + varint(chunk.payload.count) + chunk.payload
      crc = Checksum.crc32(bytes, seed: crc)
      file += bytes + (0..<4).map { UInt8(truncatingIfNeeded: crc >> (8 * $0)) }
    }
    return file
  }

  /// The track chunk of a picture in RGB. bitstream-spec 3.1, 4.5
  static func track(
    codec: Int = 1, model: Int = 1, width: Int = 8, height: Int = 8
  ) -> (type: Character, payload: [UInt8]) {
    ("T", [0] + varint(codec) + varint(model) + varint(width) + varint(height) + [1, 50])
  }

  static let payload: (type: Character, payload: [UInt8]) = ("P", [UInt8](repeating: 0x55, count: 30))
  static let end: (type: Character, payload: [UInt8]) = ("E", [])
}
