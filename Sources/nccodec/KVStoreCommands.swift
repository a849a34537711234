import ArgumentParser
import Glibc
import MediaIO
import NeuralCodecs

struct KVStoreGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "store",
    abstract: "Keep KV caches in a folder, each common prefix once.",
    discussion: """
      Caches are cut into chunks of tokens. A chunk is an .ncb file, named by a hash of the model, the coding and all \
      tokens up to its end, and is written once, however many caches begin with it. Several processes may use a folder \
      at once; one that is killed leaves nothing that harms.

      Examples:
        nccodec kv store add caches chat.safetensors
        nccodec kv store get --tokens-file prompt.txt caches prefix.safetensors
        nccodec kv store list caches
        nccodec kv store gc --max-bytes 10000000000 --older-than 30 caches
      """,
    subcommands: [KVStoreAdd.self, KVStoreGet.self, KVStoreList.self, KVStoreCollect.self])
}

/// How chunks are coded, or were.
struct KVStoreCoding: ParsableArguments {
  @Option(help: ArgumentHelp("0 (smallest) to 100 (best).", valueName: "0...100"))
  var quality: Int?

  @Flag(help: "Every bit is kept.")
  var lossless = false

  @Option(help: ArgumentHelp("A profile of the model, for effort 9.", valueName: "file"))
  var profile: String?

  @Option(help: ArgumentHelp("The model's name, where a file does not say it or says it wrongly.", valueName: "name"))
  var model: String?

  @Option(
    help: ArgumentHelp("Stands for the model's weights, such as their hash. (default: the model's name)", valueName: "text"))
  var fingerprint: String?

  func validate() throws {
    if let quality, !(0...100).contains(quality) { throw ValidationError("--quality \(quality) is not in 0...100.") }
    if quality != nil, lossless { throw ValidationError("--quality and --lossless exclude each other.") }
  }
}

struct KVStoreAdd: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add",
    abstract: "Add a KV cache to a store.",
    discussion: """
      Reads what 'nccodec encode' reads of caches. Writes only the chunks that are not there yet, and those that are \
      damaged. The cache must hold its text from the first token on, and its file the tokens' ids as an array "tokens", \
      unless --tokens-file gives them: a file with such an array, an .npy array, or text of numbers.

      Examples:
        nccodec kv store add caches chat.safetensors
        nccodec kv store add --lossless --model smollm2 caches state.bin
        nccodec kv store add --effort 9 --profile m.ncprofile caches chat.safetensors
      """)

  @Argument(help: ArgumentHelp("The store; made if it is not there.", valueName: "dir"))
  var store: String

  @Argument(help: ArgumentHelp("The cache; - for standard input.", valueName: "cache"))
  var input: String

  @Option(help: ArgumentHelp("Tokens of a chunk. (default: 256)", valueName: "n"))
  var chunk: Int?

  @Option(help: ArgumentHelp("1 (fastest) to 9 (smallest, with a profile); 5 to 8 learn anew in each chunk.", valueName: "1...9"))
  var effort = 1

  @OptionGroup var coding: KVStoreCoding

  @Option(help: ArgumentHelp("Where the tokens' ids are. (default: in the cache)", valueName: "file"))
  var tokensFile: String?

  @Option(help: ArgumentHelp("The arrays' axes. (default: as the file says)", valueName: "axes"))
  var axes: String?

  @Option(help: ArgumentHelp("Heads, where an axis holds heads and channels.", valueName: "n"))
  var kvHeads: Int?

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Flag(help: "Print errors only.")
  var quiet = false

  @Flag(help: "Report as JSON.")
  var json = false

  func validate() throws {
    if let chunk, !(1...65_536).contains(chunk) { throw ValidationError("--chunk \(chunk) is not in 1...65536.") }
    if let kvHeads, kvHeads < 1 { throw ValidationError("--kv-heads \(kvHeads) is not above 0.") }
    if !(1...9).contains(effort) { throw ValidationError("--effort \(effort) is not in 1...9.") }
    if coding.profile != nil, effort != 9 { throw ValidationError("--profile is for --effort 9.") }
    if input == "-", tokensFile == "-" { throw ValidationError("The cache and --tokens-file cannot both be standard input.") }
    try validate(threads: threads)
  }

  func run() throws {
    let source = Console.name(input, input: true)
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    var reading = KVReadOptions()
    (reading.axes, reading.kvHeads, reading.model) = (axes, kvHeads, coding.model)
    reading.dropsUnrotatedKeys = true
    let cache = try Failure.about(source) { try KVCacheReader.read(input, options: reading) }
    let tokens = try tokensFile.map { file in
      try Failure.about(Console.name(file, input: true)) { try KVTokenReader.read(file).ids }
    }
    var options = KVStore.Options()
    options.encoder.target = coding.lossless ? .lossless : .quality(coding.quality ?? 50)
    (options.encoder.effort, options.encoder.profile) = (effort, try KVProfile.given(coding.profile))
    options.encoder.chunkTokens = chunk ?? options.encoder.chunkTokens
    options.encoder.threads = threads
    options.encoder.progress = progress.handler
    options.fingerprint = coding.fingerprint
    let added = try Failure.about(source) { try KVStore(at: store, options: options).add(cache, tokens: tokens) }
    progress.end()
    if json {
      Console.print(
        JSON.object([
          ("input", .text(input)), ("store", .text(store)), ("tokens", .integer(added.tokens)),
          ("newChunks", .integer(added.newChunks)), ("newBytes", .integer(added.newBytes)),
          ("sharedChunks", .integer(added.sharedChunks)), ("sharedBytes", .integer(added.sharedBytes)),
          ("repairedChunks", .integer(added.repairedChunks)),
        ]).serialised, to: .standardOutput)
    } else if !quiet {
      var line = "\(source): \(added.tokens) tokens, \(added.newChunks) new chunks of \(added.newBytes) bytes, "
      line += "\(added.sharedChunks) shared of \(added.sharedBytes)"
      if added.repairedChunks > 0 { line += ", \(added.repairedChunks) of the new were damaged before" }
      Console.print(Console.oneLine(line), to: .standardOutput)
    }
  }
}

