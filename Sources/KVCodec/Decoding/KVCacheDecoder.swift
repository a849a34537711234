import Bitstream
public import Coding
import EntropyCoding
public import Media
import Tensors

/// Turns an `.ncb` file back into its KV cache. One value may serve many tasks at once.
///
///     let cache = try KVCacheDecoder().decode(bytes)
///
/// The same bytes give the same elements on every machine, at any number of threads. The inverse is `KVCacheEncoder`.
// bitstream-spec 10
public struct KVCacheDecoder: Sendable {
  public struct Options: Sendable {
    /// Positions to decode, as the model counts tokens; nil for all. Layers keep what they have of it.
    public var tokens: Range<Int>?
    /// Layers to decode; nil for all.
    public var layers: Range<Int>?
    /// The level to decode, of a file with several: 0 is the best.
    public var level = 0
    /// The level of each part that decodes on its own, from the first on; empty: `level` for all.
    public var levels: [Int] = []
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?
    /// What files that name it need.
    public var profile: KVProfile?
    /// Most memory that the decoded cache may take, in bytes.
    public var maxMemory = 16 << 30
    /// Called as payloads are done, on the decoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?

    public init() {}
  }

  public var options: Options

  public init(options: Options = Options()) { self.options = options }

  /// Decodes the first KV cache of a file. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError` for files that are damaged, too large, or need what this build lacks, and for ranges outside the
  /// cache; `CancellationError`.
  public func decode(_ bytes: [UInt8]) throws -> KVCache { try decode(MemorySource(bytes)) }

