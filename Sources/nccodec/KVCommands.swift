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
    help: ArgumentHelp("Tokens after which decoding can begin anew, at efforts from 5 on. Caches only. (default: 4096)", valueName: "n"))
  var segment: Int?

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

  @Flag(name: .customLong("before-rope"), help: "The keys are before RoPE. Caches only. (default: as the file says)")
  var isBeforeRope = false

  @Flag(name: .customLong("bf16"), help: "16-bit integers are bfloat16's bits. Caches only.")
  var readsBFloat16 = false

  @Flag(name: .customLong("drop-k-pre"), help: "Leave out k_pre where there is k too. Caches only.")
  var dropsUnrotatedKeys = false

  @Option(help: ArgumentHelp("Heads, where an axis holds heads and channels. Caches only.", valueName: "n"))
  var kvHeads: Int?

  @Option(
    help: ArgumentHelp("Qualities that the file holds beside each other, such as 70,40,20. Caches only.", valueName: "n,..."))
  var levels: String?

  @Flag(help: "Add the positions after its last to the output, which exists; quality and parts are its own. Caches only.")
  var append = false

  @Option(
    help: ArgumentHelp("Keep that many tokens of each head, such as 512, 0.5 or 50%, and evict the others. Caches only.",
      valueName: "n"))
  var keepTokens: String?

  @Option(help: ArgumentHelp("A profile of the model, for effort 9 ('nccodec kv calibrate'). Caches only.", valueName: "file"))
  var profile: String?

  @Flag(help: "Average values of tokens that --keep-tokens does not keep into like ones. Caches only.")
  var mergeTokens = false

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
      ("bits", bits != nil), ("lossless", lossless), ("chunk", chunk != nil), ("segment", segment != nil), ("axes", axes != nil), ("rope", rope != nil),
      ("rope-base", ropeBase != nil), ("model", model != nil), ("kv-heads", kvHeads != nil),
      ("before-rope", isBeforeRope), ("bf16", readsBFloat16), ("drop-k-pre", dropsUnrotatedKeys), ("levels", levels != nil), ("append", append), ("profile", profile != nil),
      ("keep-tokens", keepTokens != nil), ("merge-tokens", mergeTokens),
    ].filter { $0.1 }.map { $0.0 } + givenForCacheGen
  }

  func validate() throws {
    if let bits, !(bits.isFinite && bits > 0) { throw ValidationError("--bits \(bits) is not above 0.") }
    if let chunk, !(1...65_536).contains(chunk) { throw ValidationError("--chunk \(chunk) is not in 1...65536.") }
    if let segment, segment < 1 { throw ValidationError("--segment \(segment) is not above 0.") }
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
    if let levels {
      let qualities = Self.numbers(levels)
      guard let qualities, qualities.allSatisfy({ $0 <= 100 }), qualities.count <= KVCacheEncoder.Options.maximumLevels,
        Set(qualities).count == qualities.count
      else {
        throw ValidationError(
          "--levels \(levels) is no list of up to \(KVCacheEncoder.Options.maximumLevels) different qualities in 0...100.")
      }
      if bits != nil || lossless { throw ValidationError("--levels goes with neither --bits nor --lossless.") }
    }
    if append {
      for (name, isGiven) in [
        ("bits", bits != nil), ("lossless", lossless), ("levels", levels != nil), ("chunk", chunk != nil),
      ] where isGiven {
        throw ValidationError("--\(name) does not go with --append: that is as the file has it.")
      }
    }
    _ = try keptTokens
    if mergeTokens, keepTokens == nil { throw ValidationError("--merge-tokens is for --keep-tokens.") }
    if mergeTokens || keepTokens != nil, append { throw ValidationError("--keep-tokens does not go with --append.") }
  }

  /// "2,0,1" as numbers of 0 on; nil for anything else.
  static func numbers(_ text: String) -> [Int]? {
    let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      part.allSatisfy { $0.isASCII && $0.isNumber } ? Int(part) : nil
    }
    return numbers.contains(nil) ? nil : numbers.compactMap { $0 }
  }

  /// What `keepTokens` says; nil without it.
  private var keptTokens: KVReduction.Budget? {
    get throws {
      guard let text = keepTokens else { return nil }
      if let tokens = Int(text), tokens > 0 { return .tokens(tokens) }
      let share = text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : Double(text)
      guard let share, share > 0, share <= 1 else {
        throw ValidationError("--keep-tokens \(text) is neither a number of tokens nor a share of them.")
      }
      return .fraction(share)
    }
  }

  /// The cache as it is to be coded. Throws `CodecError`.
  func reduced(_ cache: KVCache, threads: Int?) throws -> KVCache {
    guard let budget = try keptTokens else { return cache }
    var options = KVReduction.Options()
    (options.merging, options.threads) = (mergeTokens ? .values : .none, threads)
    return try KVReduction(keeping: budget, options: options).reduce(cache)
  }

  var readOptions: KVReadOptions {
    var options = KVReadOptions()
    options.axes = axes
    options.ropeLayout = rope.flatMap(RopeLayout.init(rawValue:))
    options.ropeBase = ropeBase
    options.model = model
    options.kvHeads = kvHeads
    options.dropsUnrotatedKeys = dropsUnrotatedKeys
    options.keysAreRotated = isBeforeRope ? false : nil
    options.uint16IsBFloat16 = readsBFloat16
    return options
  }
}

/// What decoding a KV cache takes beside what pictures take too.
struct KVDecodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The profile that the file was encoded with. Caches only.", valueName: "file"))
  var profile: String?

  @Option(help: ArgumentHelp("Decode these positions alone. Caches only.", valueName: "a:b"))
  var tokens: String?

  @Option(help: ArgumentHelp("Decode these layers alone. Caches only.", valueName: "a:b"))
  var layers: String?

  @Option(
    help: ArgumentHelp(
      "safetensors, npy, npz or llama of caches; mp4, mov, mkv, webm, avi, y4m or pictures of video; wav, flac, opus, ogg, mp3 or m4a of sound. (default: by the output's name, or what was encoded)",
      valueName: "format"))
  var format: String?

  @Option(help: ArgumentHelp("The level to decode, 0 the best. Caches only. (default: 0)", valueName: "n"))
  var level: Int?

  @Option(help: ArgumentHelp("The level of each part, from the first on. Caches only.", valueName: "n,..."))
  var choose: String?

  func validate() throws {
    if let level, level < 0 { throw ValidationError("--level \(level) is below 0.") }
    if let choose {
      if KVEncodeOptions.numbers(choose) == nil { throw ValidationError("--choose \(choose) is no list of levels such as 0,2,1.") }
      if level != nil { throw ValidationError("--level and --choose exclude each other.") }
    }
    _ = try range(tokens, "tokens")
    _ = try range(layers, "layers")
    if let format, KVFileFormat(rawValue: format) == nil, AudioFileFormat(rawValue: format) == nil, VideoFileFormat(rawValue: format) == nil {
      let others = (VideoFileFormat.allCases.map(\.rawValue) + AudioFileFormat.allCases.map(\.rawValue)).joined(separator: ", ")
      throw ValidationError("--format \(format) is none of safetensors, npy, npz, llama, \(others).")
    }
  }

  /// Those that were given and that only caches have.
  var givenForCaches: [String] {
    [
      ("profile", profile != nil), ("tokens", tokens != nil), ("layers", layers != nil), ("level", level != nil), ("choose", choose != nil),
    ].filter(\.1).map(\.0)
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
