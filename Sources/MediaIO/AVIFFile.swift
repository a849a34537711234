/// The smallest file that an AV1 picture is an AVIF in: an item, its size, depth, configuration and colour, and the data.
///
/// libavcodec gives the coded picture alone; what people store is a file, so its boxes are counted too: 266 bytes, where
/// libavif 1.4.2 writes 273 for the same picture. Sequence headers stay in the data, as libavif has it.
struct AVIFFile {
  let width, height: Int
  /// 8, 10 or 12 bits a sample.
  let depth: Int
  /// Luma samples per chroma sample, each way: 1 (profile 1) or 2 (profile 0).
  let chromaFactor: Int
  /// Open bitstream units without temporal delimiters.
  let units: [UInt8]

  // ISO/IEC 14496-12, 23008-12, and AV1 Image File Format 1.1.
  func bytes() -> [UInt8] {
    func full(_ type: String, version: UInt8 = 0, flags: UInt8 = 0, _ body: [UInt8]) -> [UInt8] {
      Self.box(type, [version, 0, 0, flags] + body)
    }
    let deep: UInt8 = depth > 8 ? 0x40 : 0
    let twelve: UInt8 = depth > 10 ? 0x20 : 0
    let subsampled: UInt8 = chromaFactor == 2 ? 0x0C : 0
    // marker and version; profile and level 5.1 (any picture that is coded here); depth and subsampling.
    let configuration = Self.box("av1C", [0x81, (chromaFactor == 1 ? 0x20 : 0) | 13, deep | twelve | subsampled, 0])
    let size = full("ispe", Self.integer(width, 4) + Self.integer(height, 4))
    let channels = full("pixi", [3] + [UInt8](repeating: UInt8(depth), count: 3))
    // BT.709 primaries, sRGB transfer, BT.601 matrix, full range.
    let colour = Self.box("colr", Array("nclx".utf8) + [0, 1, 0, 13, 0, 6, 0x80])
    let properties = Self.box(
      "iprp",
      Self.box("ipco", size + channels + configuration + colour)
        // One item with four properties, of which the configuration (0x80) is essential.
        + full("ipma", Self.integer(1, 4) + Self.integer(1, 2) + [4, 1, 2, 0x83, 4]))
    let handler = full("hdlr", Self.integer(0, 4) + Array("pict".utf8) + [UInt8](repeating: 0, count: 13))
    let primary = full("pitm", Self.integer(1, 2))
    let information = full(
      "iinf", Self.integer(1, 2) + full("infe", version: 2, Self.integer(1, 2) + Self.integer(0, 2) + Array("av01".utf8) + [0]))
    let type = Self.box("ftyp", Array("avif".utf8) + Self.integer(0, 4) + Array("avifmif1miaf".utf8))
    func meta(offset: Int) -> [UInt8] {
      // Offsets and lengths of four bytes; one item with one extent.
      let location = full(
        "iloc",
        [0x44, 0] + Self.integer(1, 2) + Self.integer(1, 2) + Self.integer(0, 2) + Self.integer(1, 2)
          + Self.integer(offset, 4) + Self.integer(units.count, 4))
      return full("meta", handler + primary + location + information + properties)
    }
    let offset = type.count + meta(offset: 0).count + 8
    return type + meta(offset: offset) + Self.box("mdat", units)
  }

  /// The data of a file that `bytes()` made: what its mdat holds. Throws `MediaIOError` (damaged) without one.
  static func units(of file: [UInt8]) throws(MediaIOError) -> [UInt8] {
    var at = 0
    while at + 8 <= file.count {
      let count = file[at..<(at + 4)].reduce(0) { $0 << 8 | Int($1) }
      guard count >= 8, count <= file.count - at else { break }
      if file[(at + 4)..<(at + 8)].elementsEqual("mdat".utf8) { return Array(file[(at + 8)..<(at + count)]) }
      at += count
    }
    throw MediaIOError(.damaged, at: "AVIF", "no data")
  }

  /// Leaves out temporal delimiters and padding, which a file of one picture has no use for.
  // AV1 specification, 5.3: obu_header, obu_size
  static func withoutDelimiters(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var at = 0
    while at < bytes.count {
      let header = bytes[at]
      let start = at + (header & 4 != 0 ? 2 : 1)
      guard header & 2 != 0 else { return result + bytes[at...] }  // without a size it is the last
      var (size, shift, cursor) = (0, 0, start)
      while cursor < bytes.count, shift < 35 {
        let byte = bytes[cursor]
        size |= Int(byte & 127) << shift
        shift += 7
        cursor += 1
        if byte & 128 == 0 { break }
      }
      let end = min(cursor + size, bytes.count)
      let kind = header >> 3 & 15
      if kind != 2, kind != 15 { result += bytes[at..<end] }
      at = max(end, at + 1)
    }
    return result
  }

  private static func box(_ type: String, _ body: [UInt8]) -> [UInt8] { integer(body.count + 8, 4) + Array(type.utf8) + body }

  private static func integer(_ value: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
  }
}
