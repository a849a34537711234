import Media

extension KVArrayLayout.Packing {
  var isFused: Bool {
    switch self {
    case .fused, .fusedPerLayer: true
    case .stacked, .perLayer: false
    }
  }

  var isPerLayer: Bool {
    switch self {
    case .perLayer, .fusedPerLayer: true
    case .stacked, .fused: false
    }
  }
}

extension KVArrayLayout {
  /// Whether the layout can hold the cache as it is.
  func fits(_ cache: KVCache) -> Bool {
    guard let first = cache.layers.first, axes.contains(.kv) == packing.isFused else { return false }
    guard Set(axes).count == axes.count, axes.contains(.channel) != axes.contains(.width) else { return false }
    guard axes.contains(.token) != axes.contains(.blocks), axes.contains(.blocks) == axes.contains(.block) else {
      return false
    }
    guard axes.contains(.head) || axes.contains(.width) || cache.layers.allSatisfy({ $0.keys.heads == 1 }) else {
      return false
    }
    if axes.contains(.block) {
      guard blockTokens >= 1, cache.layers.allSatisfy({ $0.tokens % blockTokens == 0 }) else { return false }
    }
    // One number of heads stands in the metadata.
    if axes.contains(.width), cache.layers.contains(where: { $0.keys.heads != first.keys.heads }) { return false }
    if packing.isFused {
      let isPaired = cache.layers.allSatisfy {
        $0.values?.channels == $0.keys.channels && $0.values?.element == $0.keys.element
      }
      guard isPaired else { return false }
    }
    switch packing {
    case .stacked(_, let values):
      guard (values == nil) == (first.values == nil) else { return false }
    case .fused: break
    case .perLayer(let keys, let values):
      let hasValues = cache.layers.allSatisfy { $0.values != nil }
      guard keys.count == cache.layers.count, values.count == (hasValues ? keys.count : 0) else { return false }
      guard hasValues || cache.layers.allSatisfy({ $0.values == nil }) else { return false }
    case .fusedPerLayer(let names):
      guard names.count == cache.layers.count else { return false }
    }
    if packing.isPerLayer { return !axes.contains(.layer) }
    return cache.isUniformInShape && (axes.contains(.layer) || cache.layers.count == 1)
  }

  /// A layout for any cache whose layers all have values or all have none: `standard` where shapes are equal.
  static func fallback(_ cache: KVCache) -> KVArrayLayout {
    let hasValues = cache.layers.first?.values != nil
    if cache.isUniformInShape {
      return KVArrayLayout(packing: .stacked(keys: "k", values: hasValues ? "v" : nil), axes: standard.axes)
    }
    let names = cache.layers.indices
    return KVArrayLayout(
      packing: .perLayer(keys: names.map { "layers.\($0).k" }, values: hasValues ? names.map { "layers.\($0).v" } : []),
      axes: [.head, .token, .channel])
  }
}

extension KVCache {
  /// As `isUniform`, wherever the layers begin.
  var isUniformInShape: Bool {
    var copy = self
    for i in copy.layers.indices { copy.layers[i].firstPosition = 0 }
    return copy.isUniform
  }
}

/// Makes named arrays and text metadata of a cache. The counterpart of `KVArrayReader`.
struct KVArrayWriter {
  let arrays: [KVOutgoingArray]
  let metadata: [(key: String, value: String)]
  let layout: KVArrayLayout

  /// Takes `layout` where it fits, the fallback where not; `others` follow those of the cache. Throws `MediaIOError.unsupported` for a cache that neither
  /// holds, and for arrays of one name.
  init(_ cache: KVCache, layout wanted: KVArrayLayout?, others: [KVNamedShape] = []) throws(MediaIOError) {
    var layout = wanted ?? .fallback(cache)
    if !layout.fits(cache) { layout = .fallback(cache) }
    guard let first = cache.layers.first, layout.fits(cache) else {
      throw MediaIOError(
        .unsupported, at: "cache", cache.layers.isEmpty ? "no layers" : "some layers have values and some have none")
    }
    // The names of make_kv.py's files tell whether RoPE was applied.
    if case .stacked(let keys, let values) = layout.packing, keys == "k" || keys == "k_pre" {
      layout.packing = .stacked(keys: cache.keysAreRotated ? "k" : "k_pre", values: values)
    }
    self.layout = layout

    let arrays = Self.cacheArrays(cache, layout) + cache.others.map { KVOutgoingArray($0) } + others.map { KVOutgoingArray($0) }
    var names = Set<String>()
    for array in arrays where !names.insert(array.name).inserted {
      throw MediaIOError(.unsupported, at: "array \(array.name.debugDescription)", "two arrays have this name")
    }
    self.arrays = arrays
    metadata = Self.text(cache, layout, kvHeads: first.keys.heads)
  }