struct KVStoreGet: ParsableCommand {
  /// Of `get` where nothing of the text is stored.
  static let nothingFound: Int32 = 3

  static let configuration = CommandConfiguration(
    commandName: "get",
    abstract: "Get the longest stored prefix of a text's tokens as a KV cache.",
    discussion: """
      The tokens' ids come from a file with an array "tokens", such as a cache, from an .npy array, or from text of \
      numbers. Where prefixes are stored in several qualities, the longest one is taken, and then the best; --quality \
      and --lossless choose. Where they are stored for several models, --model or --fingerprint must say which.

      Exit code 3 says that not even the first token is stored; then nothing is written.

      Examples:
        nccodec kv store get --tokens-file prompt.txt caches prefix.safetensors
        nccodec kv store get --tokens-file ids.npy --format llama caches prefix.bin
      """)

  @Argument(help: ArgumentHelp("The store.", valueName: "dir"))
  var store: String

  @Argument(help: ArgumentHelp("The cache to write; - for standard output.", valueName: "out"))
  var output: String

  @Option(help: ArgumentHelp("Where the tokens' ids are; - for standard input.", valueName: "file"))
  var tokensFile: String

  @OptionGroup var coding: KVStoreCoding

  @Option(help: ArgumentHelp("safetensors, npy, npz or llama. (default: by the output's name, or what was added)", valueName: "format"))
  var format: String?

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Flag(help: "Overwrite the output if it exists.")
  var force = false

  @Flag(help: "Print errors only.")
  var quiet = false

  @Flag(help: "Report as JSON.")
  var json = false

  func validate() throws {
    if let format, KVFileFormat(rawValue: format) == nil {
      throw ValidationError("--format \(format) is none of safetensors, npy, npz and llama.")
    }
    try validate(threads: threads)
  }

  func run() throws {
    try Console.refuseTerminal(output, suffix: "safetensors")
    let source = Console.name(tokensFile, input: true), target = Console.name(output, input: false)
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    let tokens = try Failure.about(source) { try KVTokenReader.read(tokensFile) }
    var options = KVStore.Options()
    (options.encoder.threads, options.encoder.profile) = (threads, try KVProfile.given(coding.profile))
    options.encoder.progress = progress.handler
    var selection = KVStore.Selection()
    selection.model = coding.model ?? tokens.model
    selection.fingerprint = coding.fingerprint
    selection.coding = coding.lossless ? "lossless" : coding.quality.map { "quality \($0)" }
    let found = try Failure.about(store) { try KVStore(at: store, options: options).prefix(of: tokens.ids, selection) }
    guard let found else {
      progress.end()
      if json {
        Console.print(report(nil, of: tokens.ids.count), to: Console.reportStream(besideOutput: output))
      } else if !quiet {
        Console.error("\(store): none of the \(tokens.ids.count) tokens of \(source) are stored.")
      }
      Glibc.exit(Self.nothingFound)
    }
    do {
      try KVCacheWriter.write(
        found.cache, to: output, format: format.flatMap(KVFileFormat.init) ?? .of(name: output), overwrite: force)
    } catch { throw Failure(error, at: target) }
    progress.end()
    let stream = Console.reportStream(besideOutput: output)
    if json {
      Console.print(report(found, of: tokens.ids.count), to: stream)
    } else if !quiet {
      Console.print(
        Console.oneLine("\(target): \(found.tokens) of \(tokens.ids.count) tokens found, in \(found.chunks) chunks, \(found.coding)"),
        to: stream)
    }
  }

  private func report(_ found: KVStore.Prefix?, of count: Int) -> String {
    JSON.object([
      ("store", .text(store)), ("output", found == nil ? .null : .text(output)), ("asked", .integer(count)),
      ("found", .integer(found?.tokens ?? 0)), ("chunks", .integer(found?.chunks ?? 0)),
      ("coding", found.map { .text($0.coding) } ?? .null),
    ]).serialised
  }
}

extension KVFileFormat {
  /// The format that a name's ending asks for; nil for none.
  static func of(name: String) -> KVFileFormat? {
    guard let dot = name.lastIndex(of: ".") else { return nil }
    return KVFileFormat(rawValue: name[dot...].dropFirst().lowercased())
  }
}
