import ArgumentParser
import MediaIO
import NeuralCodecs

/// What encoding a KV cache takes beside what pictures take too.
struct KVEncodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Aim for that many bits per element of keys and values. Caches only.", valueName: "bits"))
  var bits: Double?

  @Flag(help: "Keep every bit. Caches only.")
  var lossless = false

  @Option(help: ArgumentHelp("Tokens of a part that decodes on its own. Caches only. (default: 256)", valueName: "n"))
  var chunk: Int?

  @Option(
    help: ArgumentHelp("The arrays' axes, such as layer,kv_head,token,head_dim. Caches only. (default: as the file says)",
      valueName: "axes"))
  var axes: String?

  @Option(help: ArgumentHelp("RoPE's layout: interleaved, halves or none. Caches only.", valueName: "layout"))
  var rope: String?

  @Option(help: ArgumentHelp("RoPE's base. Caches only.", valueName: "base"))
  var ropeBase: Double?

  @Option(help: ArgumentHelp("The model's name. Caches only.", valueName: "name"))
  var model: String?

  @Flag(name: .customLong("drop-k-pre"), help: "Leave out k_pre where there is k too. Caches only.")
  var dropsUnrotatedKeys = false

  @Option(help: ArgumentHelp("Heads, where an axis holds heads and channels. Caches only.", valueName: "n"))
  var kvHeads: Int?

  @Option(help: ArgumentHelp("CacheGen's level, 1 (smallest) to 3. Cachegen only. (default: 2)", valueName: "1...3"))
  var level: Int?

  @Option(
    help: ArgumentHelp(
      "paper (anchors and differences) or released (LMCache's code). Cachegen only. (default: paper)", valueName: "variant"))
  var variant: String?

  /// The names of those that were given and that only `--codec cachegen` takes.
  var givenForCacheGen: [String] {
    [("level", level != nil), ("variant", variant != nil)].filter { $0.1 }.map { $0.0 }
  }

  /// What `--codec cachegen` does.
  var cacheGen: (variant: CacheGenVariant, level: Int) {
    (variant.flatMap(CacheGenVariant.init(rawValue:)) ?? .paper, level ?? 2)
  }

  /// The names of those that were given.
  var given: [String] {
    [
      ("bits", bits != nil), ("lossless", lossless), ("chunk", chunk != nil), ("axes", axes != nil), ("rope", rope != nil),
      ("rope-base", ropeBase != nil), ("model", model != nil), ("kv-heads", kvHeads != nil),
      ("drop-k-pre", dropsUnrotatedKeys),
    ].filter { $0.1 }.map { $0.0 } + givenForCacheGen
  }

  func validate() throws {
    if let bits, !(bits.isFinite && bits > 0) { throw ValidationError("--bits \(bits) is not above 0.") }
    if let chunk, !(1...65_536).contains(chunk) { throw ValidationError("--chunk \(chunk) is not in 1...65536.") }
    if let rope, RopeLayout(rawValue: rope) == nil {
      throw ValidationError("--rope \(rope) is none of interleaved, halves and none.")
    }
    if let ropeBase, !(ropeBase.isFinite && ropeBase > 0) { throw ValidationError("--rope-base \(ropeBase) is not above 0.") }
    if let kvHeads, kvHeads < 1 { throw ValidationError("--kv-heads \(kvHeads) is not above 0.") }
    if let level, !(1...3).contains(level) { throw ValidationError("--level \(level) is not in 1...3.") }
    if let variant, CacheGenVariant(rawValue: variant) == nil {
      throw ValidationError("--variant \(variant) is neither paper nor released.")
    }
    if bits != nil, lossless { throw ValidationError("--bits and --lossless exclude each other.") }
  }

  var readOptions: KVReadOptions {
    var options = KVReadOptions()
    options.axes = axes
    options.ropeLayout = rope.flatMap(RopeLayout.init(rawValue:))
    options.ropeBase = ropeBase
    options.model = model
    options.kvHeads = kvHeads
    options.dropsUnrotatedKeys = dropsUnrotatedKeys
    return options
  }
}

extension EncodeCommand {
  /// Whether the input is to be coded as a cache: by `--codec`, or else by what the file begins with. `bytes`: the input,
  /// where it had to be read already.
  func isCache(_ bytes: [UInt8]?) throws -> Bool {
    if let codec { return codec.codec == nil }
    if let bytes { return KVCacheReader.recognises(bytes) }
    return KVCacheReader.recognises(try Failure.about(input) { try FileIO.read(input, prefix: KVCacheReader.prefixBytes) })
  }

