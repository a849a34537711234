/// A bounds-checked view of a TIFF structure's first directory; EXIF and TIFF files share it.
package struct TIFFStructure {
  package enum FieldType: Int {
    case byte = 1
    case ascii = 2
    case short = 3
    case long = 4
    case undefined = 7

    var size: Int {
      switch self {
      case .byte, .ascii, .undefined: 1
      case .short: 2
      case .long: 4
      }
    }
  }

  package struct Entry {
    package let tag: Int
    /// Nil for types that nothing here reads, such as RATIONAL.
    package let type: FieldType?
    package let count: Int
    /// Where the four bytes of value or offset stand.
    let valuePosition: Int
  }

  private let bytes: [UInt8]
  private let bigEndian: Bool
  /// The first directory's entries, at most `maxEntries`; nil if it lies outside the bytes.
  package let firstDirectory: [Entry]?
  /// Whether another directory (a further page) follows.
  package let hasNextDirectory: Bool

  /// TIFF counts entries in 16 bits; real directories have tens.
  static let maxEntries = 4096

  /// Nil unless the bytes start with a TIFF header.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count >= 8 else { return nil }
    switch (bytes[0], bytes[1], bytes[2], bytes[3]) {
    case (0x49, 0x49, 42, 0): bigEndian = false
    case (0x4D, 0x4D, 0, 42): bigEndian = true
    default: return nil
    }
    self.bytes = bytes
    let start = TIFFStructure.read(bytes, 4, 4, bigEndian: bigEndian)!
    guard let count = TIFFStructure.read(bytes, start, 2, bigEndian: bigEndian), count <= TIFFStructure.maxEntries,
      start + 2 + count * 12 <= bytes.count
    else {
      firstDirectory = nil
      hasNextDirectory = false
      return
    }
    let order = bigEndian
    firstDirectory = (0..<count).map { index in
      let at = start + 2 + index * 12
      let type = TIFFStructure.read(bytes, at + 2, 2, bigEndian: order)!
      return Entry(
        tag: TIFFStructure.read(bytes, at, 2, bigEndian: order)!, type: FieldType(rawValue: type),
        count: TIFFStructure.read(bytes, at + 4, 4, bigEndian: order)!, valuePosition: at + 8)
    }
    hasNextDirectory = (TIFFStructure.read(bytes, start + 2 + count * 12, 4, bigEndian: order) ?? 0) != 0
  }

  /// The entry's first value, where it is an integer; nil if it is not or lies outside the bytes.
  package func integer(_ entry: Entry) -> Int? {
    guard entry.count >= 1, let type = entry.type, let range = range(of: entry) else { return nil }
    return TIFFStructure.read(bytes, range.lowerBound, type.size, bigEndian: bigEndian)
  }

  /// The entry's bytes as they stand; nil if they lie outside the structure.
  package func data(_ entry: Entry) -> [UInt8]? { range(of: entry).map { Array(bytes[$0]) } }

  package func entry(_ tag: Int) -> Entry? { firstDirectory?.first { $0.tag == tag } }

  /// The same structure with only the first directory, and of that only the entries named. Nil without a directory.
  package func keepingOnly(tags: Set<Int>) -> [UInt8]? {
    guard let entries = firstDirectory, let first = entries.first else { return nil }
    var out = bytes
    var position = first.valuePosition - 8
    let countPosition = position - 2
    var kept = 0
    for entry in entries where tags.contains(entry.tag) {
      out.replaceSubrange(position..<(position + 12), with: bytes[(entry.valuePosition - 8)..<(entry.valuePosition + 4)])
      position += 12
      kept += 1
    }
    let (low, high) = (UInt8(kept & 255), UInt8(kept >> 8))
    out.replaceSubrange(countPosition..<(countPosition + 2), with: bigEndian ? [high, low] : [low, high])
    // The next directory's offset, if the file has room for one.
    for i in position..<min(position + 4, out.count) { out[i] = 0 }
    return out
  }

  private func range(of entry: Entry) -> Range<Int>? {
    guard let type = entry.type else { return nil }
    let size = entry.count * type.size  // at most 2^34
    var start = entry.valuePosition
    if size > 4 {
      guard let offset = TIFFStructure.read(bytes, start, 4, bigEndian: bigEndian) else { return nil }
      start = offset
    }
    return start + size <= bytes.count ? start..<(start + size) : nil
  }

  /// An unsigned integer of `size` (1, 2 or 4) bytes at `position`, nil outside the bytes.
  private static func read(_ bytes: [UInt8], _ position: Int, _ size: Int, bigEndian: Bool) -> Int? {
    guard position >= 0, position + size <= bytes.count else { return nil }
    var value = 0
    for i in 0..<size {
      value = value << 8 | Int(bytes[bigEndian ? position + i : position + size - 1 - i])
    }
    return value
  }
}
