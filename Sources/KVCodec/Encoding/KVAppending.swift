import Bitstream
import Coding
import EntropyCoding
public import Media

extension KVCacheEncoder {
  /// Adds tokens to a file that `encode` made. What is in it is copied, not coded anew.
  ///
  /// `cache` holds the positions after the file's last, either alone, its layers' `firstPosition` being where the file ends, or
  /// behind those that the file has, which are ignored. Tokens of a part, schemes and levels are the file's; so is the
  /// quality, and `options.target` counts only for files that do not say theirs. Tensors beside the cache grow with it
  /// (`KVOthers.grown`); texts that the cache has replace the file's of the same key. Chunks of unknown types are dropped.
  ///
  /// Cancelling the surrounding task stops it. Throws `CodecError`: malformed for damaged files; unsupported for caches that
  /// do not go on where the file ends or are not of its shape, element types, RoPE or model; `CancellationError`.
  public func append(_ cache: KVCache, to file: [UInt8]) throws -> EncodedKVCache {
    let (sink, report) = try append(cache, to: MemorySource(file), into: MemorySink())
    return EncodedKVCache(
      bytes: sink.bytes, bitsPerElement: 8 * Double(sink.bytes.count) / Double(max(report.elementCount, 1)),
      quality: report.qualities.first ?? nil, levels: report.qualities, positions: report.positions)
  }

  /// What `append` did.
  package struct AppendReport: Sendable {
    package let positions: Range<Int>
    /// The best level's first; nil for lossless.
    package let qualities: [Int?]
    /// Of keys and values in the whole file.
    package let elementCount: Int
  }

  /// From a file to another, payload by payload: memory does not grow with the cache.
  package func append<Sink: ByteSink>(
    _ cache: KVCache, to source: some ByteSource, into sink: Sink
  ) throws -> (sink: Sink, report: AppendReport) {
    do {
      var limits = ContainerLimits()
      limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
      let reader = try ContainerReader(source, limits: limits, checksums: .onDemand)
      return try append(cache, to: KVAppendedFile(reader), into: sink)
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as EntropyError {
      throw CodecError.damagedKV("\(error)")
    }
  }

  private func append<Sink: ByteSink>(
    _ cache: KVCache, to file: KVAppendedFile<some ByteSource>, into sink: Sink
  ) throws -> (sink: Sink, report: AppendReport) {
    let reader = file.reader
    let positions = try file.newPositions(of: cache)
    var isCacheGen = file.levels.contains { $0.configuration.scheme == .cacheGen }
    if case .cacheGen = options.target { isCacheGen = true }
    guard !isCacheGen else {
      throw CodecError(.unsupported, "files of CacheGen's scheme, which is here to be compared with, are not appended to")
    }
    let levels = try file.levels.map { level in
      guard !level.isLossless, level.quality == nil else { return level }
      guard let quality = try chosenQuality(cache, level.configuration) else {
        throw CodecError(.invalidOption, "the file is not lossless, so what is appended cannot be. Give a quality.")
      }
      return KVLevel(track: level.track, configuration: level.configuration, quality: quality)
    }
    let first = cache.layers.map(\.firstPosition).min()!
    let others = try KVOthers.grown(
      reader, with: cache.others, file: file.positions, cache: first..<positions.upperBound)
    try checkTracks(reader.tracks.count + others.count { $0.track >= reader.tracks.count })

    var writer = try ContainerWriter(sink)
    for (number, track) in reader.tracks.enumerated() {
      let grown = others.first { $0.track == number }
      _ = try writer.append(grown.map { try KVOthers.track(of: $0.tensor) } ?? track)
    }
    for other in others where other.track >= reader.tracks.count {
      _ = try writer.append(try KVOthers.track(of: other.tensor))
    }
    for metadatum in Self.metadata(reader.metadata, replacedBy: cache.metadata) { try writer.append(metadatum) }
    for unit in reader.units where !others.contains(where: { $0.track == Int(unit.track) }) {
      try Task.checkCancellation()
      try writer.append(try reader.payload(unit))
    }
    try append(positions, of: cache, levels, to: &writer)
    for other in others { try KVOthers.append(other.tensor, track: UInt32(other.track), to: &writer) }
    let elements = file.shapes.reduce(0) { sum, shape in
      // At most 2^21 * 2^32.
      let more = shape.tokenElements * max(0, positions.upperBound - Int(shape.firstPosition))
      return sum > Int.max - more ? .max : sum + more
    }
    return (
      try writer.finish(hasIndex: true),
      AppendReport(positions: positions, qualities: levels.map(\.quality), elementCount: elements))
  }

  private static func metadata(_ old: [Metadatum], replacedBy new: [(key: String, value: String)]) -> [Metadatum] {
    var new = new
    var all = old.map { metadatum in
      guard case .text(let key, _) = metadatum, let at = new.firstIndex(where: { $0.key == key }) else { return metadatum }
      return Metadatum.text(key: key, value: new.remove(at: at).value)
    }
    all += new.map { Metadatum.text(key: $0.key, value: $0.value) }
    return all
  }
}

/// A file that is appended to.
private struct KVAppendedFile<Source: ByteSource> {
  let reader: ContainerReader<Source>
  let levels: [KVLevel]
  let shapes: [KVLayerGroup]
  let positions: Range<Int>

