import Media

// file = "\x93NUMPY" major(1) minor(1) header-length(2, or 4 from version 2) header data
// header = Python's literal {'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), } padded with spaces to a newline
// (numpy.org/doc/stable/reference/generated/numpy.lib.format.html)

/// Reads and writes one .npy array: versions 1 to 3, C order, little-endian.
enum NumPyArray {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let maxHeaderBytes = 1 << 16

  /// NumPy's names for safetensors' types; bfloat16 it has none for.
  private static let descriptions = [
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
  ]

  static func recognises(_ prefix: UnsafeRawBufferPointer) -> Bool { prefix.prefix(6).elementsEqual(magic) }

  /// The array in some bytes of `storage`, viewed.
  ///
  /// Throws `MediaIOError`: `truncated`, `damaged`, `tooLarge`, `unsupported`.
  static func read(_ storage: KVStorage, range: Range<Int>, name: String) throws(MediaIOError) -> KVNamedTensor {
    let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage.bytes)[range])
    defer { withExtendedLifetime(storage) {} }
    let place = name.isEmpty ? ".npy" : ".npy \(name.debugDescription)"
    guard bytes.count >= 12 else { throw MediaIOError(.truncated, at: place, "\(bytes.count) bytes") }
    guard recognises(bytes) else { throw MediaIOError(.damaged, at: place, "no NumPy signature") }
    guard (1...3).contains(bytes[6]) else {
      throw MediaIOError(.unsupported, at: place, "version \(bytes[6]).\(bytes[7]); versions 1 to 3 are read")
    }
    let start = bytes[6] == 1 ? 10 : 12
    let length = bytes[6] == 1 ? Int(bytes.integer(at: 8, as: UInt16.self)) : Int(bytes.integer(at: 8, as: UInt32.self))
    guard length <= maxHeaderBytes else {
      throw MediaIOError(.tooLarge, at: place, "a header of \(length) bytes, of which \(maxHeaderBytes) are allowed")
    }
    guard start + length <= bytes.count else {
      throw MediaIOError(.truncated, at: place, "\(bytes.count) bytes, the header ends at \(start + length)")
    }
    var header = NumPyHeader(UnsafeRawBufferPointer(rebasing: bytes[start..<(start + length)]), place: place)
    try header.parse()
    guard !header.isFortranOrder || header.shape.count < 2 else {
      throw MediaIOError(.unsupported, at: place, "Fortran order; save numpy.ascontiguousarray(...) of it")
    }
    let type = try type(header.description, place: place)
    guard let count = arrayBytes(header.shape, elementBytes: type.bytes) else {
      throw MediaIOError(.damaged, at: place, "the shape \(header.shape)")
    }
    let data = start + length
    guard count <= bytes.count - data else {
      throw MediaIOError(.truncated, at: place, "\(bytes.count - data) bytes of \(count) for \(header.shape)")
    }
    guard count == bytes.count - data else {
      throw MediaIOError(.damaged, at: place, "\(bytes.count - data - count) bytes behind the array")
    }
    let first = range.lowerBound + data
    return KVNamedTensor(
      name: name, dtype: type.dtype, shape: header.shape, storage: storage, range: first..<(first + count))
  }

  private static func type(
    _ description: String, place: String
  ) throws(MediaIOError) -> (dtype: String, bytes: Int) {
    if let dtype = descriptions.first(where: { $0.value == description })?.key,
      let bytes = SafeTensors.elementBytes[dtype]
    {
      return (dtype, bytes)
    }
    // Others are carried along if their size is told: order, kind, number; characters of U have four bytes.
    let parts = Array(description)
    guard (3...12).contains(parts.count), parts[0] == "<" || parts[0] == "|", "fciubSUV".contains(parts[1]),
      let number = Int(String(parts[2...])), number >= 1
    else {
      let advice = parts.first == ">" ? "is big-endian; save array.astype('<f2') of it" : "is not read"
      throw MediaIOError(.unsupported, at: place, "the type \(description.prefix(40).debugDescription) \(advice)")
    }
    let (bytes, overflows) = number.multipliedReportingOverflow(by: parts[1] == "U" ? 4 : 1)
    guard !overflows else { throw MediaIOError(.damaged, at: place, "the type \(description.debugDescription)") }
    return ("numpy:" + description, bytes)
  }

  /// Everything before the data, which it aligns to 64. Throws `MediaIOError.unsupported` for a type that NumPy lacks.
  static func header(dtype: String, shape: [Int], place: String) throws(MediaIOError) -> [UInt8] {
    var known = dtype == "BF16" ? "<u2" : descriptions[dtype]
    if dtype.hasPrefix("numpy:") { known = String(dtype.dropFirst(6)) }
    // Quotes and backslashes would end the literal early.
    let plain: (UInt8) -> Bool = { (0x20...0x7E).contains($0) && $0 != 0x27 && $0 != 0x5C }
    guard let description = known, description.utf8.allSatisfy(plain) else {
      throw MediaIOError(.unsupported, at: place, "NumPy has no type \(dtype.debugDescription); write safetensors")
    }
    var sizes = shape.map { "\($0)" }.joined(separator: ", ")
    if shape.count == 1 { sizes += "," }
    var text = Array("{'descr': '\(description)', 'fortran_order': False, 'shape': (\(sizes)), }".utf8)
    let start = text.count + 11 > 60_000 ? 12 : 10
    text.append(contentsOf: repeatElement(0x20, count: (64 - (start + text.count + 1) % 64) % 64))
    text.append(0x0A)
    var bytes = magic + [start == 10 ? 1 : 2, 0]
    bytes += start == 10 ? littleEndian(UInt16(text.count)) : littleEndian(UInt32(text.count))
    return bytes + text
  }

  /// Writes keys and values as one array (`outgoing`). Throws `MediaIOError`: what the sink throws, and as `outgoing`.
  static func write(_ cache: KVCache, to sink: inout KVByteSink) throws(MediaIOError) {
    let array = try outgoing(cache)
    try sink.write(header(dtype: array.dtype, shape: array.shape, place: ".npy"))
    try array.write(to: &sink)
  }

  /// Keys and values as one array, `[kv, layer, kv_head, token, head_dim]` unless the cache came from an .npy of another order;
  /// a reader cannot tell the order from the file.
  ///
  /// Throws `MediaIOError.unsupported` for what one array cannot hold.
  static func outgoing(_ cache: KVCache) throws(MediaIOError) -> KVOutgoingArray {
    var layout = KVArrayLayout(packing: .fused(""), axes: [.kv, .layer, .head, .token, .channel])
    if case .numPy(let source) = cache.source, case .fused = source.packing {
      layout = KVArrayLayout(packing: .fused(""), axes: source.axes, blockTokens: source.blockTokens)
    }
    if !layout.fits(cache) { layout.axes = [.kv, .layer, .head, .token, .channel] }
    guard layout.fits(cache) else {
      throw MediaIOError(
        .unsupported, at: ".npy", "one array holds layers, keys and values of equal shape only; write .npz or safetensors")
    }
    var bare = cache
    bare.others = []
    return try KVArrayWriter(bare, layout: layout).arrays[0]  // a fused layout has one
  }
}