  /// `file` is open for the output.
  func runCache(_ bytes: [UInt8]?, _ progress: ProgressLine, into file: consuming AtomicFile) throws {
    let source = Console.name(input, input: true)
    let cache = try Failure.about(source) {
      try bytes.map { try KVCacheReader.read($0, options: kv.readOptions) }
        ?? KVCacheReader.read(input, options: kv.readOptions)
    }
    var options = KVCacheEncoder.Options()
    options.target =
      kv.lossless ? .lossless : kv.bits.map { .bitsPerElement($0) } ?? .quality(quality ?? 50)
    if codec == .cachegen { options.target = .cacheGen(kv.cacheGen.variant, level: kv.cacheGen.level) }
    options.chunkTokens = kv.chunk ?? options.chunkTokens
    options.threads = threads
    options.progress = progress.handler
    let encoded = try Failure.about(source) { try KVCacheEncoder(options: options).encode(cache) }
    do {
      try file.write(encoded.bytes)
      try file.commit()
    } catch { throw Failure(error, at: Console.name(output, input: false)) }
    progress.end()
    report(encoded, of: cache, source)
  }

  private func report(_ encoded: EncodedKVCache, of cache: KVCache, _ source: String) {
    let stream = Console.reportStream(besideOutput: output)
    if json {
      Console.print(
        JSON.object([
          ("input", .text(input)), ("output", .text(output)), ("format", .text("\(cache.source.format.rawValue)")),
          ("codec", .text((codec ?? .kv).rawValue)), ("layers", .integer(cache.layers.count)), ("tokens", .integer(cache.tokens)),
          ("elements", .integer(cache.elementCount)), ("bytes", .integer(encoded.bytes.count)),
          ("bitsPerElement", .number(encoded.bitsPerElement)),
          ("quality", encoded.quality.map(JSON.integer) ?? .null), ("lossless", .flag(encoded.quality == nil && codec != .cachegen)),
        ] + (codec == .cachegen ? [("level", .integer(kv.cacheGen.level)), ("variant", .text(kv.cacheGen.variant.rawValue))] : []) + [
          ("notices", .list(cache.notices.map(JSON.text))),
        ]).serialised, to: stream)
    } else if !quiet {
      for notice in cache.notices { Console.notice("\(source): \(notice)") }
      let kind = encoded.quality.map { "quality \($0)" }
        ?? (codec == .cachegen ? "CacheGen (\(kv.cacheGen.variant.rawValue)), level \(kv.cacheGen.level)" : "lossless")
      Console.print(
        Console.oneLine(
          "\(source): \(cache.summary), \(encoded.bytes.count) bytes, \(fixed(encoded.bitsPerElement, 3)) bits per element, \(kind)"),
        to: stream)
    }
  }
}

extension KVCache {
  /// Such as "cache of 30 layers, 2048 tokens".
  var summary: String { "cache of \(layers.count) layers, \(tokens) tokens" }
}

/// What decoding a KV cache takes beside what pictures take too.
struct KVDecodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Decode these positions alone. Caches only.", valueName: "a:b"))
  var tokens: String?

  @Option(help: ArgumentHelp("Decode these layers alone. Caches only.", valueName: "a:b"))
  var layers: String?

  @Option(
    help: ArgumentHelp("safetensors, npy, npz or llama. Caches only. (default: by the output's name, or what was encoded)",
      valueName: "format"))
  var format: String?

  func validate() throws {
    _ = try range(tokens, "tokens")
    _ = try range(layers, "layers")
    if let format, KVFileFormat(rawValue: format) == nil {
      throw ValidationError("--format \(format) is none of safetensors, npy, npz and llama.")
    }
  }

  /// "a:b" as a..<b.
  func range(_ text: String?, _ name: String) throws -> Range<Int>? {
    guard let text else { return nil }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let a = parts[0], let b = parts[1], a >= 0, a < b else {
      throw ValidationError("--\(name) \(text) is no range a:b with a below b.")
    }
    return a..<b
  }
}

extension DecodeCommand {
  func runCache(_ bytes: [UInt8], _ progress: ProgressLine) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    var options = KVCacheDecoder.Options()
    options.tokens = try kv.range(kv.tokens, "tokens")
    options.layers = try kv.range(kv.layers, "layers")
    options.threads = threads
    options.progress = progress.handler
    let cache = try Failure.about(source) { try KVCacheDecoder(options: options).decode(bytes) }
    progress.update("writing", ProgressLine.codecShare)
    do {
      try KVCacheWriter.write(cache, to: output, format: format, overwrite: force)
    } catch { throw Failure(error, at: target) }
    progress.end()
    if !quiet {
      Console.print(
        Console.oneLine("\(target): \(cache.summary), \(cache.byteCount) bytes of keys and values"),
        to: Console.reportStream(besideOutput: output))
    }
  }

  /// Nil for what the cache came in.
  private var format: KVFileFormat? {
    if let format = kv.format { return KVFileFormat(rawValue: format) }
    guard let dot = output.lastIndex(of: ".") else { return nil }
    return KVFileFormat(rawValue: output[dot...].dropFirst().lowercased())
  }
}
