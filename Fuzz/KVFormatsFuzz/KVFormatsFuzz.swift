// Files of KV caches under libFuzzer: as they are; behind a safetensors length and an .npy header's length, so that their
// grammars are reached; and as a good .npz member. What is read can be written, and reads again as the same layers.
// Fuzz/KVFormatsFuzz/seeds is a link to the fixtures.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKVFormats(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  var options = KVReadOptions()
  options.maxBytes = 1 << 24
  check(input, options)
  guard let choice = input.first else { return 0 }
  let rest = Array(input.dropFirst())
  if choice & 1 != 0 { options.kvHeads = 2 }
  if choice & 2 != 0 { options.uint16IsBFloat16 = true }
  if choice & 4 != 0 { options.dropsUnrotatedKeys = true }
  if choice & 8 != 0 { options.quantisedRowsAreTurned = true }
  switch choice >> 4 {
  case 0, 1:
    // Everything to the first zero byte is the header.
    let header = rest.prefix { $0 != 0 }
    check((0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + rest, options)
  case 2, 3:
    let header = rest.prefix { $0 != 0 && $0 != 0x0A }
    let length = [UInt8(truncatingIfNeeded: header.count), UInt8(truncatingIfNeeded: header.count >> 8)]
    check([0x93] + Array("NUMPY".utf8) + [1, 0] + length + rest, options)
  case 4, 5:
    let magic: [UInt8] = [0x71, 0x73, 0x67, 0x67, 2 + choice >> 4 & 1, 0, 0, 0, 0, 0, 0, 0]
    check(magic + rest, options)
  case 6:
    // The axes are what the user says.
    let text = rest.prefix { $0 != 0 }
    options.axes = String(decoding: text, as: UTF8.self)
    check(Array(rest.dropFirst(text.count + 1)), options)
  default: check(rest, options)
  }
  return 0
}

func check(_ bytes: [UInt8], _ options: KVReadOptions) {
  guard let cache = try? KVCacheReader.read(bytes, options: options) else { return }
  // Memory is of the order of the file; deflate makes 1032 bytes of one, copies of reordered arrays two of one.
  precondition(cache.byteCount <= 4 * 1032 * bytes.count, "memory in proportion")
  for format in KVFileFormat.allCases {
    guard let written = try? KVCacheWriter.bytes(cache, format: format) else { continue }
    if format == .numPy || format == .llamaState { continue }  // they leave out the axes, or how many heads there are
    guard let again = try? KVCacheReader.read(written) else { preconditionFailure("what was written is read") }
    precondition(again.layers.count == cache.layers.count, "as many layers")
    for (a, b) in zip(again.layers, cache.layers) {
      precondition(a.keys.hasSameBits(as: b.keys) && a.firstPosition == b.firstPosition, "the same keys")
      precondition((a.values == nil) == (b.values == nil), "values or none")
      if let u = a.values, let v = b.values { precondition(u.hasSameBits(as: v), "the same values") }
    }
  }
  if case .llamaState = cache.source, !cache.layers.contains(where: { $0.keys.element == .float16 }) {
    // f32 and bf16 rows were not quantised, so the file comes back.
    guard let written = try? KVCacheWriter.bytes(cache) else { preconditionFailure("a state is written back") }
    let values = cache.layers.contains { $0.values?.element == .float16 }
    precondition(values || written == bytes, "byte for byte")
  }
}
