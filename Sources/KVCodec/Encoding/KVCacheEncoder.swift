import Bitstream
public import Coding
import EntropyCoding
import Glibc
public import Media
import Tensors

/// An encoded cache.
public struct EncodedKVCache: Sendable {
  /// The file.
  public let bytes: [UInt8]
  /// The whole file's bits, all levels', by keys' and values' elements.
  public let bitsPerElement: Double
  /// 0...100, of the best level; nil for lossless and CacheGen's.
  public let quality: Int?
  /// The levels' qualities, the best first.
  public let levels: [Int?]
  /// What was encoded now: all of the cache, or what was appended.
  public let positions: Range<Int>
}

/// Turns a KV cache into an `.ncb` file.
///
///     let file = try KVCacheEncoder().encode(cache).bytes
///
/// The same cache and options give the same bytes at any number of threads. The inverse is `KVCacheDecoder`.
// bitstream-spec 10
public struct KVCacheEncoder: Sendable {
  public enum Target: Sendable, Equatable {
    /// 0 (smallest) to 100 (as good as q8_0).
    case quality(Int)
    /// Bits per element of keys and values, tensors carried along apart; the nearest quality is taken.
    case bitsPerElement(Double)
    /// Every bit is kept.
    case lossless
    /// CacheGen's scheme, to compare with: level 1 (smallest) to 3.
    case cacheGen(CacheGenVariant, level: Int)
  }

  public struct Options: Sendable {
    public var target = Target.quality(50)
    /// 1 to 9. Up to 4: the statistics of each channel, as fast as memory nearly. From 5 on: transforms that adapt to what is
    /// already decoded; less than half the bits, at a twentieth of the speed. 9: what `profile` knows of the model; half the bits
    /// again. Lossless coding has one effort.
    public var effort = 1
    /// Qualities that the file holds beside each other, part by part, 0...100, at most 16, in any order: level 0 is the
    /// best. Empty: one level, by `target`.
    public var levels: [Int] = []
    /// What effort 9 needs.
    public var profile: KVProfile?
    /// Tokens of a payload, 1...65536; at efforts below 5, and at 9, it decodes on its own.
    public var chunkTokens = 256
    /// Tokens after which decoding can begin anew at efforts from 5 on; whole chunks of them are taken.
    public var segmentTokens = 4096
    /// The cache's last tokens that efforts from 5 on keep in finer steps, as what follows depends most on them.
    public var recentTokens = 128
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?
    /// Called as parts are done, on the encoding thread.
    public var progress: (@Sendable (CodingProgress) -> Void)?

    public static let maximumLevels = 16

    public init() {}
  }

  public var options: Options

  public init(options: Options = Options()) { self.options = options }

  /// Cancelling the surrounding task stops it. Throws `CodecError` for options or caches that make no sense;
  /// `CancellationError`.
  public func encode(_ cache: KVCache) throws -> EncodedKVCache {
    var qualities: [Int?] = []
    let sink = try encode(cache, into: MemorySink()) { qualities = $0 }
    let first = cache.layers.map(\.firstPosition).min() ?? 0
    return EncodedKVCache(
      bytes: sink.bytes, bitsPerElement: 8 * Double(sink.bytes.count) / Double(max(cache.elementCount, 1)),
      quality: qualities.first ?? nil, levels: qualities,
      positions: first..<max(first, cache.layers.map { $0.firstPosition + $0.tokens }.max() ?? 0))
  }

  /// Writes the file part by part: memory does not grow with the cache. `report` gets the levels' qualities before the
  /// first part.
  package func encode<Sink: ByteSink>(_ cache: KVCache, into sink: Sink, report: ([Int?]) -> Void = { _ in }) throws -> Sink {
    guard (1...Int(KVConfiguration.maximumChunk)).contains(options.chunkTokens) else {
      throw CodecError(.invalidOption, "\(options.chunkTokens) tokens in a part are not 1 to \(KVConfiguration.maximumChunk)")
    }
    let width = cache.layers.map { $0.keys.heads * max($0.keys.channels, $0.values?.channels ?? 1) }.max() ?? 0
    guard options.chunkTokens * width <= KVPayload.maximumBlockElements else {
      throw CodecError(
        .invalidOption, "\(options.chunkTokens) tokens of \(width) channels are too many for a part. Make parts smaller.")
    }
    guard (1...9).contains(options.effort) else { throw CodecError(.invalidOption, "effort \(options.effort) is not in 1...9") }
    guard options.recentTokens >= 0 else { throw CodecError(.invalidOption, "recentTokens is below 0") }
    guard options.segmentTokens >= 1 else { throw CodecError(.invalidOption, "segments have at least one token") }
    let scheme: KVConfiguration.Scheme =
      switch options.target {
      case .lossless where options.levels.isEmpty: .lossless
      case .cacheGen where options.levels.isEmpty: .cacheGen
      default: options.effort < 5 ? .statistics : options.effort == 9 ? .profile : .adaptive
      }
    var configuration = try KVConfiguration(cache, scheme: scheme, chunkTokens: options.chunkTokens)
    if scheme == .profile {
      guard let profile = options.profile else { throw CodecError(.invalidOption, "effort 9 needs a profile of the model. Give one, or a lower effort.") }
      configuration.profile = profile.hash[...]
      try profile.check(configuration)
    }
    let qualities = try chosenQualities(cache, configuration)
    let levels = qualities.enumerated().map { number, quality in
      KVLevel(track: UInt32(number), configuration: configuration, quality: quality)
    }
    report(qualities)
    do {
      return try write(cache, levels, into: sink)
    } catch let error as BitstreamError {
      throw CodecError(error)
    }
  }

