// file = (local-header data)* central-header* [zip64-end zip64-locator] end
// (APPNOTE 6.3.10, pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3)

/// A ZIP archive's members, from its central directory. `ZIPWriter` writes it.
struct ZIPDirectory {
  struct Member {
    var name: String
    var isDeflated: Bool
    /// Of the file's bytes, as they are stored.
    var data: Range<Int>
    /// Inflated.
    var size: Int
    var checkSum: UInt32
  }

  private(set) var members: [Member] = []

  static let maxMembers = 1 << 16

  /// Throws `MediaIOError`: `truncated`, `damaged`, `tooLarge`, `unsupported`.
  init(_ bytes: UnsafeRawBufferPointer) throws(MediaIOError) {
    let end = try Self.end(bytes)
    guard end.count <= Self.maxMembers else {
      throw MediaIOError(.tooLarge, at: "npz", "\(end.count) members, of which \(Self.maxMembers) are allowed")
    }
    var position = end.start
    for _ in 0..<end.count {
      members.append(try Self.member(bytes, &position, limit: end.position))
    }
    // Bytes that serve two members are how small archives become large ones.
    var covered = 0
    for member in members.sorted(by: { $0.data.lowerBound < $1.data.lowerBound }) {
      guard member.data.lowerBound >= covered else {
        throw MediaIOError(.damaged, at: "npz member \(member.name.debugDescription)", "overlaps another")
      }
      covered = member.data.upperBound
    }
    guard covered <= end.start else { throw MediaIOError(.damaged, at: "npz", "members overlap the directory") }
  }

  private static func end(
    _ bytes: UnsafeRawBufferPointer
  ) throws(MediaIOError) -> (position: Int, start: Int, count: Int) {
    // The end record has a comment of at most 65,535 bytes behind it.
    var position = bytes.count - 22
    let lowest = max(position - 65_535, 0)
    while position >= lowest, bytes.integer(at: position, as: UInt32.self) != 0x0605_4B50 { position -= 1 }
    guard position >= lowest else {
      throw MediaIOError(.truncated, at: "npz", "no directory at the end of \(bytes.count) bytes")
    }
    var count = UInt64(bytes.integer(at: position + 10, as: UInt16.self))
    var start = UInt64(bytes.integer(at: position + 16, as: UInt32.self))
    if count == 0xFFFF || start == 0xFFFF_FFFF, position >= 20,
      bytes.integer(at: position - 20, as: UInt32.self) == 0x0706_4B50
    {
      let record = bytes.integer(at: position - 12, as: UInt64.self)
      guard position >= 56, record <= UInt64(position - 56),
        bytes.integer(at: Int(record), as: UInt32.self) == 0x0606_4B50
      else { throw MediaIOError(.damaged, at: "npz", "the ZIP64 directory lies elsewhere") }
      count = bytes.integer(at: Int(record) + 32, as: UInt64.self)
      start = bytes.integer(at: Int(record) + 48, as: UInt64.self)
    }
    // A central header has 46 bytes at least.
    guard start <= UInt64(position), count <= (UInt64(position) - start) / 46 else {
      throw MediaIOError(.damaged, at: "npz", "\(count) members from byte \(start) do not fit before \(position)")
    }
    return (position, Int(start), Int(count))
  }

  private static func member(
    _ bytes: UnsafeRawBufferPointer, _ position: inout Int, limit: Int
  ) throws(MediaIOError) -> Member {
    func damaged(_ reason: String) -> MediaIOError {
      MediaIOError(.damaged, at: "npz directory", "\(reason), at byte \(position)")
    }
    guard position + 46 <= limit, bytes.integer(at: position, as: UInt32.self) == 0x0201_4B50 else {
      throw damaged("no member")
    }
    func short(_ at: Int) -> Int { Int(bytes.integer(at: position + at, as: UInt16.self)) }
    func long(_ at: Int) -> UInt64 { UInt64(bytes.integer(at: position + at, as: UInt32.self)) }
    let (flags, method) = (short(8), short(10))
    let (nameEnd, extraEnd) = (46 + short(28), 46 + short(28) + short(30))
    let next = position + extraEnd + short(32)
    guard next <= limit else { throw damaged("a member past the end") }
    guard let name = String(validating: bytes[(position + 46)..<(position + nameEnd)], as: UTF8.self) else {
      throw damaged("a name that is no UTF-8")
    }
    var (packed, size, header) = (long(20), long(24), long(42))
    // The ZIP64 field has those of the three, in this order, that do not fit (4.5.3).
    var field = position + nameEnd
    while field + 4 <= position + extraEnd {
      let kind = bytes.integer(at: field, as: UInt16.self)
      let fieldEnd = field + 4 + Int(bytes.integer(at: field + 2, as: UInt16.self))
      guard fieldEnd <= position + extraEnd else { throw damaged("an extra field past the end") }
      if kind == 1 {
        var at = field + 4
        func wide(_ value: inout UInt64) throws(MediaIOError) {
          guard value == 0xFFFF_FFFF else { return }
          guard at + 8 <= fieldEnd else { throw damaged("a ZIP64 field too short") }
          value = bytes.integer(at: at, as: UInt64.self)
          at += 8
        }
        try wide(&size)
        try wide(&packed)
        try wide(&header)
      }
      field = fieldEnd
    }
    let place = "npz member \(name.debugDescription)"
    guard flags & 0x41 == 0 else { throw MediaIOError(.unsupported, at: place, "encrypted") }
    guard method == 0 || method == 8 else {
      throw MediaIOError(.unsupported, at: place, "compression method \(method); stored and deflated are read")
    }
    guard header <= UInt64(limit), limit - Int(header) >= 30,
      bytes.integer(at: Int(header), as: UInt32.self) == 0x0403_4B50
    else { throw MediaIOError(.damaged, at: place, "no header at byte \(header)") }
    let start =
      Int(header) + 30 + Int(bytes.integer(at: Int(header) + 26, as: UInt16.self))
      + Int(bytes.integer(at: Int(header) + 28, as: UInt16.self))
    guard start <= limit, packed <= UInt64(limit - start), size <= UInt64(Int.max) else {
      throw MediaIOError(.damaged, at: place, "\(packed) bytes from \(start) run past the end")
    }
    guard method == 8 || packed == size else {
      throw MediaIOError(.damaged, at: place, "stored, but \(packed) bytes are \(size)")
    }
    defer { position = next }
    return Member(
      name: name, isDeflated: method == 8, data: start..<(start + Int(packed)), size: Int(size),
      checkSum: UInt32(truncatingIfNeeded: long(16)))
  }
}