  /// Throws `CodecError` (malformed) where the levels do not end together, and whatever reading the last payloads throws.
  init(_ reader: ContainerReader<Source>) throws {
    self.reader = reader
    levels = try KVLevels.read(reader)
    shapes = levels[0].configuration.shapes
    let first = shapes.map { Int($0.firstPosition) }.min()!
    let ends = try levels.map { level in
      guard let last = reader.units.last(where: { $0.track == level.track }) else { return first }
      guard last.start <= UInt64(UInt32.max) else { throw CodecError.damagedKV("a payload begins at token \(last.start)") }
      let payload = try KVPayload(parsing: reader.payload(last).data, level.configuration)
      return Int(last.start) + payload.tokens
    }
    guard Set(ends).count == 1, ends[0] >= first else { throw CodecError.damagedKV("the levels end at different tokens") }
    positions = first..<ends[0]
  }

  /// The positions of a cache that the file lacks. Throws `CodecError` (unsupported).
  func newPositions(of cache: KVCache) throws -> Range<Int> {
    let configuration = levels[0].configuration
    let other = try KVConfiguration(cache, scheme: configuration.scheme, chunkTokens: Int(configuration.chunkTokens))
    func refused(_ what: String) -> CodecError { CodecError(.unsupported, "\(what), so it cannot be appended") }
    let own = other.shapes
    guard own.count == shapes.count else {
      throw refused("the cache has \(own.count) layers, and the file's has \(shapes.count)")
    }
    let end = cache.layers[0].firstPosition + cache.layers[0].tokens
    for (number, (a, b)) in zip(shapes, own).enumerated() {
      func same(_ what: String, _ a: some Equatable & CustomStringConvertible, _ b: some Equatable & CustomStringConvertible) throws {
        guard "\(a)" == "\(b)" else { throw refused("layer \(number) has \(what) \(b), and the file's \(a)") }
      }
      try same("key heads:", a.keyHeads, b.keyHeads)
      try same("key channels:", a.keyChannels, b.keyChannels)
      try same("keys of", a.keyElement.label, b.keyElement.label)
      try same("value heads:", a.valueHeads, b.valueHeads)
      if a.valueHeads > 0 {
        try same("value channels:", a.valueChannels, b.valueChannels)
        try same("values of", a.valueElement.label, b.valueElement.label)
      }
      guard end > positions.upperBound else {
        throw refused("the cache ends at token \(end) and has nothing after the file's end at \(positions.upperBound)")
      }
      guard Int(b.firstPosition) <= max(positions.upperBound, Int(a.firstPosition)) else {
        throw refused(
          "layer \(number) of the cache begins at token \(b.firstPosition), after the file's end at \(positions.upperBound)")
      }
    }
    guard other.rope == configuration.rope, other.ropeBase == configuration.ropeBase,
      other.keysAreRotated == configuration.keysAreRotated
    else {
      func words(_ c: KVConfiguration) -> String {
        "\(c.rope.label) of base \(Double(bitPattern: c.ropeBase))\(c.keysAreRotated ? "" : ", not applied")"
      }
      throw refused("the cache's RoPE is \(words(other)), and the file's \(words(configuration))")
    }
    guard other.model == configuration.model || other.model.isEmpty || configuration.model.isEmpty else {
      throw refused("the cache is of the model \(other.model), and the file's of \(configuration.model)")
    }
    return positions.upperBound..<end
  }
}