  private func write<Sink: ByteSink>(_ cache: KVCache, _ levels: [KVLevel], into sink: Sink) throws -> Sink {
    try checkTracks(levels.count + cache.others.count)
    var writer = try ContainerWriter(sink)
    for level in levels {
      _ = try writer.append(
        TrackHeader(
          modality: .kvCache, codec: CodecID.kvCache, timeBase: TimeBase(),
          configuration: level.configuration.serialised()[...]))
    }
    for other in cache.others { _ = try writer.append(try KVOthers.track(of: other)) }
    try writer.append(
      .levels(
        levels.map { Levels.Level(track: $0.track, quality: $0.quality.map { UInt8($0) } ?? Levels.Level.lossless) }))
    for (key, value) in cache.metadata { try writer.append(Metadatum.text(key: key, value: value)) }
    let first = levels[0].configuration.shapes.map { Int($0.firstPosition) }.min()!
    try append(first..<cache.layers[0].firstPosition + cache.layers[0].tokens, of: cache, levels, to: &writer)
    for (i, other) in cache.others.enumerated() {
      try Task.checkCancellation()
      try KVOthers.append(other, track: UInt32(levels.count + i), to: &writer)
    }
    return try writer.finish(hasIndex: true)
  }

  /// Throws `CodecError` (limitExceeded) if readers would refuse so many.
  func checkTracks(_ count: Int) throws {
    let limit = ContainerLimits().maxTracks
    guard count <= limit else {
      throw CodecError(.limitExceeded, "levels and tensors beside the cache are \(count), more than the \(limit) that a file may hold")
    }
  }

  /// The payloads of some positions, part by part, in each part level by level. The first decodes without those before it.
  func append<Sink: ByteSink>(
    _ positions: Range<Int>, of cache: KVCache, _ levels: [KVLevel], to writer: inout ContainerWriter<Sink>
  ) throws {
    let configuration = levels[0].configuration, shapes = configuration.shapes
    let chains = try levels.map { level in
      let scheme = level.configuration.scheme
      return !scheme.hasChains ? nil
        : try KVChainEncoder(
          cache, level.configuration, options.profile, stepIndex: KVQuality.stepIndex(level.quality!, scheme),
          recentTokens: options.recentTokens, threads: Threads.resolve(options.threads))
    }
    let chunk = Int(configuration.chunkTokens)
    let segment = configuration.scheme == .adaptive ? max(1, options.segmentTokens / chunk) * chunk : chunk
    var start = positions.lowerBound
    let before = writer.offset
    while start < positions.upperBound {
      try Task.checkCancellation()
      let tokens = min(chunk, positions.upperBound - start)
      let isRandomAccess = (start - positions.lowerBound) % segment == 0
      for (level, chains) in zip(levels, chains) {
        let blocks = try chains?.blocks(start: UInt64(start), tokens: tokens, beginsSegment: isRandomAccess).flatMap { $0 }
          ?? self.blocks(cache, shapes, start: UInt64(start), tokens: tokens, quality: level.quality)
        try writer.append(
          Payload(
            track: level.track, isRandomAccess: isRandomAccess, start: UInt64(start),
            data: KVPayload.bytes(tokens: tokens, blocks: blocks)[...]))
      }
      start += tokens
      // Parts take about as much as each other.
      if start == positions.lowerBound + tokens {
        writer.expect((writer.offset - before) * 9 / 8 / tokens * (positions.upperBound - start))
      }
      options.progress?(
        CodingProgress(fraction: Double(start - positions.lowerBound) / Double(positions.count), stage: "tokens"))
    }
  }