  private static func cacheArrays(_ cache: KVCache, _ layout: KVArrayLayout) -> [KVOutgoingArray] {
    let layers = cache.layers
    /// `isFused` parts take `kv` 1 from the values; `isKeys` chooses otherwise.
    func array(_ name: String, _ range: Range<Int>, isKeys: Bool) -> KVOutgoingArray {
      let isFused = layout.packing.isFused
      func part(_ kv: Int, _ layer: Int, of layers: [KVLayer]) -> KVTensor {
        let layer = layers[range.lowerBound + layer]
        return isFused ? kv == 0 ? layer.keys : layer.values! : isKeys ? layer.keys : layer.values!  // `fits` saw to it
      }
      let example = part(0, 0, of: layers)
      let shape = KVArrayShape(
        axes: layout.axes, layers: range.count, tensor: example, blockTokens: max(layout.blockTokens, 1))
      let fileShape = KVArrayShape.fileShape(
        axes: layout.axes, layers: range.count, tensor: example, blockTokens: max(layout.blockTokens, 1))
      return KVOutgoingArray(
        name: name, dtype: example.element.dtype, shape: fileShape,
        byteCount: fileShape.reduce(example.element.bytes, *),
        part: { some, put throws(MediaIOError) in
          for layer in 0..<range.count {
            let first = some[range.lowerBound + layer].firstPosition - layers[range.lowerBound + layer].firstPosition
            for kv in 0..<(isFused ? 2 : 1) {
              try shape.place(part(kv, layer, of: some), kv: kv, layer: layer, first: first, put)
            }
          }
        }
      ) { sink throws(MediaIOError) in
        try shape.write(to: &sink, element: example.element) { kv, layer in part(kv, layer, of: layers) }
      }
    }
    switch layout.packing {
    case .stacked(let keys, let values):
      return [array(keys, layers.indices, isKeys: true)]
        + (values.map { [array($0, layers.indices, isKeys: false)] } ?? [])
    case .fused(let name):
      return [array(name, layers.indices, isKeys: true)]
    case .perLayer(let keys, let values):
      return layers.indices.flatMap { i in
        [array(keys[i], i..<(i + 1), isKeys: true)]
          + (values.isEmpty ? [] : [array(values[i], i..<(i + 1), isKeys: false)])
      }
    case .fusedPerLayer(let names):
      return layers.indices.map { array(names[$0], $0..<($0 + 1), isKeys: true) }
    }
  }

  private static func text(
    _ cache: KVCache, _ layout: KVArrayLayout, kvHeads: Int
  ) -> [(key: String, value: String)] {
    var pairs = [(key: "axes", value: layout.axes.map(\.rawValue).joined(separator: ","))]
    pairs.append(("rope_layout", cache.rope.rawValue))
    pairs.append(("rope_base", cache.ropeBase.description))
    if !cache.model.isEmpty { pairs.append(("model", cache.model)) }
    if !cache.keysAreRotated {
      if case .stacked(keys: "k_pre", _) = layout.packing {} else { pairs.append(("rope_applied", "false")) }
    }
    let positions = cache.layers.map(\.firstPosition)
    if positions.contains(where: { $0 != 0 }) {
      let isOne = Set(positions).count == 1
      pairs.append(
        ("first_position", isOne ? "\(positions[0])" : positions.map(String.init).joined(separator: ",")))
    }
    var mine = Set(pairs.map(\.key)).union(["rope_applied", "first_position", "model"])
    if layout.axes.contains(.width) {
      pairs.append(("kv_heads", "\(kvHeads)"))
      mine.insert("kv_heads")
    }
    return pairs + cache.metadata.filter { mine.insert($0.key).inserted }
  }
}
