import Bitstream
import Coding
import Media

/// What a file has of a cache, and what is wanted of it.
struct KVWanted<Source: ByteSource> {
  let reader: ContainerReader<Source>
  let configuration: KVConfiguration
  let shapes: [KVLayerGroup]
  let layers: Range<Int>
  let positions: Range<UInt64>
  /// The payloads to decode, the first of which needs none before it.
  let units: [(unit: UnitRecord, level: KVLevel)]
  /// What chains take while decoding.
  let chainBytes: Int

  /// Throws `CodecError` for damaged files and for ranges outside the cache; `BitstreamError`.
  init(_ source: Source, _ options: KVCacheDecoder.Options) throws {
    var limits = ContainerLimits()
    limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
    var reader = try ContainerReader(source, limits: limits, checksums: .onDemand, navigation: .index)
    let levels = try KVLevels.read(reader)
    configuration = levels[0].configuration
    // The index has only the payloads that segments begin with.
    if levels.contains(where: { $0.configuration.scheme == .adaptive }), reader.hasIndex {
      reader = try ContainerReader(source, limits: limits, checksums: .onDemand)
    }
    self.reader = reader
    shapes = configuration.shapes
    let layers = options.layers ?? 0..<shapes.count
    guard layers.lowerBound >= 0, layers.upperBound <= shapes.count, !layers.isEmpty else {
      throw CodecError(.invalidOption, "layers \(layers) are not all among the cache's 0..<\(shapes.count)")
    }
    self.layers = layers
    let chosen = try KVCacheDecoder(options: options).chosenUnits(levels, reader)
    let end = try Self.end(of: chosen, reader)
    let first = UInt64(shapes.map(\.firstPosition).min()!)
    let positions = try Self.positions(options.tokens, in: first..<max(first, end))
    self.positions = positions

    var needed = chosen.indices.filter { i in
      let next = i + 1 < chosen.count ? chosen[i + 1].unit.start : end
      return chosen[i].unit.start < positions.upperBound && next > positions.lowerBound
    }
    if let first = needed.first {
      needed = Array(chosen[...first].lastIndex { $0.unit.isRandomAccess }!..<first) + needed
    }
    // Before memory is taken: there are as many payloads as that many tokens need.
    guard UInt64(needed.count) * UInt64(configuration.chunkTokens) >= UInt64(positions.count) else {
      throw CodecError.damagedKV("\(needed.count) payloads are too few for \(positions.count) tokens")
    }
    units = needed.map { chosen[$0] }
    chainBytes = configuration.scheme.hasChains ? KVChainDecoder.byteCount(shapes[..<layers.upperBound]) : 0
  }

  /// The position after the last token.
  private static func end(
    of chosen: [(unit: UnitRecord, level: KVLevel)], _ reader: ContainerReader<Source>
  ) throws -> UInt64 {
    guard let (last, level) = chosen.last else { return 0 }
    let payload = try KVPayload(parsing: reader.payload(last).data, level.configuration)
    guard last.start <= UInt64(UInt32.max) else { throw CodecError.damagedKV("a payload begins at token \(last.start)") }
    return last.start + UInt64(payload.tokens)
  }

  private static func positions(_ tokens: Range<Int>?, in all: Range<UInt64>) throws -> Range<UInt64> {
    guard let tokens else { return all }
    guard tokens.lowerBound >= 0, UInt64(tokens.lowerBound) >= all.lowerBound, UInt64(tokens.upperBound) <= all.upperBound else {
      throw CodecError(.invalidOption, "tokens \(tokens) are not all among the cache's \(all)")
    }
    return UInt64(tokens.lowerBound)..<UInt64(tokens.upperBound)
  }

  private func tokens(_ shape: KVLayerGroup, _ positions: Range<UInt64>) -> Int {
    let from = max(positions.lowerBound, UInt64(shape.firstPosition))
    return from < positions.upperBound ? Int(positions.upperBound - from) : 0
  }

  /// Of some positions of the wanted layers; `Int.max` for more than there are numbers for.
  func byteCount(_ positions: Range<UInt64>) -> Int {
    shapes[layers].reduce(0) { sum, shape in
      // At most 2^22 * 2^33 * 4.
      let row = Int(shape.keyHeads) * Int(shape.keyChannels) * shape.keyElement.media.bytes
        + (shape.valueHeads > 0 ? Int(shape.valueHeads) * Int(shape.valueChannels) * shape.valueElement.media.bytes : 0)
      let (more, overflows) = sum.addingReportingOverflow(row * tokens(shape, positions))
      return overflows ? .max : more
    }
  }

  /// The wanted layers with what they have of some positions, in tensors that `make` makes. Throws `CodecError` where it
  /// makes none.
  func layers(
    _ positions: Range<UInt64>, _ make: (_ heads: Int, _ tokens: Int, _ channels: Int, KVElement) -> KVTensor?
  ) throws -> [KVLayer] {
    func tensor(_ heads: UInt32, _ channels: UInt32, _ element: KVElement, _ tokens: Int) throws -> KVTensor {
      guard let made = make(Int(heads), tokens, Int(channels), element) else {
        throw CodecError(.limitExceeded, "there is no memory for the cache. Free some, or decode a part of it.")
      }
      return made
    }
    return try shapes[layers].map { shape in
      let tokens = tokens(shape, positions)
      return KVLayer(
        keys: try tensor(shape.keyHeads, shape.keyChannels, shape.keyElement.media, tokens),
        values: shape.valueHeads > 0 ? try tensor(shape.valueHeads, shape.valueChannels, shape.valueElement.media, tokens) : nil,
        firstPosition: Int(max(UInt64(shape.firstPosition), positions.lowerBound)))
    }
  }

  /// The cache with these layers, but for the tensors beside it.
  func cache(_ layers: [KVLayer]) -> KVCache {
    KVCache(
      layers: layers, keysAreRotated: configuration.keysAreRotated, rope: configuration.rope.media,
      ropeBase: Double(bitPattern: configuration.ropeBase), model: configuration.model,
      metadata: reader.metadata.compactMap { metadatum in
        if case .text(let key, let value) = metadatum { (key, value) } else { nil }
      }, source: configuration.layout.media)
  }
}