  private func blocks(
    _ cache: KVCache, _ shapes: [KVLayerGroup], start: UInt64, tokens: Int, quality: Int?
  ) throws -> [[UInt8]] {
    var works: [(tensor: KVTensor, layer: Int, areKeys: Bool, fromStart: Bool)] = []
    for (number, (layer, shape)) in zip(cache.layers, shapes).enumerated() {
      let held = KVPayload.positions(of: shape, start: start, tokens: tokens)
      let from = held.isEmpty ? 0 : Int(held.lowerBound) - layer.firstPosition
      works.append((layer.keys.tokens(in: from..<from + held.count), number, true, held.lowerBound == 0))
      if let values = layer.values {
        works.append((values.tokens(in: from..<from + held.count), number, false, held.lowerBound == 0))
      }
    }
    var blocks = [[UInt8]](repeating: [], count: works.count)
    var failures = [(any Error)?](repeating: nil, count: works.count)
    blocks.withUnsafeMutableBufferPointer { blocks in
      failures.withUnsafeMutableBufferPointer { failures in
        nonisolated(unsafe) let (blocks, failures) = (blocks, failures)
        parallelFor(works.count, threads: Threads.resolve(options.threads)) { i in
          let (tensor, layer, areKeys, fromStart) = works[i]
          guard tensor.tokens > 0 else { return }
          do {
            if case .cacheGen(let variant, let level) = options.target {
              let rule = CacheGenRule(variant, level: level, layer: layer, of: cache.layers.count, areKeys: areKeys)
              blocks[i] = try CacheGenBlock.write(tensor, rule: rule)
              return
            }
            blocks[i] = try quality.map { try KVBlock.write(tensor, rule: KVQuality.rule($0, areKeys: areKeys, fromStart: fromStart)) }
              ?? KVPlanes(tensor).write(KVPlanes.elements(of: tensor))
          } catch { failures[i] = error }
        }
      }
    }
    if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
    return blocks
  }

  /// The levels', the best first; nil for lossless.
  private func chosenQualities(_ cache: KVCache, _ configuration: KVConfiguration) throws -> [Int?] {
    guard !options.levels.isEmpty else { return [try chosenQuality(cache, configuration)] }
    guard options.levels.count <= Options.maximumLevels, Set(options.levels).count == options.levels.count else {
      throw CodecError(
        .invalidOption, "\(options.levels.count) levels are not up to \(Options.maximumLevels) different qualities")
    }
    for quality in options.levels where !(0...100).contains(quality) {
      throw CodecError(.invalidOption, "quality \(quality) is not in 0...100")
    }
    return options.levels.sorted(by: >)
  }

  /// Nil for lossless and CacheGen's.
  func chosenQuality(_ cache: KVCache, _ configuration: KVConfiguration) throws -> Int? {
    switch options.target {
    case .lossless: return nil
    case .cacheGen(_, let level):
      guard CacheGenRule.levels.contains(level) else { throw CodecError(.invalidOption, "level \(level) is not in 1...3") }
      return nil
    case .quality(let quality):
      guard (0...100).contains(quality) else { throw CodecError(.invalidOption, "quality \(quality) is not in 0...100") }
      return quality
    case .bitsPerElement(let bits):
      guard bits.isFinite, bits > 0 else { throw CodecError(.invalidOption, "\(bits) bits per element are not above 0") }
      return configuration.scheme.hasChains
        ? try KVQuality.nearest(
          bits: bits, for: cache, configuration, options.profile, recentTokens: options.recentTokens, threads: Threads.resolve(options.threads))
        : try KVQuality.nearest(bits: bits, for: cache, chunkTokens: options.chunkTokens)
    }
  }
}

/// How quality maps to steps.
enum KVQuality {
  /// Steps by the deviation of a layer's channels: of keys 2 at quality 0, 1/32 at 100, in even ratios; of values half as
  /// much again. All channels of a layer have one step, since attention adds up what they are off by.
  ///
  /// The first token of a text is kept exactly: much of all attention goes to it. On caches of SmolLM2-135M both rules, and
  /// the ratio of values to keys, halve the divergence at the same bits at least, against a step per channel.
  static func rule(_ quality: Int, areKeys: Bool, fromStart: Bool) -> KVStepRule {
    KVStepRule(coarseness: exp2f(1 - 0.06 * Float(quality)) * (areKeys ? 1 : 1.5), exactTokens: fromStart ? 1 : 0)
  }

  /// How a chain's step follows from quality: about 2^(0.85 - 0.06 quality) of a scale in the adaptive scheme. A profile's
  /// weights make its steps mean the same whatever the model: 2^(-2.55 - 0.06 quality).
  static func stepIndex(_ quality: Int, _ scheme: KVConfiguration.Scheme) -> Int {
    192 + Int((16 * ((scheme == .profile ? -2.55 : 0.85) - 0.06 * Double(quality))).rounded())
  }

