/// As much of JSON (RFC 8259) as tensor headers need, read strictly: no duplicates are resolved, no numbers but
/// non-negative integers, no nesting beyond `maxDepth`.
struct StrictJSON {
  private let bytes: UnsafeRawBufferPointer
  private let location: String
  private var position = 0
  private var depth = 0

  static let maxDepth = 16

  init(_ bytes: UnsafeRawBufferPointer, location: String) {
    self.bytes = bytes
    self.location = location
  }

  func failure(_ reason: String) -> MediaIOError {
    MediaIOError(.damaged, at: location, "\(reason), at byte \(position)")
  }

  private mutating func skipSpace() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  /// The next byte after white space, or 0 at the end.
  private mutating func peek() -> UInt8 {
    skipSpace()
    return position < bytes.count ? bytes[position] : 0
  }

  private mutating func expect(_ byte: UInt8) throws(MediaIOError) {
    guard peek() == byte, position < bytes.count else {
      throw failure("no \"\(String(decoding: [byte], as: UTF8.self))\"")
    }
    position += 1
  }

  /// Calls `body` at each value; it must read the value.
  mutating func object(
    _ body: (inout StrictJSON, String) throws(MediaIOError) -> Void
  ) throws(MediaIOError) {
    try enter(UInt8(ascii: "{"))
    if peek() != UInt8(ascii: "}") {
      while true {
        skipSpace()
        let key = try string()
        try expect(UInt8(ascii: ":"))
        try body(&self, key)
        if peek() != UInt8(ascii: ",") { break }
        position += 1
      }
    }
    try expect(UInt8(ascii: "}"))
    depth -= 1
  }

  private mutating func array(_ body: (inout StrictJSON) throws(MediaIOError) -> Void) throws(MediaIOError) {
    try enter(UInt8(ascii: "["))
    if peek() != UInt8(ascii: "]") {
      while true {
        try body(&self)
        if peek() != UInt8(ascii: ",") { break }
        position += 1
      }
    }
    try expect(UInt8(ascii: "]"))
    depth -= 1
  }

  private mutating func enter(_ bracket: UInt8) throws(MediaIOError) {
    try expect(bracket)
    depth += 1
    guard depth <= Self.maxDepth else { throw failure("nested deeper than \(Self.maxDepth)") }
  }

  /// An object whose values are strings; its keys differ.
  mutating func stringPairs() throws(MediaIOError) -> [(key: String, value: String)] {
    var pairs: [(key: String, value: String)] = []
    var keys = Set<String>()
    try object { parser, key throws(MediaIOError) in
      guard keys.insert(key).inserted else { throw parser.failure("\(key.debugDescription) twice") }
      pairs.append((key, try parser.string()))
    }
    return pairs
  }

  mutating func integers(max: Int) throws(MediaIOError) -> [Int] {
    var values: [Int] = []
    try array { parser throws(MediaIOError) in
      guard values.count < max else { throw parser.failure("more than \(max) numbers") }
      values.append(try parser.integer())
    }
    return values
  }

  private mutating func integer() throws(MediaIOError) -> Int {
    skipSpace()
    let start = position
    var value = 0
    while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
      let (tens, a) = value.multipliedReportingOverflow(by: 10)
      let (next, b) = tens.addingReportingOverflow(Int(bytes[position] - UInt8(ascii: "0")))
      guard !a, !b else { throw failure("a number too large") }
      value = next
      position += 1
    }
    guard position > start, position == start + 1 || bytes[start] != UInt8(ascii: "0") else {
      throw failure("no whole number")
    }
    return value
  }

  mutating func string() throws(MediaIOError) -> String {
    try expect(UInt8(ascii: "\""))
    var text: [UInt8] = []
    while true {
      guard position < bytes.count else { throw failure("a string without end") }
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let value = String(validating: text, as: UTF8.self) else { throw failure("a string that is no UTF-8") }
        return value
      case UInt8(ascii: "\\"): text.append(contentsOf: try escape())
      case 0..<0x20: throw failure("a control character in a string")
      default: text.append(byte)
      }
    }
  }

  private mutating func escape() throws(MediaIOError) -> [UInt8] {
    guard position < bytes.count else { throw failure("a string without end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
    case UInt8(ascii: "b"): return [8]
    case UInt8(ascii: "f"): return [12]
    case UInt8(ascii: "n"): return [10]
    case UInt8(ascii: "r"): return [13]
    case UInt8(ascii: "t"): return [9]
    case UInt8(ascii: "u"):
      var units = [try codeUnit()]
      if UTF16.isLeadSurrogate(units[0]), position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
        bytes[position + 1] == UInt8(ascii: "u")
      {
        position += 2
        units.append(try codeUnit())
      }
      guard let text = String(validating: units, as: UTF16.self) else { throw failure("half a surrogate pair") }
      return Array(text.utf8)
    default: throw failure("an unknown escape")
    }
  }

  private mutating func codeUnit() throws(MediaIOError) -> UInt16 {
    guard position + 4 <= bytes.count else { throw failure("a string without end") }
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue, bytes[position] < 0x80 else {
        throw failure("no hexadecimal digit")
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }

  /// Steps over a value of any kind that this reader knows no use for.
  mutating func skipValue() throws(MediaIOError) {
    switch peek() {
    case UInt8(ascii: "{"): try object { parser, _ throws(MediaIOError) in try parser.skipValue() }
    case UInt8(ascii: "["): try array { parser throws(MediaIOError) in try parser.skipValue() }
    case UInt8(ascii: "\""): _ = try string()
    default:
      let start = position
      let plain = Set("+-.0123456789Eaeflnrstu".utf8)  // numbers, true, false, null
      while position < bytes.count, plain.contains(bytes[position]) { position += 1 }
      guard position > start else { throw failure("no value") }
    }
  }

  /// Only white space may follow.
  mutating func end() throws(MediaIOError) {
    skipSpace()
    guard position == bytes.count else { throw failure("something behind the end") }
  }

  static func object(_ pairs: [(key: String, value: String)]) -> String {
    "{" + pairs.map { quoted($0.key) + ":" + quoted($0.value) }.joined(separator: ",") + "}"
  }

  static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
