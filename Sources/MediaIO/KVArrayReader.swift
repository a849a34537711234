import Media

/// Makes a cache of a file's named arrays and text metadata. The counterpart of `KVArrayWriter`.
///
/// Metadata: `axes`, `rope_layout`, `rope_base`, `model`, `rope_applied` ("false" for keys before RoPE that are not
/// named `k_pre`), `first_position` (one number, or one per layer), `kv_heads`. What options say goes first.
struct KVArrayReader {
  private let arrays: [KVNamedTensor]
  private let options: KVReadOptions
  private var metadata: [String: String] = [:]
  /// Indices of `arrays` that are not carried along.
  private var used = Set<Int>()

  /// Throws `MediaIOError`: `unsupported`, `damaged`, `tooLarge`, `outOfMemory`.
  static func read(
    _ arrays: [KVNamedTensor], metadata: [(key: String, value: String)], options: KVReadOptions,
    layout: (KVArrayLayout) -> KVFileLayout
  ) throws(MediaIOError) -> KVCache {
    var reader = KVArrayReader(arrays: arrays, options: options)
    reader.metadata = Dictionary(metadata.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    let found = try reader.find()
    var cache = try reader.cache(found, layout: layout)
    let consumed: Set = ["axes", "rope_layout", "rope_base", "model", "rope_applied", "first_position"]
    cache.metadata = metadata.filter { !consumed.contains($0.key) }
    return cache
  }

  private init(arrays: [KVNamedTensor], options: KVReadOptions) {
    self.arrays = arrays
    self.options = options
  }

  /// Where keys and values are.
  private struct Found {
    var packing: KVArrayLayout.Packing
    /// Indices of `arrays`: one, or one per layer. Values are empty where none are, or where keys hold both.
    var keys: [Int]
    var values: [Int] = []
    var keysAreRotated = true
    /// What a file is taken for that does not say.
    var rope = RopeLayout.halves
  }

  private mutating func find() throws(MediaIOError) -> Found {
    let named = Dictionary(arrays.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    if let keys = named["k"] ?? named["k_pre"] {
      let isRotated = named["k"] != nil
      let values = named["v"]
      if isRotated, options.dropsUnrotatedKeys, let pre = named["k_pre"] { used.insert(pre) }
      return Found(
        packing: .stacked(keys: arrays[keys].name, values: values.map { arrays[$0].name }), keys: [keys],
        values: values.map { [$0] } ?? [], keysAreRotated: isRotated, rope: .interleaved)
    }
    if let found = try KVLayerNames(arrays.map(\.name)).map({ names throws(MediaIOError) in try perLayer(names) }) {
      return found
    }
    let fused = named["kv"] ?? named["kv_cache"] ?? (arrays.count == 1 ? 0 : nil)
    guard let fused else {
      let names = arrays.prefix(8).map(\.name.debugDescription).joined(separator: ", ")
      throw MediaIOError(
        .unsupported, at: "arrays \(names)",
        "none is named as a cache's: k and v, kv, or per layer layers.0.k, key_cache.0, past_key_values.0.key")
    }
    return Found(packing: .fused(arrays[fused].name), keys: [fused])
  }

  private func perLayer(_ names: KVLayerNames) throws(MediaIOError) -> Found {
    if !names.fused.isEmpty {
      return Found(packing: .fusedPerLayer(names.fused.map { arrays[$0].name }), keys: names.fused)
    }
    guard names.values.isEmpty || names.values.count == names.keys.count else {
      throw MediaIOError(
        .damaged, at: "per-layer arrays", "\(names.keys.count) layers of keys and \(names.values.count) of values")
    }
    return Found(
      packing: .perLayer(keys: names.keys.map { arrays[$0].name }, values: names.values.map { arrays[$0].name }),
      keys: names.keys, values: names.values, keysAreRotated: !names.keysAreBeforeRope)
  }

  private func axes(_ found: Found) throws(MediaIOError) -> [KVAxis] {
    let shape = arrays[found.keys[0]].shape
    if let text = options.axes ?? metadata["axes"] {
      let axes = try KVAxis.list(text)
      let isBatched = shape.count == axes.count + 1 && shape[0] == 1 && !axes.contains(.batch)
      return isBatched ? [.batch] + axes : axes
    }
    switch (found.packing, shape.count) {
    case (.stacked, 4): return [.layer, .head, .token, .channel]
    case (.stacked, 5): return [.batch, .layer, .head, .token, .channel]
    case (.stacked, 3): return [.layer, .token, .channel]
    case (.fused, 4): return [.kv, .layer, .token, .width]
    case (.fused, 5): return [.kv, .layer, .head, .token, .channel]
    case (.perLayer, 4): return [.batch, .head, .token, .channel]
    case (.perLayer, 3): return [.head, .token, .channel]
    case (.fusedPerLayer, 5): return [.kv, .blocks, .block, .head, .channel]
    default:
      throw MediaIOError(
        .unsupported, at: "array \(arrays[found.keys[0]].name.debugDescription)",
        "the shape \(shape) is none that is known; name its axes")
    }
  }

  private mutating func cache(_ found: Found, layout: (KVArrayLayout) -> KVFileLayout) throws(MediaIOError) -> KVCache {
    let axes = try axes(found)
    let isFused = found.packing.isFused
    guard axes.contains(.kv) == isFused else {
      let reason = isFused ? "one array holds keys and values, so kv is needed" : "keys and values are arrays of their own"
      throw wrongAxes(axes, reason)
    }
    guard !found.packing.isPerLayer || !axes.contains(.layer) else {
      throw wrongAxes(axes, "each layer is an array of its own")
    }
    guard found.keys.count <= KVArrayShape.maxLayers else {
      throw MediaIOError(.tooLarge, at: "per-layer arrays", "more than \(KVArrayShape.maxLayers) layers")
    }

    var layers: [KVLayer] = []
    var blockTokens = 0
    for (at, index) in found.keys.enumerated() {
      let keys = try part(index, axes)
      let values = isFused ? keys : found.values.isEmpty ? nil : try part(found.values[at], axes)
      blockTokens = axes.contains(.block) ? keys.shape.slots : 0
      if let values {
        let (a, b) = (keys.shape, values.shape)
        guard a.layers == b.layers, a.heads == b.heads, a.tokens == b.tokens else {
          throw MediaIOError(
            .damaged, at: "array \(arrays[found.values[at]].name.debugDescription)",
            "\(b.layers) layers, \(b.heads) heads, \(b.tokens) tokens of values for \(a.layers), \(a.heads), \(a.tokens) "
              + "of keys")
        }
      }
      for layer in 0..<keys.shape.layers {
        layers.append(
          KVLayer(
            keys: try keys.shape.tensor(keys.array, element: keys.element, kv: 0, layer: layer),
            values: try values.map { v throws(MediaIOError) in
              try v.shape.tensor(v.array, element: v.element, kv: isFused ? 1 : 0, layer: layer)
            }))
      }
      used.insert(index)
    }
    used.formUnion(found.values)
    try placeLayers(&layers)

    let source = layout(KVArrayLayout(packing: found.packing, axes: axes, blockTokens: blockTokens))
    var cache = KVCache(layers: layers, source: source)
    try describe(&cache, found)
    cache.others = arrays.indices.filter { !used.contains($0) }.map { arrays[$0] }
    return cache
  }

  private func wrongAxes(_ axes: [KVAxis], _ reason: String) -> MediaIOError {
    MediaIOError(.unsupported, at: "axes \(axes.map(\.rawValue).joined(separator: ","))", reason)
  }

  private func part(
    _ index: Int, _ axes: [KVAxis]
  ) throws(MediaIOError) -> (array: KVNamedTensor, element: KVElement, shape: KVArrayShape) {
    let array = arrays[index]
    let place = "array \(array.name.debugDescription)"
    let isBits = options.uint16IsBFloat16 && array.dtype == "U16"
    guard let element = isBits ? .bfloat16 : KVElement(dtype: array.dtype) else {
      let advice = array.dtype == "U16" ? "; if it is bfloat16, say so" : ""
      throw MediaIOError(.unsupported, at: place, "elements of \(array.dtype); F16, BF16 and F32 are read\(advice)")
    }
    var kvHeads = options.kvHeads
    if kvHeads == nil, axes.contains(.width), let text = metadata["kv_heads"] {
      guard let count = Int(text) else {
        throw MediaIOError(.damaged, at: "metadata kv_heads", "\(text.prefix(40).debugDescription) is no number")
      }
      kvHeads = count
    }
    return (array, element, try KVArrayShape(axes: axes, shape: array.shape, kvHeads: kvHeads, place: place))
  }

  private func placeLayers(_ layers: inout [KVLayer]) throws(MediaIOError) {
    guard let text = metadata["first_position"] else { return }
    let numbers = text.split(separator: ",", maxSplits: KVArrayShape.maxLayers, omittingEmptySubsequences: false)
      .map { Int($0) }
    guard numbers.count == 1 || numbers.count == layers.count else {
      throw MediaIOError(.damaged, at: "metadata first_position", "\(numbers.count) numbers for \(layers.count) layers")
    }
    for i in layers.indices {
      guard let position = numbers[numbers.count == 1 ? 0 : i], (0...Int(Int32.max)).contains(position) else {
        throw MediaIOError(.damaged, at: "metadata first_position", "not a position for every layer")
      }
      layers[i].firstPosition = position
    }
  }

  private func describe(_ cache: inout KVCache, _ found: Found) throws(MediaIOError) {
    cache.rope = found.rope
    if let rope = options.ropeLayout {
      cache.rope = rope
    } else if let text = metadata["rope_layout"] {
      guard let rope = RopeLayout(rawValue: text) else {
        let known = RopeLayout.allCases.map(\.rawValue).joined(separator: ", ")
        throw MediaIOError(
          .unsupported, at: "metadata rope_layout", "\(text.prefix(40).debugDescription) is none of \(known)")
      }
      cache.rope = rope
    }
    if let base = options.ropeBase {
      cache.ropeBase = base
    } else if let text = metadata["rope_base"] {
      guard let base = Double(text), base.isFinite, base > 0 else {
        throw MediaIOError(.damaged, at: "metadata rope_base", "\(text.prefix(40).debugDescription) is no base")
      }
      cache.ropeBase = base
    }
    cache.model = options.model ?? metadata["model"] ?? ""
    cache.keysAreRotated = options.keysAreRotated ?? (found.keysAreRotated && metadata["rope_applied"] != "false")
  }
}

/// Arrays named per layer: a number between dots, and beside it a word for keys, values or both.
struct KVLayerNames {
  /// Indices into the names, by layer from 0 on.
  private(set) var keys: [Int] = []
  private(set) var values: [Int] = []
  private(set) var fused: [Int] = []
  private(set) var keysAreBeforeRope = false

  private enum Part: Hashable { case keys, keysBeforeRope, values, fused }

  private static let words: [Substring: Part] = [
    "k": .keys, "key": .keys, "keys": .keys, "key_cache": .keys, "k_cache": .keys, "k_pre": .keysBeforeRope,
    "v": .values, "value": .values, "values": .values, "value_cache": .values, "v_cache": .values, "kv": .fused,
    "kv_cache": .fused,
  ]

  /// Nil where no names are of this kind. Throws `MediaIOError.damaged` where a layer is missing or stands twice.
  init?(_ names: [String]) throws(MediaIOError) {
    var found: [Part: [Int: Int]] = [:]
    for (index, name) in names.enumerated() {
      let parts = name.split(separator: ".")
      let numbers = parts.filter { $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }.map { Int($0) }
      guard numbers.count == 1, let layer = numbers[0], let part = parts.lazy.compactMap({ Self.words[$0] }).last else {
        continue
      }
      guard found[part, default: [:]].updateValue(index, forKey: layer) == nil else {
        throw MediaIOError(.damaged, at: "array \(name.debugDescription)", "layer \(layer) stands twice")
      }
    }
    func inOrder(_ part: Part) throws(MediaIOError) -> [Int] {
      guard let layers = found[part] else { return [] }
      var order: [Int] = []
      for layer in 0..<layers.count {
        guard let index = layers[layer] else {
          throw MediaIOError(.damaged, at: "per-layer arrays", "\(layers.count) layers, but none is number \(layer)")
        }
        order.append(index)
      }
      return order
    }
    fused = try inOrder(.fused)
    keys = try inOrder(.keys)
    if keys.isEmpty {
      keys = try inOrder(.keysBeforeRope)
      keysAreBeforeRope = true
    }
    values = try inOrder(.values)
    guard !fused.isEmpty || !keys.isEmpty else { return nil }
  }
}