/// The Python literal in an .npy file, as much of it as NumPy writes.
struct NumPyHeader {
  private(set) var description = ""
  private(set) var isFortranOrder = false
  private(set) var shape: [Int] = []

  private let bytes: UnsafeRawBufferPointer
  private let place: String
  private var position = 0

  static let maxRank = 16

  init(_ bytes: UnsafeRawBufferPointer, place: String) {
    self.bytes = bytes
    self.place = place
  }

  private func failure(_ reason: String) -> MediaIOError {
    MediaIOError(.damaged, at: place, "\(reason), at byte \(position) of the header")
  }

  private mutating func peek() -> UInt8 {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    return position < bytes.count ? bytes[position] : 0
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(MediaIOError) {
    guard peek() == UInt8(ascii: character), position < bytes.count else { throw failure("no \"\(character)\"") }
    position += 1
  }

  /// Throws `MediaIOError`: `damaged`, `unsupported` for records.
  mutating func parse() throws(MediaIOError) {
    var seen = Set<String>()
    try expect("{")
    while peek() != UInt8(ascii: "}") {
      let key = try string()
      guard seen.insert(key).inserted else { throw failure("\(key.debugDescription) twice") }
      try expect(":")
      switch key {
      case "descr":
        guard peek() != UInt8(ascii: "[") else {
          throw MediaIOError(.unsupported, at: place, "an array of records; save each field as an array")
        }
        description = try string()
      case "fortran_order": isFortranOrder = try boolean()
      case "shape": shape = try tuple()
      default: throw failure("an unknown key \(key.prefix(40).debugDescription)")
      }
      if peek() != UInt8(ascii: ",") { break }
      position += 1
    }
    try expect("}")
    guard peek() == 0, position == bytes.count else { throw failure("something behind the end") }
    guard seen.count == 3 else { throw failure("descr, fortran_order or shape is missing") }
  }

  private mutating func string() throws(MediaIOError) -> String {
    let quote = peek()
    guard quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else { throw failure("no string") }
    let start = position + 1
    guard let end = bytes[start...].firstIndex(of: quote) else { throw failure("a string without end") }
    guard !bytes[start..<end].contains(UInt8(ascii: "\\")),
      let text = String(validating: bytes[start..<end], as: UTF8.self)
    else { throw failure("a string that is not plain") }
    position = end + 1
    return text
  }

  private mutating func boolean() throws(MediaIOError) -> Bool {
    _ = peek()
    for (word, value) in [("False", false), ("True", true)] where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw failure("neither True nor False")
  }

  private mutating func tuple() throws(MediaIOError) -> [Int] {
    var values: [Int] = []
    try expect("(")
    while peek() != UInt8(ascii: ")") {
      guard values.count < Self.maxRank else { throw failure("more than \(Self.maxRank) dimensions") }
      let start = position
      var value = 0
      while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
        let (tens, a) = value.multipliedReportingOverflow(by: 10)
        let (next, b) = tens.addingReportingOverflow(Int(bytes[position] - UInt8(ascii: "0")))
        guard !a, !b else { throw failure("a size too large") }
        value = next
        position += 1
      }
      guard position > start else { throw failure("no size") }
      values.append(value)
      if peek() != UInt8(ascii: ",") { break }
      position += 1
    }
    try expect(")")
    return values
  }
}
