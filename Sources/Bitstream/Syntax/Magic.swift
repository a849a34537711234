/// The first eight bytes of every file: `8E 'N' 'C' 'B' CR LF ^Z LF`.
///
/// The first byte is not ASCII, so that a 7-bit transfer shows; CR LF and LF show converted line endings; ^Z stops
/// programs that would print the file as text.
// bitstream-spec 2.1
package enum Magic {
  package static let bytes: [UInt8] = [0x8E, 0x4E, 0x43, 0x42, 0x0D, 0x0A, 0x1A, 0x0A]

  /// Throws `badMagic` or `truncated` unless `start`, the first 16 bytes of a file or all that there are, begins with
  /// the magic.
  package static func check(_ start: ArraySlice<UInt8>) throws(BitstreamError) {
    if start.starts(with: bytes) { return }
    guard !start.isEmpty else { throw BitstreamError(.truncated, at: 0, in: "magic", "the file is empty") }
    if start.count < 6, bytes.starts(with: start) {
      throw BitstreamError(.truncated, at: start.count, in: "magic", "the file has only \(start.count) bytes")
    }
    let damage = MagicDamage(start)
    var reason = damage.reason
    if damage == .notNCB, let format = foreignFormat(start) { reason = "the file looks like \(format)" }
    throw BitstreamError(.badMagic(damage), at: 0, in: "magic", reason)
  }

  private static func foreignFormat(_ start: ArraySlice<UInt8>) -> String? {
    let known: [(String, [UInt8])] = [
      ("a PNG picture", [0x89, 0x50, 0x4E, 0x47]),
      ("a JPEG picture", [0xFF, 0xD8, 0xFF]),
      ("a GIF picture", Array("GIF8".utf8)),
      ("a WebP, WAV or AVI file", Array("RIFF".utf8)),
      ("a TIFF picture", [0x49, 0x49, 0x2A, 0x00]),
      ("a TIFF picture", [0x4D, 0x4D, 0x00, 0x2A]),
      ("a BMP picture", Array("BM".utf8)),
      ("a Matroska or WebM file", [0x1A, 0x45, 0xDF, 0xA3]),
      ("a gzip file", [0x1F, 0x8B]),
      ("a zip archive", [0x50, 0x4B, 0x03, 0x04]),
    ]
    if let format = known.first(where: { start.starts(with: $0.1) }) { return format.0 }
    if start.dropFirst(4).starts(with: Array("ftyp".utf8)) { return "an MP4, AVIF or HEIF file" }
    return nil
  }
}

/// What happened to the first bytes of a file that is no readable `.ncb` file.
package enum MagicDamage: Hashable, Sendable, CaseIterable {
  case notNCB
  /// CR LF became LF or CR, or LF became CR LF or CR, or the like.
  case lineEndingsConverted
  case highBitStripped
  /// Bytes above 127 were taken for characters and written in another encoding, or a byte order mark was added.
  case reencodedAsText
  case cutAtControlZ

  init(_ start: ArraySlice<UInt8>) {
    let letters = Magic.bytes[1..<4]
    let ending = Magic.bytes[4...]
    if start.first == Magic.bytes[0], start.dropFirst().starts(with: letters) {
      let rest = start.dropFirst(4)
      if rest.elementsEqual(ending.prefix(2)) || rest.elementsEqual(ending.prefix(3)) {
        self = .cutAtControlZ
      } else if Self.convertedEndings.contains(where: { rest.starts(with: $0) }) {
        self = .lineEndingsConverted
      } else {
        self = .notNCB
      }
    } else if start.first == Magic.bytes[0] & 0x7F, start.dropFirst().starts(with: letters) {
      self = .highBitStripped
    } else if Self.reencodedFirstByte.contains(where: { start.starts(with: $0 + letters) })
      || start.starts(with: [0xEF, 0xBB, 0xBF] + Magic.bytes.prefix(4))
    {
      self = .reencodedAsText
    } else {
      self = .notNCB
    }
  }

  var reason: String {
    switch self {
    case .notNCB: "the file does not start with the bytes of an .ncb file"
    case .lineEndingsConverted: "line endings were converted, as if the file were text"
    case .highBitStripped: "the top bit of each byte was stripped, as if the file were 7-bit text"
    case .reencodedAsText: "the file was re-encoded, as if it were text"
    case .cutAtControlZ: "the file was cut at its ^Z byte, as if it were text"
    }
  }

  /// What CR LF ^Z LF becomes.
  private static let convertedEndings: [[UInt8]] = [
    [0x0A, 0x1A, 0x0A],  // CR LF to LF
    [0x0D, 0x1A, 0x0D],  // any ending to CR
    [0x0D, 0x0A, 0x1A, 0x0D, 0x0A],  // lone LF to CR LF
    [0x0D, 0x0D, 0x0A, 0x1A, 0x0D, 0x0A],  // each LF to CR LF
    [0x0D, 0x0A, 0x0D, 0x0A, 0x1A, 0x0D, 0x0A],  // each CR and each LF to CR LF
    [0x0A, 0x0A, 0x1A, 0x0A],  // CR to LF
    [0x0D, 0x0D, 0x1A, 0x0D],  // LF to CR
    [0x0A, 0x0D, 0x1A, 0x0D],  // CR and LF swapped
  ]

  /// The first byte, 8E, taken for Latin-1, for Windows-1252, for Mac Roman and for a broken UTF-8 sequence.
  private static let reencodedFirstByte: [[UInt8]] = [[0xC2, 0x8E], [0xC5, 0xBD], [0xC3, 0xA9], [0xEF, 0xBF, 0xBD]]
}
