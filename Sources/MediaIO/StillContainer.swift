import Media

/// What a still's container says around its pixels, which libav does not hand on: raw EXIF, the profile, the size
/// before anything is decoded, and whether the file is whole.
struct StillContainer {
  var exif: [UInt8]?
  var iccProfile: [UInt8]?
  var notices: [String] = []
  /// Whether decoded alpha is meant; containers may have an alpha channel that is only padding.
  var usesAlpha = true
  /// TIFF's associated alpha: colours are already multiplied by it.
  var isPremultiplied = false
  /// What libav should see in the file's place.
  var bytesToDecode: [UInt8]?

  /// Throws `MediaIOError`: `truncated`, `damaged`, `tooLarge`, `unsupported`.
  init(_ bytes: [UInt8], format: ImageFormat, limits: ImageLimits) throws(MediaIOError) {
    switch format {
    case .jpeg: try readJPEG(bytes, limits)
    case .webp: try readWebP(bytes, limits)
    case .tiff: try readTIFF(bytes, limits)
    case .bmp: try readBMP(bytes, limits)
    case .png, .qoi, .pnm: break
    }
  }

  // file = SOI segment* EOI; segment = FF+ marker [length(2) payload]; after SOS, entropy-coded bytes in which FF is
  // followed by 00 or RSTn (ITU-T T.81, B.1).
  private mutating func readJPEG(_ bytes: [UInt8], _ limits: ImageLimits) throws(MediaIOError) {
    func truncated() -> MediaIOError {
      MediaIOError(.truncated, at: "JPEG", "the file ends at byte \(bytes.count) without an end-of-image marker")
    }
    var profileParts: [Int: ArraySlice<UInt8>] = [:]
    var profilePartCount = 0
    var hasFrame = false
    var position = 2
    segments: while true {
      guard position + 1 < bytes.count else { throw truncated() }
      guard bytes[position] == 0xFF else {
        throw MediaIOError(.damaged, at: "JPEG", "no marker at byte \(position)")
      }
      let marker = bytes[position + 1]
      if marker == 0xFF {  // fill byte
        position += 1
        continue
      }
      position += 2
      if marker == 0xD9 { break }
      if marker == 0x01 || (0xD0...0xD8).contains(marker) { continue }
      guard position + 2 <= bytes.count else { throw truncated() }
      let length = Int(bytes[position]) << 8 | Int(bytes[position + 1])
      guard length >= 2 else {
        throw MediaIOError(.damaged, at: "JPEG", "a segment of length \(length) at byte \(position)")
      }
      guard position + length <= bytes.count else { throw truncated() }
      let payload = bytes[(position + 2)..<(position + length)]
      position += length

      switch marker {
      case 0xC0...0xCF where marker != 0xC4 && marker != 0xC8 && marker != 0xCC:
        guard payload.count >= 6 else { throw MediaIOError(.damaged, at: "JPEG", "a frame header of \(length) bytes") }
        let start = payload.startIndex
        try limits.check(
          width: Int(payload[start + 3]) << 8 | Int(payload[start + 4]),
          height: Int(payload[start + 1]) << 8 | Int(payload[start + 2]), format: .jpeg)
        hasFrame = true
      case 0xE1 where exif == nil && payload.starts(with: Array("Exif\0\0".utf8)):
        exif = Array(payload.dropFirst(6))
      case 0xE2 where payload.starts(with: Array("ICC_PROFILE\0".utf8)) && payload.count > 14:
        // ICC.1:2010, B.4: the profile is cut into numbered parts, from 1.
        profileParts[Int(payload[payload.startIndex + 12])] = payload.dropFirst(14)
        profilePartCount = Int(payload[payload.startIndex + 13])
      case 0xDA:
        guard hasFrame else { throw MediaIOError(.damaged, at: "JPEG", "a scan before any frame header") }
        position = JPEGScan.end(bytes, from: position)
        if position >= bytes.count { throw truncated() }
      default: break
      }
    }
    guard hasFrame else { throw MediaIOError(.damaged, at: "JPEG", "no frame header") }
    usesAlpha = false
    if profilePartCount > 0 {
      let parts = (1...profilePartCount).map { profileParts[$0] }
      let size = parts.reduce(0) { $0 + ($1?.count ?? 0) }
      if parts.contains(nil) || size > limits.maxMetadataBytes {
        notices.append("JPEG: an incomplete ICC profile was left out")
      } else {
        iccProfile = parts.flatMap { $0! }
      }
    }
  }

