import Media

/// Reads and writes what llama.cpp's `llama_state_seq_save_file` saves of one sequence (`LlamaStateParser` has the
/// grammar): f16, bf16 and f32 rows as they are, q8_0 and q4_0 as float16. What was not quantised goes back byte for byte.
///
/// Token ids become the array `tokens`; cells that a position and one sequence id do not describe, `llama.cells.N`.
enum LlamaState {
  private static let sequenceMagic: UInt32 = 0x6767_7371  // 'ggsq'
  private static let sessionMagics: [UInt32] = [0x6767_736E, 0x6767_6C61]  // 'ggsn', 'ggla'

  /// Whole sessions are recognised too, to say what to save instead.
  static func recognises(_ prefix: UnsafeRawBufferPointer) -> Bool {
    guard prefix.count >= 4 else { return false }
    let magic = prefix.integer(at: 0, as: UInt32.self)
    return magic == sequenceMagic || sessionMagics.contains(magic)
  }

  /// Throws `MediaIOError`: `truncated`, `damaged`, `unsupported`, `outOfMemory`.
  static func read(_ storage: KVStorage, options: KVReadOptions) throws(MediaIOError) -> KVCache {
    let bytes = UnsafeRawBufferPointer(storage.bytes)
    let place = "llama.cpp state"
    guard bytes.count >= 12 else { throw MediaIOError(.truncated, at: place, "\(bytes.count) bytes") }
    let version = bytes.integer(at: 4, as: UInt32.self)
    guard bytes.integer(at: 0, as: UInt32.self) == sequenceMagic else {
      throw MediaIOError(
        .unsupported, at: place,
        "a whole session (version \(version)), of which one sequence is wanted; save it with llama_state_seq_save_file")
    }
    guard LlamaStateParser.versions.contains(version) else {
      let known = LlamaStateParser.versions.map(String.init).joined(separator: " and ")
      throw MediaIOError(.unsupported, at: place, "version \(version); versions \(known) are read")
    }
    let tokens = Int(bytes.integer(at: 8, as: UInt32.self))
    guard tokens <= (bytes.count - 12) / 4 else {
      throw MediaIOError(.truncated, at: place, "the file ends inside its \(tokens) tokens")
    }
    let start = 12 + 4 * tokens
    let sections = try LlamaStateParser.sections(bytes, from: start)
    defer { withExtendedLifetime(storage) {} }

    var layers: [KVLayer] = []
    var others: [KVNamedTensor] = []
    if tokens > 0 {
      others.append(KVNamedTensor(name: "tokens", dtype: "I32", shape: [tokens], storage: storage, range: 12..<start))
    }
    var layout = KVLlamaLayout(version: version, sections: [])
    var notices: [String] = []
    // Windowed layers may have heads of their own size; blocks divide both.
    var channels = 0
    for section in sections {
      for keys in section.keys {
        channels = gcd(channels, try keys.width / heads(keys, section.values.first, options, &notices))
      }
    }
    let quantised = LlamaQuantisedRows(sections, bytes, channels: channels, areTurned: options.quantisedRowsAreTurned)
    if quantised.keyBlock > 1 || quantised.valueBlock > 1 {
      notices.append("quantised rows hold keys and values after llama.cpp's attention rotation, which was undone")
    }
    for (number, section) in sections.enumerated() {
      for (i, keys) in section.keys.enumerated() {
        let values = section.values.isEmpty ? nil : section.values[i]
        let heads = try heads(keys, values, options, &notices)
        layers.append(
          KVLayer(
            keys: try tensor(keys, storage, heads: heads, tokens: section.cellCount, quantised, quantised.keyBlock),
            values: try values.map { rows throws(MediaIOError) in
              try tensor(rows, storage, heads: heads, tokens: section.cellCount, quantised, quantised.valueBlock)
            }, firstPosition: section.firstPosition))
      }
      if section.sequence == nil {
        others.append(
          KVNamedTensor(
            name: "llama.cells.\(number)", dtype: "U8", shape: [section.cells.count], storage: storage,
            range: section.cells))
      }
      layout.sections.append(
        .init(
          layers: section.keys.count, streams: section.streams, stream: section.stream,
          valuesAreTransposed: section.valuesAreTransposed, sequence: section.sequence))
    }
    var cache = KVCache(
      layers: layers, keysAreRotated: options.keysAreRotated ?? true, rope: options.ropeLayout ?? .interleaved,
      ropeBase: options.ropeBase ?? 10_000, model: options.model ?? "", others: others, source: .llamaState(layout))
    cache.notices = notices
    return cache
  }