  /// Of a file on disk, of which only the wanted parts are read.
  package func decode(_ source: some ByteSource) throws -> KVCache {
    do {
      return try decodeTrack(source)
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as EntropyError {
      throw CodecError.damagedKV("\(error)")
    }
  }

  private func decodeTrack(_ source: some ByteSource) throws -> KVCache {
    var limits = ContainerLimits()
    limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
    var reader = try ContainerReader(source, limits: limits, checksums: .onDemand, navigation: .index)
    let levels = try KVLevels.read(reader)
    let configuration = levels[0].configuration
    let isAdaptive = levels.contains { $0.configuration.scheme == .adaptive }
    let hasChains = configuration.scheme.hasChains
    // The index has only the payloads that segments begin with.
    if isAdaptive, reader.hasIndex { reader = try ContainerReader(source, limits: limits, checksums: .onDemand) }
    let shapes = configuration.shapes
    let wantedLayers = options.layers ?? 0..<shapes.count
    guard wantedLayers.lowerBound >= 0, wantedLayers.upperBound <= shapes.count, !wantedLayers.isEmpty else {
      throw CodecError(.invalidOption, "layers \(wantedLayers) are not all among the cache's 0..<\(shapes.count)")
    }
    let chosen = try chosenUnits(levels, reader)
    let units = chosen.map(\.unit)
    let end = try self.end(of: chosen, reader)
    let first = UInt64(shapes.map(\.firstPosition).min()!)
    let wanted = try positions(in: first..<max(first, end))

    var needed = units.indices.filter { i in
      let next = i + 1 < units.count ? units[i + 1].start : end
      return units[i].start < wanted.upperBound && next > wanted.lowerBound
    }
    if let first = needed.first {
      needed = Array(units[...first].lastIndex { $0.isRandomAccess }!..<first) + needed
    }
    // Before memory is taken: there are as many payloads as that many tokens need.
    guard UInt64(needed.count) * UInt64(configuration.chunkTokens) >= UInt64(wanted.count) else {
      throw CodecError.damagedKV("\(needed.count) payloads are too few for \(wanted.count) tokens")
    }
    let layers = try allocate(shapes, wantedLayers, wanted, beside: hasChains ? KVChainDecoder.byteCount(shapes[..<wantedLayers.upperBound]) : 0)
    let chains = hasChains
      ? try KVChainDecoder(
        configuration, options.profile, layers: wantedLayers.upperBound, threads: Threads.resolve(options.threads)) : nil
    var (expected, isFirst) = (UInt64(0), true)
    for (done, i) in needed.enumerated() {
      try Task.checkCancellation()
      let unit = units[i]
      guard isFirst || unit.start == expected else {
        throw CodecError.damagedKV("a payload begins at token \(unit.start) where \(expected) is expected")
      }
      let own = chosen[i].level.configuration, scheme = own.scheme
      let payload = try KVPayload(parsing: reader.payload(unit).data, own)
      (expected, isFirst) = (unit.start + UInt64(payload.tokens), false)
      if let chains, scheme.hasChains {
        try chains.decode(
          payload, at: unit.start, isRandomAccess: unit.isRandomAccess, layers: layers, wantedLayers: wantedLayers)
      } else {
        try restore(payload, at: unit.start, scheme, shapes, wantedLayers, wanted, into: layers)
      }
      options.progress?(CodingProgress(fraction: Double(done + 1) / Double(needed.count), stage: "tokens"))
    }
    guard needed.isEmpty || expected >= wanted.upperBound else {
      throw CodecError.damagedKV("the payloads end at token \(expected), before \(wanted.upperBound)")
    }
    return KVCache(
      layers: layers, keysAreRotated: configuration.keysAreRotated, rope: configuration.rope.media,
      ropeBase: Double(bitPattern: configuration.ropeBase), model: configuration.model,
      others: try KVOthers.read(reader, maxMemory: options.maxMemory), metadata: reader.metadata.compactMap { metadatum in
        if case .text(let key, let value) = metadatum { (key, value) } else { nil }
      }, source: configuration.layout.media)
  }

  /// The position after the last token.
  private func end(
    of chosen: [(unit: UnitRecord, level: KVLevel)], _ reader: ContainerReader<some ByteSource>
  ) throws -> UInt64 {
    guard let (last, level) = chosen.last else { return 0 }
    let payload = try KVPayload(parsing: reader.payload(last).data, level.configuration)
    guard last.start <= UInt64(UInt32.max) else { throw CodecError.damagedKV("a payload begins at token \(last.start)") }
    return last.start + UInt64(payload.tokens)
  }

  private func positions(in all: Range<UInt64>) throws -> Range<UInt64> {
    guard let tokens = options.tokens else { return all }
    guard tokens.lowerBound >= 0, UInt64(tokens.lowerBound) >= all.lowerBound, UInt64(tokens.upperBound) <= all.upperBound else {
      throw CodecError(.invalidOption, "tokens \(tokens) are not all among the cache's \(all)")
    }
    return UInt64(tokens.lowerBound)..<UInt64(tokens.upperBound)
  }

  private func allocate(
    _ shapes: [KVLayerGroup], _ wantedLayers: Range<Int>, _ wanted: Range<UInt64>, beside: Int
  ) throws -> [KVLayer] {
    var bytes = beside
    // Where the next tensor begins in the memory of all.
    var next = 0
    func place(_ heads: UInt32, _ channels: UInt32, _ element: KVElement, _ tokens: Int) throws -> Int {
      // At most 2^20 * 2^33 * 4.
      let size = Int(heads) * Int(channels) * element.bytes * tokens
      bytes += size
      guard bytes <= options.maxMemory else {
        throw CodecError(.limitExceeded, "the cache takes more than the \(options.maxMemory) bytes allowed. Raise maxMemory, or decode a part of it.")
      }
      defer { next += (size + 63) & ~63 }
      return next
    }
    func tokens(_ shape: KVLayerGroup) -> Int {
      let from = max(wanted.lowerBound, UInt64(shape.firstPosition))
      return from < wanted.upperBound ? Int(wanted.upperBound - from) : 0
    }
    let places = try shapes[wantedLayers].map { shape in
      (
        keys: try place(shape.keyHeads, shape.keyChannels, shape.keyElement.media, tokens(shape)),
        values: shape.valueHeads > 0
          ? try place(shape.valueHeads, shape.valueChannels, shape.valueElement.media, tokens(shape)) : 0
      )
    }
    let noMemory = CodecError(.limitExceeded, "there is no memory for the cache. Free some, or decode a part of it.")
    guard let storage = KVStorage(zeroed: next) else { throw noMemory }
    func tensor(_ heads: UInt32, _ channels: UInt32, _ element: KVElement, _ tokens: Int, at offset: Int) throws -> KVTensor {
      let row = Int(channels) * element.bytes
      guard
        let made = KVTensor(
          heads: Int(heads), tokens: tokens, channels: Int(channels), element: element, storage: storage, offset: offset,
          headStride: row * tokens, tokenStride: row)
      else { throw noMemory }
      return made
    }
    return try zip(shapes[wantedLayers], places).map { shape, places in
      KVLayer(
        keys: try tensor(shape.keyHeads, shape.keyChannels, shape.keyElement.media, tokens(shape), at: places.keys),
        values: shape.valueHeads > 0
          ? try tensor(shape.valueHeads, shape.valueChannels, shape.valueElement.media, tokens(shape), at: places.values) : nil,
        firstPosition: Int(max(UInt64(shape.firstPosition), wanted.lowerBound)))
    }
  }

  /// Restores what is wanted of a payload.
  private func restore(
    _ payload: KVPayload, at start: UInt64, _ scheme: KVConfiguration.Scheme, _ shapes: [KVLayerGroup],
    _ wantedLayers: Range<Int>, _ wanted: Range<UInt64>, into layers: [KVLayer]
  ) throws {
    var works: [(block: ArraySlice<UInt8>, tensor: KVTensor, held: Range<UInt64>)] = []
    for number in wantedLayers {
      let held = KVPayload.positions(of: shapes[number], start: start, tokens: payload.tokens)
      let keys = payload.blocks[number][0], values = payload.blocks[number].dropFirst().first ?? []
      guard !held.isEmpty else {
        guard keys.isEmpty && values.isEmpty else { throw CodecError.damagedKV("there is a block of no tokens") }
        continue
      }
      guard held.overlaps(wanted) else { continue }
      let shape = shapes[number]
      let width = max(Int(shape.keyHeads * shape.keyChannels), Int(shape.valueHeads * shape.valueChannels))
      guard held.count * width <= KVPayload.maximumBlockElements else {
        throw CodecError.damagedKV("a block has more than \(KVPayload.maximumBlockElements) elements")
      }
      let layer = layers[number - wantedLayers.lowerBound]
      works.append((keys, layer.keys, held))
      if let tensor = layer.values { works.append((values, tensor, held)) }
    }
    let threads = Threads.resolve(options.threads)
    var failures = [(any Error)?](repeating: nil, count: works.count)
    failures.withUnsafeMutableBufferPointer { failures in
      nonisolated(unsafe) let failures = failures
      parallelFor(works.count, threads: threads) { i in
        do {
          let work = works[i]
          try restore(work.block, scheme, of: work.held, into: work.tensor, wanted)
        } catch { failures[i] = error }
      }
    }
    if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
  }

  private func restore(
    _ block: ArraySlice<UInt8>, _ scheme: KVConfiguration.Scheme, of held: Range<UInt64>, into tensor: KVTensor,
    _ wanted: Range<UInt64>
  ) throws {
    let part = held.clamped(to: wanted)
    // Where the tensor's first token is: at the first wanted position that the layer has.
    let first = wanted.upperBound - UInt64(tensor.tokens)
    let target = tensor.tokens(in: Int(part.lowerBound - first)..<Int(part.upperBound - first))
    guard part != held else { return try Self.restore(block, scheme, into: target) }
    // A run that is wanted in part is restored aside.
    guard held.count * tensor.heads * tensor.rowBytes <= options.maxMemory,
      let aside = KVTensor(
        zeroedHeads: tensor.heads, tokens: held.count, channels: tensor.channels, element: tensor.element)
    else { throw CodecError(.limitExceeded, "there is no memory for a part of the cache. Free some.") }
    try Self.restore(block, scheme, into: aside)
    let skipped = Int(part.lowerBound - held.lowerBound)
    for head in 0..<tensor.heads {
      for token in 0..<target.tokens {
        aside.withRow(head: head, token: skipped + token) { target.row(head: head, token: token).copyMemory(from: $0) }
      }
    }
  }

  private static func restore(_ block: ArraySlice<UInt8>, _ scheme: KVConfiguration.Scheme, into tensor: KVTensor) throws {
    switch scheme {
    case .statistics: try KVBlock.restore(block, into: tensor)
    case .lossless:
      var fields = KVFields(block)
      let planes = KVPlanes(tensor)
      planes.store(try planes.read(&fields), into: tensor)
      guard fields.rest().isEmpty else { throw CodecError.damagedKV("bytes follow a block's last plane") }
    case .cacheGen: try CacheGenBlock.restore(block, into: tensor)
    case .adaptive, .profile: preconditionFailure("blocks of chains do not decode on their own")
    }
  }
}