  // file = "RIFF" size(4) "WEBP" chunk*; chunk = type(4) size(4) payload [pad] (RFC 9649, 2.3)
  private mutating func readWebP(_ bytes: [UInt8], _ limits: ImageLimits) throws(MediaIOError) {
    func integer(_ position: Int, _ size: Int) -> Int {
      (0..<size).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
    }
    let end = integer(4, 4) + 8
    guard end <= bytes.count else {
      throw MediaIOError(.truncated, at: "WebP", "\(bytes.count) bytes of \(end)")
    }
    var position = 12
    var hasPicture = false
    while position + 8 <= end {
      let type = String(decoding: bytes[position..<(position + 4)], as: UTF8.self)
      let size = integer(position + 4, 4)
      let start = position + 8
      guard start + size <= end else {
        throw MediaIOError(.damaged, at: "WebP", "chunk \(type.debugDescription) runs past the end")
      }
      switch type {
      case "VP8X" where size >= 10:
        if bytes[start] & 0x02 != 0 {
          throw MediaIOError(.unsupported, at: "WebP", "animated; only still pictures are read")
        }
        usesAlpha = bytes[start] & 0x10 != 0
        try limits.check(width: integer(start + 4, 3) + 1, height: integer(start + 7, 3) + 1, format: .webp)
      case "VP8L" where size >= 5:
        hasPicture = true
        usesAlpha = bytes[start + 4] & 0x10 != 0  // RFC 9649, 3.4: alpha_is_used
      case "VP8 ": hasPicture = true
      case "EXIF" where size <= limits.maxMetadataBytes:
        let payload = bytes[start..<(start + size)]
        // Some writers keep JPEG's prefix.
        exif = Array(payload.starts(with: Array("Exif\0\0".utf8)) ? payload.dropFirst(6) : payload)
      case "ICCP" where size <= limits.maxMetadataBytes: iccProfile = Array(bytes[start..<(start + size)])
      default: break
      }
      position = start + size + size % 2
    }
    guard hasPicture else { throw MediaIOError(.damaged, at: "WebP", "no picture chunk") }
  }

  // "BM" size(4) 0(4) pixels-at(4) header-size(4) width(4) height(4) planes(2) bits(2) compression(4) ..., little-endian;
  // a negative height means rows from the top. libav reads a file that lacks its row padding, or part of it, skewed.
  private func readBMP(_ bytes: [UInt8], _ limits: ImageLimits) throws(MediaIOError) {
    func integer(_ position: Int, _ size: Int) -> Int {
      (0..<size).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
    }
    guard bytes.count >= 26 else { throw MediaIOError(.truncated, at: "BMP", "\(bytes.count) bytes") }
    guard integer(14, 4) >= 40 else { return }  // OS/2's, which libav checks
    guard bytes.count >= 54 else { throw MediaIOError(.truncated, at: "BMP", "\(bytes.count) bytes") }
    let width = Int(Int32(truncatingIfNeeded: integer(18, 4)))
    let height = Int(Int32(truncatingIfNeeded: integer(22, 4)).magnitude)
    try limits.check(width: width, height: height, format: .bmp)
    let isPlain = [0, 3].contains(integer(30, 4))
    let end = integer(10, 4) + (width * integer(28, 2) + 31) / 32 * 4 * height
    if isPlain, end > bytes.count { throw MediaIOError(.truncated, at: "BMP", "\(bytes.count) bytes of \(end)") }
  }

  /// Size, sample layout, compression and its parameters, strips, tiles, palette (TIFF 6.0, appendix A).
  private static let pixelTags: Set<Int> = [
    256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 347, 530, 532,
  ]

  private mutating func readTIFF(_ bytes: [UInt8], _ limits: ImageLimits) throws(MediaIOError) {
    guard let tiff = TIFFStructure(bytes), tiff.firstDirectory != nil else {
      throw MediaIOError(.truncated, at: "TIFF", "the first directory lies outside the file")
    }
    func value(_ tag: Int) -> Int? { tiff.entry(tag).flatMap(tiff.integer) }
    guard let width = value(256), let height = value(257) else {
      throw MediaIOError(.damaged, at: "TIFF", "no size")
    }
    try limits.check(width: width, height: height, format: .tiff)
    if let orientation = value(274), (2...8).contains(orientation) {
      exif = EXIF.minimal(orientation: UInt8(orientation))
    }
    for entry in tiff.firstDirectory! where entry.type != nil && tiff.data(entry) == nil {
      throw MediaIOError(.truncated, at: "TIFF", "the value of tag \(entry.tag) lies outside the file")
    }
    if let entry = tiff.entry(34_675), entry.count <= limits.maxMetadataBytes { iccProfile = tiff.data(entry) }
    isPremultiplied = value(338) == 1
    if let sampleFormat = value(339), sampleFormat != 1, sampleFormat != 4 {
      throw MediaIOError(.unsupported, at: "TIFF", "samples that are not unsigned integers (format \(sampleFormat))")
    }
    // libav's strict mode, which reports damage, also refuses every tag that it does not know; so it sees only those
    // that describe pixels.
    bytesToDecode = tiff.keepingOnly(tags: Self.pixelTags)
    if tiff.hasNextDirectory { notices.append("TIFF: only the first page was read") }
  }
}

enum JPEGScan {
  /// The position of the first marker after entropy-coded bytes that is neither stuffing nor a restart; `bytes.count`
  /// when there is none.
  static func end(_ bytes: [UInt8], from start: Int) -> Int {
    bytes.withUnsafeBufferPointer { bytes in
      var position = start
      while position + 1 < bytes.count {
        if bytes[position] == 0xFF {
          let next = bytes[position + 1]
          if next != 0 && next != 0xFF && !(0xD0...0xD7).contains(next) { return position }
        }
        position += 1
      }
      return bytes.count
    }
  }
}
