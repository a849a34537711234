import Bitstream
import Coding
import Media

/// The syntax' element types and the media's, name for name.
extension KVLayerGroup.Element {
  init(_ element: KVElement) {
    switch element {
    case .float16: self = .float16
    case .bfloat16: self = .bfloat16
    case .float32: self = .float32
    }
  }

  var media: KVElement {
    switch self {
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .float32: .float32
    }
  }
}

extension KVConfiguration.Rope {
  init(_ rope: RopeLayout) {
    switch rope {
    case .none: self = .none
    case .interleaved: self = .interleaved
    case .halves: self = .halves
    }
  }

  var media: RopeLayout {
    switch self {
    case .none: .none
    case .interleaved: .interleaved
    case .halves: .halves
    }
  }
}

/// In the order of their numbers in the syntax.
private let axisNumbers: [KVAxis] = [.batch, .kv, .layer, .head, .token, .channel, .width, .blocks, .block]

extension KVLayoutSyntax {
  /// The inverse is `media`.
  init(_ layout: KVFileLayout) {
    self.init()
    switch layout {
    case .safeTensors(let arrays): fill(.safeTensors, arrays)
    case .numPy(let arrays): fill(.numPy, arrays)
    case .numPyArchive(let arrays): fill(.numPyArchive, arrays)
    case .llamaState(let state):
      format = .llamaState
      version = state.version
      sections = state.sections.map { section in
        var syntax = KVSectionSyntax()
        syntax.layers = UInt32(clamping: section.layers)
        syntax.streams = UInt32(clamping: section.streams)
        syntax.stream = UInt32(clamping: section.stream)
        syntax.valuesAreTransposed = section.valuesAreTransposed
        syntax.sequence = section.sequence.map(UInt32.init(bitPattern:))
        return syntax
      }
    }
  }

  private mutating func fill(_ format: Format, _ arrays: KVArrayLayout) {
    self.format = format
    switch arrays.packing {
    case .stacked(let keys, let values):
      packing = .stacked
      self.keys = [KVArrayName(keys)]
      self.values = values.map { [KVArrayName($0)] } ?? []
    case .fused(let name):
      packing = .fused
      keys = [KVArrayName(name)]
    case .perLayer(let keys, let values):
      packing = .perLayer
      self.keys = keys.map { KVArrayName($0) }
      self.values = values.map { KVArrayName($0) }
    case .fusedPerLayer(let names):
      packing = .fusedPerLayer
      keys = names.map { KVArrayName($0) }
    }
    axes = ArraySlice(arrays.axes.map { axis in UInt8(axisNumbers.firstIndex(of: axis)!) })
    blockTokens = UInt32(clamping: arrays.blockTokens)
  }

  /// What the layout says of a file; the standard one of safetensors where it makes no sense, which harms nothing.
  var media: KVFileLayout {
    if format == .llamaState {
      return .llamaState(
        KVLlamaLayout(
          version: version, sections: sections.map {
            KVLlamaLayout.Section(
              layers: Int($0.layers), streams: Int($0.streams), stream: Int($0.stream),
              valuesAreTransposed: $0.valuesAreTransposed, sequence: $0.sequence.map(Int32.init(bitPattern:)))
          }))
    }
    let packing: KVArrayLayout.Packing
    switch self.packing {
    case .stacked where keys.count == 1 && values.count <= 1:
      packing = .stacked(keys: keys[0].name, values: values.first?.name)
    case .fused where keys.count == 1: packing = .fused(keys[0].name)
    case .perLayer: packing = .perLayer(keys: keys.map(\.name), values: values.map(\.name))
    case .fusedPerLayer: packing = .fusedPerLayer(keys.map(\.name))
    default: return .safeTensors(.standard)
    }
    let layout = KVArrayLayout(
      packing: packing, axes: axes.map { axisNumbers[Int($0)] }, blockTokens: Int(blockTokens))
    switch format {
    case .numPy: return .numPy(layout)
    case .numPyArchive: return .numPyArchive(layout)
    case .safeTensors, .llamaState: return .safeTensors(layout)
    }
  }
}

extension KVConfiguration {
  /// Throws `CodecError` (unsupported) for caches whose layers do not fit together.
  init(_ cache: KVCache, scheme: Scheme, chunkTokens: Int) throws {
    var groups: [KVLayerGroup] = []
    var end: Int?
    for (number, layer) in cache.layers.enumerated() {
      if let values = layer.values, values.heads != layer.keys.heads || values.tokens != layer.keys.tokens {
        throw CodecError(
          .unsupported,
          "layer \(number) has keys of \(layer.keys.heads) heads and \(layer.keys.tokens) tokens, but values of \(values.heads) and \(values.tokens). Check the layout that was given.")
      }
      let last = layer.firstPosition + layer.tokens
      guard end == nil || end == last else {
        throw CodecError(
          .unsupported, "layer \(number) ends at token \(last), those before it at \(end!). Layers have to end at the same token.")
      }
      end = last
      guard layer.firstPosition >= 0, last <= Int(UInt32.max), layer.keys.heads <= 65_536, layer.keys.channels <= 65_536,
        (layer.values?.channels ?? 1) <= 65_536,
        layer.keys.heads * max(layer.keys.channels, layer.values?.channels ?? 1) <= KVLayerGroup.maximumWidth
      else {
        throw CodecError(.limitExceeded, "layer \(number) is larger than the format allows")
      }
      var group = KVLayerGroup()
      group.firstPosition = UInt32(layer.firstPosition)
      group.keyHeads = UInt32(layer.keys.heads)
      group.keyChannels = UInt32(layer.keys.channels)
      group.keyElement = KVLayerGroup.Element(layer.keys.element)
      if let values = layer.values {
        group.valueHeads = UInt32(values.heads)
        group.valueChannels = UInt32(values.channels)
        group.valueElement = KVLayerGroup.Element(values.element)
      }
      if var last = groups.last {
        let count = last.count
        last.count = 1
        if last == group {
          groups[groups.count - 1].count = count + 1
          continue
        }
      }
      groups.append(group)
    }
    guard !groups.isEmpty, cache.layers.count <= Self.maximumLayers else {
      throw CodecError(.unsupported, "a cache of \(cache.layers.count) layers cannot be coded: 1 to \(Self.maximumLayers) are allowed")
    }
    self.init(
      scheme: scheme, rope: Rope(cache.rope), keysAreRotated: cache.keysAreRotated, ropeBase: cache.ropeBase,
      chunkTokens: UInt32(chunkTokens), model: cache.model, layout: KVLayoutSyntax(cache.source), groups: groups)
    if scheme.hasChains, cache.keysAreRotated, cache.rope != .none {
      turns = (KVTurns(of: cache)?.turns ?? []).map { KVTurn($0) }
    }
  }

  /// The shape of every layer, its count being 1.
  var shapes: [KVLayerGroup] {
    groups.flatMap { group in
      var one = group
      one.count = 1
      return [KVLayerGroup](repeating: one, count: Int(group.count))
    }
  }
}

extension KVLayerGroup {
  /// Of one token of one layer.
  var tokenElements: Int {
    Int(keyHeads) * Int(keyChannels) + (valueHeads > 0 ? Int(valueHeads) * Int(valueChannels) : 0)
  }
}
