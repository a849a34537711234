import MediaIO
import NeuralCodecs

extension EncodeCommand {
  /// `file` is open for the output.
  func runCache(_ bytes: [UInt8]?, _ progress: ProgressLine, into file: consuming AtomicFile) throws {
    let source = Console.name(input, input: true)
    let whole = try Failure.about(source) {
      try bytes.map { try KVCacheReader.read($0, options: kv.readOptions) }
        ?? KVCacheReader.read(input, options: kv.readOptions)
    }
    let cache = try Failure.about(source) { try kv.reduced(whole, threads: threads) }
    var options = KVCacheEncoder.Options()
    options.target =
      kv.lossless ? .lossless : kv.bits.map { .bitsPerElement($0) } ?? .quality(quality ?? 50)
    options.effort = otherEffort
    options.profile = try KVProfile.given(kv.profile)
    options.levels = kv.levels.flatMap(KVEncodeOptions.numbers) ?? []
    if codec == .cachegen { options.target = .cacheGen(kv.cacheGen.variant, level: kv.cacheGen.level) }
    options.chunkTokens = kv.chunk ?? options.chunkTokens
    options.segmentTokens = kv.segment ?? options.segmentTokens
    options.threads = threads
    options.progress = progress.handler
    let sink = OutputSink(file)
    let made: KVMade
    do {
      let encoder = KVCacheEncoder(options: options)
      made = try kv.append ? appended(cache, source, encoder, sink) : Failure.about(source) {
        var qualities: [Int?] = []
        _ = try encoder.encode(cache, into: sink) { qualities = $0 }
        return KVMade(levels: qualities, positions: cache.positions, byteCount: sink.byteCount, elements: cache.elementCount)
      }
      try sink.commit()
    } catch {
      throw sink.failure.map { Failure($0, at: Console.name(output, input: false)) }
        ?? Failure(error, at: Console.name(output, input: false))
    }
    progress.end()
    report(made, of: cache, source, tokens: whole.tokens)
  }

  /// Writes the output's bytes with the cache's new positions.
  private func appended(
    _ cache: KVCache, _ source: String, _ encoder: KVCacheEncoder, _ sink: OutputSink
  ) throws -> KVMade {
    let target = Console.name(output, input: false)
    let old = try Failure.about(target) { try InputSource(output) }
    guard KVCacheFile.isOne(old) else {
      throw Failure("\(target): is no .ncb file with a KV cache to append to. Leave --append out to make one.")
    }
    let level = try Failure.about(target) { try KVCacheFile(reading: old) }.levels[0]
    if let quality, level.scheme == "lossless" || (level.quality ?? quality) != quality {
      let kind = level.quality.map { "of quality \($0)" } ?? "lossless"
      throw Failure("\(target): is \(kind), and so is what is appended. Leave --quality out.")
    }
    if quality == nil, level.scheme != "lossless", level.quality == nil {
      throw Failure("\(target): does not say its quality. Give --quality with the one that it was made with.")
    }
    return try Failure.about(source) {
      let report = try encoder.append(cache, to: old, into: sink).report
      return KVMade(
        levels: report.qualities, positions: report.positions, byteCount: sink.byteCount, elements: report.elementCount)
    }
  }

  /// `tokens`: before any reduction.
  private func report(_ encoded: KVMade, of cache: KVCache, _ source: String, tokens: Int) {
    let stream = Console.reportStream(besideOutput: output)
    if json {
      let levels = encoded.levels.map { $0.map(JSON.integer) ?? .null }
      var fields: [(String, JSON)] = [
        ("input", .text(input)), ("output", .text(output)), ("format", .text("\(cache.source.format.rawValue)")),
        ("codec", .text((codec ?? .kv).rawValue)), ("layers", .integer(cache.layers.count)), ("tokens", .integer(cache.tokens)),
        ("tokensBefore", .integer(tokens)), ("elements", .integer(cache.elementCount)), ("bytes", .integer(encoded.byteCount)),
        ("bitsPerElement", .number(encoded.bitsPerElement)), ("quality", encoded.quality.map(JSON.integer) ?? .null),
        ("lossless", .flag(encoded.quality == nil && codec != .cachegen)), ("levels", .list(levels)),
        ("firstPosition", .integer(encoded.positions.lowerBound)), ("positions", .integer(encoded.positions.count)),
      ]
      if codec == .cachegen {
        fields += [("level", .integer(kv.cacheGen.level)), ("variant", .text(kv.cacheGen.variant.rawValue))]
      }
      fields.append(("notices", .list(cache.notices.map(JSON.text))))
      Console.print(JSON.object(fields).serialised, to: stream)
    } else if !quiet {
      for notice in cache.notices { Console.notice("\(source): \(notice)") }
      var kind = encoded.quality.map { "quality \($0)" }
        ?? (codec == .cachegen ? "CacheGen (\(kv.cacheGen.variant.rawValue)), level \(kv.cacheGen.level)" : "lossless")
      if encoded.levels.count > 1 {
        kind = "qualities \(encoded.levels.map { $0.map(String.init) ?? "lossless" }.joined(separator: ", "))"
      }
      if let bits = kv.bits, fixed(bits, 3) != fixed(encoded.bitsPerElement, 3) {
        kind += " (the nearest reachable point to the \(fixed(bits, 3)) bits asked for)"
      }
      if cache.tokens < tokens { kind += ", reduced from \(tokens) tokens" }
      let what = kv.append ? "tokens \(encoded.positions.lowerBound) to \(encoded.positions.upperBound) appended" : cache.summary
      Console.print(
        Console.oneLine(
          "\(source): \(what), \(encoded.byteCount) bytes, \(fixed(encoded.bitsPerElement, 3)) bits per element, \(kind)"),
        to: stream)
    }
  }
}

/// What encoding has made: a whole file, or `positions` of one.
private struct KVMade {
  /// The levels' qualities, the best first; nil for lossless and CacheGen's.
  let levels: [Int?]
  let positions: Range<Int>
  let byteCount: Int
  /// Of the whole file.
  let elements: Int

  var quality: Int? { levels.first ?? nil }
  var bitsPerElement: Double { 8 * Double(byteCount) / Double(max(elements, 1)) }
}

extension KVCache {
  fileprivate var positions: Range<Int> {
    let first = layers.map(\.firstPosition).min() ?? 0
    return first..<max(first, layers.map { $0.firstPosition + $0.tokens }.max() ?? 0)
  }

  /// Such as "cache of 30 layers, 2048 tokens".
  var summary: String { "cache of \(layers.count) layers, \(tokens) tokens" }
}
