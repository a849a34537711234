// header = object; object = "{" [pair ("," pair)*] "}"; pair = string ":" value (RFC 8259); of the top object's values,
// "__metadata__" is an object of strings and every other {"dtype": string, "shape": [integer*], "data_offsets":
// [integer, integer]} (github.com/huggingface/safetensors, README, "Format").

/// The JSON at the front of a safetensors file. `serialised` is its inverse.
struct SafeTensorsHeader {
  struct Entry {
    var name: String
    var dtype = ""
    var shape: [Int] = []
    /// Into the bytes after the header.
    var offsets = 0..<0
  }

  var entries: [Entry] = []
  var metadata: [(key: String, value: String)] = []

  /// What a header may have; the memory that names take is of the header's order.
  static let maxBytes = 100_000_000
  static let maxTensors = 1 << 16
  static let maxRank = 16

  /// Throws `MediaIOError`: `damaged`, `tooLarge`.
  init(parsing bytes: UnsafeRawBufferPointer) throws(MediaIOError) {
    var parser = StrictJSON(bytes, location: "safetensors header")
    var names = Set<String>()
    try parser.object { parser, key throws(MediaIOError) in
      guard names.insert(key).inserted else { throw parser.failure("\(key.debugDescription) twice") }
      if key == "__metadata__" {
        metadata = try parser.stringPairs()
        return
      }
      guard entries.count < Self.maxTensors else {
        throw MediaIOError(.tooLarge, at: "safetensors header", "more than \(Self.maxTensors) tensors")
      }
      entries.append(try Self.entry(key, &parser))
    }
    try parser.end()
  }

  private static func entry(_ name: String, _ parser: inout StrictJSON) throws(MediaIOError) -> Entry {
    var entry = Entry(name: name)
    var seen = Set<String>()
    try parser.object { parser, key throws(MediaIOError) in
      guard seen.insert(key).inserted else { throw parser.failure("\(key.debugDescription) twice") }
      switch key {
      case "dtype": entry.dtype = try parser.string()
      case "shape": entry.shape = try parser.integers(max: maxRank)
      case "data_offsets":
        let ends = try parser.integers(max: 2)
        guard ends.count == 2, ends[0] <= ends[1] else { throw parser.failure("data_offsets \(ends)") }
        entry.offsets = ends[0]..<ends[1]
      default: try parser.skipValue()
      }
    }
    for key in ["dtype", "shape", "data_offsets"] where !seen.contains(key) {
      throw parser.failure("tensor \(name.debugDescription) has no \(key)")
    }
    return entry
  }

  init(entries: [Entry], metadata: [(key: String, value: String)]) {
    self.entries = entries
    self.metadata = metadata
  }

  /// Padded with spaces so that data behind the header's length field is aligned to 64.
  func serialised() -> [UInt8] {
    var parts: [String] = []
    if !metadata.isEmpty { parts.append("\"__metadata__\":" + StrictJSON.object(metadata)) }
    for entry in entries {
      parts.append(
        StrictJSON.quoted(entry.name) + ":{\"dtype\":" + StrictJSON.quoted(entry.dtype) + ",\"shape\":["
          + entry.shape.map(String.init).joined(separator: ",")
          + "],\"data_offsets\":[\(entry.offsets.lowerBound),\(entry.offsets.upperBound)]}")
    }
    var bytes = Array(("{" + parts.joined(separator: ",") + "}").utf8)
    bytes.append(contentsOf: repeatElement(0x20, count: (64 - (bytes.count + 8) % 64) % 64))
    return bytes
  }
}