  /// The file has rows of all heads and does not say how many these are.
  private static func heads(
    _ keys: LlamaStateParser.Rows, _ values: LlamaStateParser.Rows?, _ options: KVReadOptions, _ notices: inout [String]
  ) throws(MediaIOError) -> Int {
    let widths = [keys.width, values?.width ?? keys.width]
    var heads = 1
    if let told = options.kvHeads {
      guard told >= 1, widths.allSatisfy({ $0 % told == 0 }) else {
        throw MediaIOError(
          .damaged, at: "llama.cpp state", "rows of \(widths[0]) and \(widths[1]) do not divide among \(told) KV heads")
      }
      heads = told
    } else if values != nil, let size = [128, 64].first(where: { size in widths.allSatisfy { $0 % size == 0 } }) {
      heads = keys.width / size
      if widths[1] % heads != 0 { heads = 1 }
      let notice = "rows of \(keys.width) were taken for \(heads) KV heads of \(keys.width / heads); say how many they are"
      if heads > 1, !notices.contains(notice) { notices.append(notice) }
    }
    guard heads <= KVArrayShape.maxHeads, widths.allSatisfy({ $0 / heads <= KVArrayShape.maxChannels }) else {
      throw MediaIOError(.tooLarge, at: "llama.cpp state", "rows of \(widths[0]) and \(widths[1]) for \(heads) heads")
    }
    return heads
  }

  private static func gcd(_ a: Int, _ b: Int) -> Int { b == 0 ? a : gcd(b, a % b) }

  /// A view where the rows stand as they are, a copy where they are quantised, transposed or not aligned.
  private static func tensor(
    _ rows: LlamaStateParser.Rows, _ storage: KVStorage, heads: Int, tokens: Int, _ quantised: LlamaQuantisedRows,
    _ block: Int
  ) throws(MediaIOError) -> KVTensor {
    let element = rows.type.element
    let channels = rows.width / heads
    let (rowBytes, size) = (rows.width * element.bytes, element.bytes)
    let isPlain = !rows.type.isQuantised && !rows.isTransposed
    if isPlain,
      let view = KVTensor(
        heads: heads, tokens: tokens, channels: channels, element: element, storage: storage, offset: rows.start,
        headStride: channels * size, tokenStride: rowBytes)
    {
      return view
    }
    guard let copy = KVTensor(zeroedHeads: heads, tokens: tokens, channels: channels, element: element, isScratch: true) else {
      throw MediaIOError(.outOfMemory, at: "llama.cpp state", "no memory to reorder \(tokens) rows of \(rows.width)")
    }
    let bytes = UnsafeRawBufferPointer(storage.bytes)
    if rows.type.isQuantised {
      quantised.read(rows, bytes, block: block, to: copy)
      return copy
    }
    let target = copy.storage.bytes
    for head in 0..<heads {
      for token in 0..<tokens {
        let to = head * copy.headStride + token * copy.tokenStride
        for channel in 0..<channels {
          let index = head * channels + channel
          if rows.isTransposed {
            let (from, at) = (rows.start + (index * tokens + token) * size, to + channel * size)
            if size == 2 {
              let element = bytes.loadUnaligned(fromByteOffset: from, as: UInt16.self)
              target.storeBytes(of: element, toByteOffset: at, as: UInt16.self)
            } else {
              let element = bytes.loadUnaligned(fromByteOffset: from, as: UInt32.self)
              target.storeBytes(of: element, toByteOffset: at, as: UInt32.self)
            }
          } else {
            let from = rows.start + token * rowBytes + index * size
            for k in 0..<size { target[to + channel * size + k] = bytes[from + k] }
          }
        }
      }
    }
    return copy
  }

  /// Throws `MediaIOError`: what the sink throws, `unsupported` for a cache that llama.cpp could not hold.
  static func write(_ cache: KVCache, to sink: inout KVByteSink) throws(MediaIOError) {
    let layout = try layout(cache)
    try sink.write(sequenceMagic)
    try sink.write(layout.version)
    let tokens = cache.others.first { $0.name == "tokens" && $0.dtype == "I32" }
    var tokenBytes = tokens?.bytes ?? []
    if case .llamaState = cache.source {
    } else {
      // Other files hold tokens beyond the cache, to judge it with.
      let held = cache.layers.reduce(0) { max($0, $1.firstPosition + $1.tokens) }
      tokenBytes = Array(tokenBytes.prefix(4 * held))
    }
    try sink.write(UInt32(tokenBytes.count / 4))
    try sink.write(tokenBytes)
    var first = 0
    for (number, section) in layout.sections.enumerated() {
      if section.streams > 0 { try sink.write(UInt32(section.streams)) }
      for stream in 0..<max(section.streams, 1) {
        guard stream == section.stream else {
          try sink.write(UInt32(0))
          continue
        }
        let layers = cache.layers[first..<(first + section.layers)]
        let cells = cache.others.first { $0.name == "llama.cells.\(number)" && $0.dtype == "U8" }
        try write(Array(layers), section, cells: section.sequence == nil ? cells : nil, to: &sink)
      }
      first += section.layers
    }
  }

