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
    try explained {
      let wanted = try KVWanted(source, options)
      let layers = try allocate(wanted, wanted.positions, beside: wanted.chainBytes)
      try decode(wanted) { _ in (layers, wanted.positions) } done: { _ in }
      var cache = wanted.cache(layers)
      cache.others = try KVOthers.read(wanted.reader, maxMemory: options.maxMemory)
      return cache
    }
  }

  /// Part by part, in memory that does not grow with the cache's tokens. Throws what `sink` throws, too.
  package func decode(_ source: some ByteSource, into sink: some KVCacheSink) throws {
    try explained {
      let wanted = try KVWanted(source, options)
      let others = try KVOthers.all(wanted.reader)
      try sink.begin(wanted.cache(try blank(wanted)), others: others.map(\.shape))
      try decode(wanted) { part in
        let part = part.clamped(to: wanted.positions)
        return (try allocate(wanted, part, beside: wanted.chainBytes), part)
      } done: { layers in
        if layers.contains(where: { $0.tokens > 0 }) { try sink.write(layers) }
      }
      for (number, other) in others.enumerated() {
        try other.read(wanted.reader) { try sink.write(other: number, $0, at: $1) }
      }
    }
  }

  private func explained<R>(_ body: () throws -> R) throws -> R {
    do {
      return try body()
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as EntropyError {
      throw CodecError.damagedKV("\(error)")
    }
  }

  /// Decodes `wanted`. `target` says where a payload of some positions goes: tensors, and the positions that they hold;
  /// `done` gets them after it.
  private func decode(
    _ wanted: KVWanted<some ByteSource>, target: (Range<UInt64>) throws -> (layers: [KVLayer], positions: Range<UInt64>),
    done: ([KVLayer]) throws -> Void
  ) throws {
    let chains = wanted.configuration.scheme.hasChains
      ? try KVChainDecoder(
        wanted.configuration, options.profile, layers: wanted.layers.upperBound, threads: Threads.resolve(options.threads)) : nil
    var (expected, isFirst) = (UInt64(0), true)
    for (number, (unit, level)) in wanted.units.enumerated() {
      try Task.checkCancellation()
      guard isFirst || unit.start == expected else {
        throw CodecError.damagedKV("a payload begins at token \(unit.start) where \(expected) is expected")
      }
      let payload = try KVPayload(parsing: wanted.reader.payload(unit).data, level.configuration)
      (expected, isFirst) = (unit.start + UInt64(payload.tokens), false)
      let (layers, positions) = try target(unit.start..<expected)
      if let chains, level.configuration.scheme.hasChains {
        try chains.decode(
          payload, at: unit.start, isRandomAccess: unit.isRandomAccess, layers: layers, wantedLayers: wanted.layers)
      } else {
        try restore(payload, at: unit.start, level.configuration.scheme, wanted.shapes, wanted.layers, positions, into: layers)
      }
      try done(layers)
      options.progress?(CodingProgress(fraction: Double(number + 1) / Double(wanted.units.count), stage: "tokens"))
    }
    guard wanted.units.isEmpty || expected >= wanted.positions.upperBound else {
      throw CodecError.damagedKV("the payloads end at token \(expected), before \(wanted.positions.upperBound)")
    }
  }

  /// Zeros for some positions.
  private func allocate(_ wanted: KVWanted<some ByteSource>, _ positions: Range<UInt64>, beside: Int) throws -> [KVLayer] {
    let bytes = wanted.byteCount(positions)
    guard bytes <= options.maxMemory, beside <= options.maxMemory - bytes else {
      throw CodecError(.limitExceeded, "the cache takes more than the \(options.maxMemory) bytes allowed. Raise maxMemory, or decode a part of it.")
    }
    // One piece of memory for all: large ones come in huge pages.
    let tensors = 2 * wanted.layers.count
    guard let storage = KVStorage(zeroed: bytes + 64 * tensors) else {
      throw CodecError(.limitExceeded, "there is no memory for the cache. Free some, or decode a part of it.")
    }
    var next = 0
    return try wanted.layers(positions) { heads, tokens, channels, element in
      let row = channels * element.bytes
      defer { next += (heads * tokens * row + 63) & ~63 }
      return KVTensor(
        heads: heads, tokens: tokens, channels: channels, element: element, storage: storage, offset: next,
        headStride: row * tokens, tokenStride: row)
    }
  }

  /// All that is wanted, in rows of zeros that take no memory.
  private func blank(_ wanted: KVWanted<some ByteSource>) throws -> [KVLayer] {
    guard wanted.byteCount(wanted.positions) <= Self.maximumBytes else {
      throw CodecError(.limitExceeded, "the cache takes more than \(Self.maximumBytes) bytes. Decode a part of it.")
    }
    let widest = wanted.shapes[wanted.layers].reduce(0) { max($0, $1.keyChannels, $1.valueHeads > 0 ? $1.valueChannels : 0) }
    let zeros = KVStorage(zeroed: 4 * Int(widest))
    return try wanted.layers(wanted.positions) { heads, tokens, channels, element in
      zeros.flatMap { KVTensor(blankHeads: heads, tokens: tokens, channels: channels, element: element, zeros: $0) }
    }
  }

  /// Of a cache that is decoded part by part: more than disks have.
  private static let maximumBytes = 1 << 48

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