/// Writes stored members and the directory that `ZIPDirectory` reads; ZIP64 where sizes need it.
struct ZIPWriter {
  private struct Entry {
    var name: [UInt8]
    var size: UInt64
    var checkSum: UInt32
    var offset: UInt64
  }

  private var entries: [Entry] = []

  /// What follows is the member's `size` bytes, aligned to 64 in the file.
  mutating func begin(_ name: String, size: Int, checkSum: UInt32, to sink: inout KVByteSink) throws(MediaIOError) {
    let entry = Entry(name: Array(name.utf8), size: UInt64(size), checkSum: checkSum, offset: UInt64(sink.count))
    guard entry.name.count <= 60_000 else {
      throw MediaIOError(.unsupported, at: "npz member", "a name of \(entry.name.count) bytes")
    }
    var wide: [UInt8] = []
    if isWide(entry.size) {
      wide = littleEndian(UInt16(1)) + littleEndian(UInt16(16)) + littleEndian(entry.size) + littleEndian(entry.size)
    }
    // An extra field of an unassigned kind pads; it has four bytes of its own.
    let before = sink.count + 30 + entry.name.count + wide.count + 4
    let padding = (64 - before % 64) % 64
    wide += littleEndian(UInt16(0xD935)) + littleEndian(UInt16(padding))
    let extra = wide + [UInt8](repeating: 0, count: padding)
    try sink.write(UInt32(0x0403_4B50))
    try sink.write(common(entry, extra: extra.count))
    try sink.write(entry.name + extra)
    entries.append(entry)
  }

  private func isWide(_ value: UInt64) -> Bool { value >= 0xFFFF_FFFF }

  /// Version needed to name and extra lengths, which local and central headers share.
  private func common(_ entry: Entry, extra: Int) -> [UInt8] {
    let size = littleEndian(UInt32(isWide(entry.size) ? 0xFFFF_FFFF : entry.size))
    // 1980-01-01, the first date there is: the same cache gives the same file.
    let front = littleEndian(UInt16(45)) + littleEndian(UInt16(0x800)) + [0, 0, 0, 0, 0x21, 0]
    let lengths = littleEndian(UInt16(entry.name.count)) + littleEndian(UInt16(extra))
    return front + littleEndian(entry.checkSum) + size + size + lengths
  }

  func finish(to sink: inout KVByteSink) throws(MediaIOError) {
    let start = UInt64(sink.count)
    for entry in entries {
      var wide: [UInt8] = []
      if isWide(entry.size) { wide += littleEndian(entry.size) + littleEndian(entry.size) }
      if isWide(entry.offset) { wide += littleEndian(entry.offset) }
      if !wide.isEmpty { wide = littleEndian(UInt16(1)) + littleEndian(UInt16(wide.count)) + wide }
      try sink.write(UInt32(0x0201_4B50))
      try sink.write(UInt16(45))
      try sink.write(common(entry, extra: wide.count))
      try sink.write([UInt8](repeating: 0, count: 10))
      try sink.write(UInt32(isWide(entry.offset) ? 0xFFFF_FFFF : entry.offset))
      try sink.write(entry.name + wide)
    }
    let (end, count) = (UInt64(sink.count), UInt64(entries.count))
    let isLarge = isWide(start) || count >= 0xFFFF
    if isLarge {
      try sink.write(UInt32(0x0606_4B50))
      try sink.write(UInt64(44))
      try sink.write(littleEndian(UInt16(45)) + littleEndian(UInt16(45)) + [UInt8](repeating: 0, count: 8))
      for value in [count, count, end - start, start] { try sink.write(value) }
      try sink.write(UInt32(0x0706_4B50))
      try sink.write(UInt32(0))
      try sink.write(end)
      try sink.write(UInt32(1))
    }
    try sink.write(UInt32(0x0605_4B50))
    try sink.write(UInt32(0))
    for _ in 0..<2 { try sink.write(UInt16(isLarge ? 0xFFFF : count)) }
    try sink.write(UInt32(isLarge ? 0xFFFF_FFFF : end - start))
    try sink.write(UInt32(isLarge ? 0xFFFF_FFFF : start))
    try sink.write(UInt16(0))
  }
}
