// The KV-cache codec under libFuzzer, behind a good container: any bytes either give a cache of the declared shape or are
// refused. The first byte chooses a good file to start from, the second what the rest is: a payload as it is; changes to a
// good payload; changes to the configuration; a carried tensor's payload; the levels. Files are decoded in one level or in
// several, and appended to.

/// Files that chance made, for mutations to start from.
private let seeds: [Container] = [
  (KVElement.float16, KVCacheEncoder.Target.quality(30), [], 2, 40, 33, 1), (.bfloat16, .quality(95), [], 1, 9, 5, 1),
  (.float32, .lossless, [], 2, 30, 7, 1), (.float16, .lossless, [], 1, 300, 20, 1), (.float32, .quality(60), [], 3, 1, 1, 1),
  (.float16, .quality(40), [], 2, 70, 8, 5), (.bfloat16, .quality(90), [60, 30], 1, 40, 33, 5),
  (.float16, .cacheGen(.paper, level: 2), [], 2, 40, 12, 1), (.float32, .cacheGen(.released, level: 1), [], 1, 30, 7, 1),
  (.float16, .lossless, [70, 20], 2, 60, 9, 1),
].map { element, target, levels, heads, tokens, channels, effort in
  var options = KVCacheEncoder.Options()
  (options.target, options.levels, options.chunkTokens, options.threads, options.effort) = (target, levels, 25, 1, effort)
  let cache = cache(element, heads: heads, tokens: tokens, channels: channels, hasAllValues: effort > 1)
  return try! Container(reading: KVCacheEncoder(options: options).encode(cache).bytes)
}

private func cache(_ element: KVElement, heads: Int, tokens: Int, channels: Int, hasAllValues: Bool = false) -> KVCache {
  let tensor = KVTensor(heads: heads, tokens: tokens, channels: channels, element: element)
  for row in 0..<heads * tokens {
    tensor.withMutableRow(head: row / tokens, token: row % tokens) { bytes in
      for i in bytes.indices { bytes[i] = UInt8(truncatingIfNeeded: (row * 31 + i * 17) % 53 * (i % element.bytes == 0 ? 5 : 1)) }
    }
  }
  var cache = KVCache(layers: [KVLayer(keys: tensor, values: tensor), KVLayer(keys: tensor, values: hasAllValues ? tensor : nil)])
  cache.others = [KVNamedTensor(name: "tokens", dtype: "I32", shape: [30], bytes: [UInt8](repeating: 7, count: 120))]
  return cache
}

/// What the last seed goes on with.
private let longer = cache(.float16, heads: 2, tokens: 70, channels: 9)

/// Pairs of place and change.
private func changed(_ bytes: ArraySlice<UInt8>, by rest: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  var bytes = Array(bytes)
  var rest = rest
  while rest.count >= 3, !bytes.isEmpty {
    let triple = Array(rest.prefix(3))
    bytes[(Int(triple[0]) << 8 | Int(triple[1])) % bytes.count] ^= triple[2]
    rest = rest.dropFirst(3)
  }
  return bytes[...]
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKVCache(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard input.count >= 2 else { return 0 }
  var container = seeds[Int(input[0]) % seeds.count]
  let rest = input[2...]
  let payload = Int(input[1] >> 3) % container.payloads.count
  switch input[1] & 7 {
  case 0: container.payloads[payload].data = rest
  case 1: container.tracks[0].configuration = changed(container.tracks[0].configuration, by: rest)
  case 2: container.tracks[1].configuration = changed(container.tracks[1].configuration, by: rest)
  case 3: container.tracks[0].configuration = rest
  case 4:
    container.metadata = [
      .levels(zip(rest, rest.dropFirst()).map { Levels.Level(track: UInt32($0 % 4), quality: $1 % 110) }),
    ]
  default: container.payloads[payload].data = changed(container.payloads[payload].data, by: rest)
  }
  guard let file = try? container.serialised() else { return 0 }
  var options = KVCacheDecoder.Options()
  (options.threads, options.maxMemory) = (1, 64 << 20)
  if input[0] & 64 != 0 { options.tokens = 3..<20 }
  if input[0] & 32 != 0 { options.level = Int(input[0] >> 3 & 3) }
  if input[0] & 128 != 0 {
    options.levels = [Int(input[0] >> 3 & 1), Int(input[0] >> 4 & 1), Int(input[0] >> 5 & 1)]
    _ = try? KVCacheFile(reading: file)
    _ = try? KVCacheEncoder().append(longer, to: file)
  }
  guard let cache = try? KVCacheDecoder(options: options).decode(file) else {
    // Whatever comes of it takes no more memory.
    try? KVCacheDecoder(options: options).decode(MemorySource(file), into: KVElementsSum())
    return 0
  }
  precondition(!cache.layers.isEmpty && cache.byteCount <= 64 << 20, "the declared shape")
  let parts = KVElementsSum()
  try! KVCacheDecoder(options: options).decode(MemorySource(file), into: parts)
  precondition(parts.crc32 == cache.elementsCRC32, "the same part by part")
  return 0
}