  private static func layout(_ cache: KVCache) throws(MediaIOError) -> KVLlamaLayout {
    func refused(_ reason: String) -> MediaIOError { MediaIOError(.unsupported, at: "llama.cpp state", reason) }
    guard !cache.layers.isEmpty else { throw refused("no layers") }
    guard cache.keysAreRotated else { throw refused("llama.cpp holds keys after RoPE, these are before it") }
    guard !cache.others.contains(where: { $0.name == KVCache.positionsName }) else {
      throw refused("llama.cpp's cells hold one position for all heads, and these heads kept tokens of their own")
    }
    var layout = KVLlamaLayout(sections: [
      .init(layers: cache.layers.count, streams: 1, stream: 0, valuesAreTransposed: false, sequence: 0)
    ])
    if case .llamaState(let source) = cache.source {
      let isSane = source.sections.allSatisfy {
        $0.layers >= 1 && $0.layers <= cache.layers.count && (0...LlamaStateParser.maxStreams).contains($0.streams)
          && $0.stream >= 0 && $0.stream < max($0.streams, 1)
      }
      if isSane, source.sections.reduce(0, { $0 + $1.layers }) == cache.layers.count { layout = source }
    }
    var first = 0
    for (number, section) in layout.sections.enumerated() {
      let layers = cache.layers[first..<(first + section.layers)]
      let (tokens, position) = (layers[first].tokens, layers[first].firstPosition)
      guard layers.allSatisfy({ $0.tokens == tokens && $0.firstPosition == position }) else {
        throw refused("layers of unequal length cannot share cells")
      }
      guard tokens >= 1, tokens <= Int(Int32.max), position >= 0, position <= Int(Int32.max) - tokens else {
        throw refused("\(tokens) tokens from position \(position)")
      }
      let hasValues = layers.filter { $0.values != nil }.count
      guard hasValues == layers.count || (hasValues == 0 && number == layout.sections.count - 1) else {
        throw refused("some layers have values and some have none")
      }
      first += section.layers
    }
    return layout
  }

  private static func write(
    _ layers: [KVLayer], _ section: KVLlamaLayout.Section, cells: KVNamedTensor?, to sink: inout KVByteSink
  ) throws(MediaIOError) {
    let (tokens, position) = (layers[0].tokens, layers[0].firstPosition)
    try sink.write(UInt32(tokens))
    if let cells, cells.withUnsafeBytes({ LlamaStateParser.areCells($0, count: tokens) }) {
      try sink.write(cells.bytes)
    } else {
      for token in 0..<tokens {
        try sink.write(Int32(position + token))
        try sink.write(UInt32(1))
        try sink.write(section.sequence ?? 0)
      }
    }
    try sink.write(UInt32(section.valuesAreTransposed ? 1 : 0))
    try sink.write(UInt32(layers.count))
    for layer in layers { try writeRows(layer.keys, to: &sink) }
    for layer in layers {
      guard let values = layer.values else { break }
      if section.valuesAreTransposed {
        try writeElements(values, to: &sink)
      } else {
        try writeRows(values, to: &sink)
      }
    }
  }

  private static func writeRows(_ tensor: KVTensor, to sink: inout KVByteSink) throws(MediaIOError) {
    try sink.write(GGMLType(tensor.element).rawValue)
    try sink.write(UInt64(tensor.heads * tensor.rowBytes))
    for token in 0..<tensor.tokens {
      for head in 0..<tensor.heads { try sink.write(UnsafeRawBufferPointer(tensor.row(head: head, token: token))) }
    }
    withExtendedLifetime(tensor) {}
  }

  private static func writeElements(_ tensor: KVTensor, to sink: inout KVByteSink) throws(MediaIOError) {
    let size = tensor.element.bytes
    try sink.write(GGMLType(tensor.element).rawValue)
    try sink.write(UInt32(size))
    try sink.write(UInt32(tensor.heads * tensor.channels))
    var column = [UInt8](repeating: 0, count: tensor.tokens * size)
    for head in 0..<tensor.heads {
      for channel in 0..<tensor.channels {
        for token in 0..<tensor.tokens {
          let row = tensor.row(head: head, token: token)
          for k in 0..<size { column[token * size + k] = row[channel * size + k] }
        }
        try sink.write(column)
      }
    }
    withExtendedLifetime(tensor) {}
  }
}