  /// The quality whose file would be nearest to `bits` per element in a scheme with chains, judged by the first 1,024 tokens.
  static func nearest(
    bits: Double, for cache: KVCache, _ configuration: KVConfiguration, _ profile: KVProfile?, recentTokens: Int, threads: Int
  ) throws -> Int {
    let first = cache.layers.map { UInt64($0.firstPosition) }.min()!
    let end = UInt64(cache.layers[0].firstPosition + cache.layers[0].tokens)
    let tokens = Int(min(end - first, 1024))
    let elements = configuration.shapes.reduce(0) {
      $0 + KVPayload.positions(of: $1, start: first, tokens: tokens).count * $1.tokenElements
    }
    guard elements > 0 else { return 50 }
    return try nearest(bits) { quality in
      let encoder = try KVChainEncoder(
        cache, configuration, profile, stepIndex: stepIndex(quality, configuration.scheme), recentTokens: recentTokens, threads: threads)
      let blocks = try encoder.blocks(start: first, tokens: tokens, beginsSegment: true)
      return 8 * Double(blocks.reduce(0) { $0 + $1.reduce(0) { $0 + $1.count } }) / Double(elements)
    }
  }

  /// The quality, 0...100, whose rate is nearest to `bits`. More quality is never fewer bits, but for noise.
  private static func nearest(_ bits: Double, _ rate: (Int) throws -> Double) throws -> Int {
    var (low, high) = (0, 100)
    while high - low > 1 {
      let middle = (low + high) / 2
      if try rate(middle) < bits { low = middle } else { high = middle }
    }
    return abs(try rate(low) - bits) <= abs(try rate(high) - bits) ? low : high
  }

  /// The quality whose file would be nearest to `bits` per element, judged by a few parts of the cache.
  static func nearest(bits: Double, for cache: KVCache, chunkTokens: Int) throws -> Int {
    var samples: [(tensor: KVTensor, areKeys: Bool)] = []
    for layer in stride(from: 0, to: cache.layers.count, by: max(1, cache.layers.count / 6)) {
      func add(_ tensor: KVTensor, areKeys: Bool) {
        let first = max(0, tensor.tokens / 2 - chunkTokens / 2)
        samples.append((tensor.tokens(in: first..<min(first + chunkTokens, tensor.tokens)), areKeys))
      }
      if cache.layers[layer].tokens > 0 {
        add(cache.layers[layer].keys, areKeys: true)
        cache.layers[layer].values.map { add($0, areKeys: false) }
      }
    }
    let elements = samples.reduce(0) { $0 + $1.tensor.elementCount }
    guard elements > 0 else { return 50 }
    func rate(_ quality: Int) throws -> Double {
      let bytes = try samples.reduce(0) {
        $0 + (try KVBlock.write($1.tensor, rule: rule(quality, areKeys: $1.areKeys, fromStart: false)).count)
      }
      return 8 * Double(bytes) / Double(elements)
    }
    // What the first token takes is known.
    let exact = cache.layers.filter { $0.firstPosition == 0 && $0.tokens > 0 }.reduce(0) { $0 + $1.byteCount / $1.tokens }
    let bits = bits - 8 * Double(exact) / Double(cache.elementCount)
    return try nearest(bits, rate)
  }
}

extension KVOthers {
  /// Throws `BitstreamError`.
  static func track(of tensor: KVNamedTensor) throws -> TrackHeader {
    var configuration = TensorConfiguration()
    configuration.name = tensor.name
    configuration.type = tensor.dtype
    configuration.shape = tensor.shape.map { TensorConfiguration.Dimension(UInt64($0)) }
    configuration.elementBytes = UInt32(elementBytes(of: tensor))
    configuration.byteCount = UInt64(tensor.byteCount)
    return TrackHeader(modality: .data, codec: CodecID.tensor, configuration: try configuration.serialised()[...])
  }

  /// The payloads of `track`; at least one.
  static func append(_ tensor: KVNamedTensor, track: UInt32, to writer: inout ContainerWriter<some ByteSink>) throws {
    guard tensor.byteCount > 0 else { return try writer.append(Payload(track: track, data: [])) }
    let size = elementBytes(of: tensor)
    let part = partBytes / size * size
    for first in stride(from: 0, to: tensor.byteCount, by: part) {
      let slice = tensor.withUnsafeBytes { Array($0[first..<min(first + part, tensor.byteCount)]) }
      try writer.append(Payload(track: track, data: planes(elementBytes: size, bytes: slice.count).write(slice)[...]))
    }
  }

  /// 1, 2, 4 or 8 where the shape tells so.
  private static func elementBytes(of tensor: KVNamedTensor) -> Int {
    let count = tensor.shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
    guard count > 0, tensor.byteCount % count == 0, [1, 2, 4, 8].contains(tensor.byteCount / count) else { return 1 }
    return tensor.byteCount / count
  }
}
