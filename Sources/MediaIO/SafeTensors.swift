import Media

// file = header-length(8, little-endian) header data; the tensors' offsets tile data
// (github.com/huggingface/safetensors, README, "Format").

/// Reads and writes safetensors: named arrays and text metadata, whatever they mean.
enum SafeTensors {
  /// Bytes between tensors that some writers leave to align them; the format itself has none.
  private static let maxPadding = 63

  /// Bits of the types that the format names.
  static let elementBytes = [
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8,
  ]

  static func recognises(_ prefix: UnsafeRawBufferPointer) -> Bool {
    guard prefix.count >= 9 else { return false }
    return prefix.integer(at: 0, as: UInt64.self) <= UInt64(SafeTensorsHeader.maxBytes) && prefix[8] == UInt8(ascii: "{")
  }

  /// Views every tensor of the file; nothing is copied.
  ///
  /// Throws `MediaIOError`: `truncated`, `damaged`, `tooLarge`, `unsupported`.
  static func read(_ storage: KVStorage) throws(MediaIOError) -> (
    tensors: [KVNamedTensor], metadata: [(key: String, value: String)]
  ) {
    let bytes = UnsafeRawBufferPointer(storage.bytes)
    guard bytes.count >= 8 else { throw MediaIOError(.truncated, at: "safetensors", "\(bytes.count) bytes") }
    let length = bytes.integer(at: 0, as: UInt64.self)
    guard length <= UInt64(SafeTensorsHeader.maxBytes) else {
      throw MediaIOError(
        .tooLarge, at: "safetensors header", "\(length) bytes, of which \(SafeTensorsHeader.maxBytes) are allowed")
    }
    let start = 8 + Int(length)
    guard start <= bytes.count else {
      throw MediaIOError(.truncated, at: "safetensors header", "\(bytes.count - 8) bytes of \(length)")
    }
    let header = try SafeTensorsHeader(parsing: UnsafeRawBufferPointer(rebasing: bytes[8..<start]))
    try check(header.entries, dataBytes: bytes.count - start)
    let tensors = header.entries.map {
      KVNamedTensor(
        name: $0.name, dtype: $0.dtype, shape: $0.shape, storage: storage,
        range: ($0.offsets.lowerBound + start)..<($0.offsets.upperBound + start))
    }
    return (tensors, header.metadata)
  }

  private static func check(_ entries: [SafeTensorsHeader.Entry], dataBytes: Int) throws(MediaIOError) {
    for entry in entries {
      let place = "safetensors tensor \(entry.name.debugDescription)"
      guard entry.offsets.upperBound <= dataBytes else {
        throw MediaIOError(
          .truncated, at: place, "ends at data byte \(entry.offsets.upperBound), the file at \(dataBytes)")
      }
      guard let size = elementBytes[entry.dtype] else {
        throw MediaIOError(.unsupported, at: place, "the type \(entry.dtype.debugDescription) is not known")
      }
      guard let count = arrayBytes(entry.shape, elementBytes: size), count == entry.offsets.count else {
        throw MediaIOError(
          .damaged, at: place, "\(entry.offsets.count) bytes do not hold \(entry.shape) of \(entry.dtype)")
      }
    }
    var end = 0
    func ends(_ entry: SafeTensorsHeader.Entry) -> (Int, Int) { (entry.offsets.lowerBound, entry.offsets.upperBound) }
    for entry in entries.sorted(by: { ends($0) < ends($1) }) {
      let place = "safetensors tensor \(entry.name.debugDescription)"
      guard entry.offsets.lowerBound >= end else {
        throw MediaIOError(.damaged, at: place, "overlaps another tensor at data byte \(entry.offsets.lowerBound)")
      }
      guard entry.offsets.lowerBound - end <= maxPadding else {
        throw MediaIOError(.damaged, at: place, "a gap of \(entry.offsets.lowerBound - end) bytes before it")
      }
      end = entry.offsets.upperBound
    }
    guard dataBytes - end <= maxPadding else {
      throw MediaIOError(.damaged, at: "safetensors", "\(dataBytes - end) bytes behind the last tensor")
    }
  }

  /// Throws `MediaIOError`: what the sink throws, and as `header`.
  static func write(
    _ arrays: [KVOutgoingArray], metadata: [(key: String, value: String)], to sink: inout KVByteSink
  ) throws(MediaIOError) {
    try sink.write(header(arrays, metadata: metadata))
    for array in arrays { try array.write(to: &sink) }
  }

  /// All before the arrays' bytes, which follow in order. Throws `MediaIOError`: `unsupported` for a type that only NumPy has,
  /// `tooLarge`.
  static func header(
    _ arrays: [KVOutgoingArray], metadata: [(key: String, value: String)]
  ) throws(MediaIOError) -> [UInt8] {
    var header = SafeTensorsHeader(entries: [], metadata: metadata)
    var end = 0
    for array in arrays {
      guard elementBytes[array.dtype] != nil else {
        throw MediaIOError(
          .unsupported, at: "safetensors tensor \(array.name.debugDescription)",
          "safetensors has no type \(array.dtype); write .npz, or leave the array out")
      }
      let offsets = end..<(end + array.byteCount)
      header.entries.append(.init(name: array.name, dtype: array.dtype, shape: array.shape, offsets: offsets))
      end = offsets.upperBound
    }
    let text = header.serialised()
    guard text.count <= SafeTensorsHeader.maxBytes else {
      throw MediaIOError(.tooLarge, at: "safetensors header", "\(text.count) bytes of names and metadata")
    }
    return littleEndian(UInt64(text.count)) + text
  }
}
