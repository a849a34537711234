import ArgumentParser
import Glibc
import MediaIO
import NeuralCodecs

struct KVStoreList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Show what is in a store.",
    discussion: """
      Shows the chunks of each model and coding as a tree: where a chunk stands below another, it continues it. Times are \
      in UTC. Whole files are not read; 'nccodec verify' checks one.

      Examples:
        nccodec kv store list caches
        nccodec kv store list --json caches
      """)

  @Argument(help: ArgumentHelp("The store.", valueName: "dir"))
  var store: String

  @Flag(help: "Report as JSON.")
  var json = false

  func run() throws {
    let contents = try Failure.about(store) { try KVStore(at: store).contents() }
    Console.print(json ? Self.json(contents).serialised : text(contents), to: .standardOutput)
  }

  private func text(_ contents: KVStore.Contents) -> String {
    var lines = ["\(store): \(contents.chunks) chunks, \(contents.bytes) bytes"]
    for tree in contents.trees {
      if tree.coding.isEmpty {
        lines.append("tree \(tree.key.prefix(12)): its description is damaged; add a cache again to repair it")
      } else {
        let name = tree.fingerprint == tree.model || tree.model.isEmpty ? tree.fingerprint : "\(tree.model) (\(tree.fingerprint))"
        lines.append("\(name), \(tree.coding), chunks of \(tree.chunkTokens) tokens")
      }
      let deepest = tree.chunks.reduce(0) { max($0, $1.depth ?? 0) }
      // A long text's tree would leave the screen.
      let width = 14 + 2 * min(deepest, 16)
      for chunk in tree.chunks {
        let indent = String(repeating: "  ", count: min(chunk.depth ?? 0, 16))
        let first = (chunk.depth ?? 0) * tree.chunkTokens
        let tokens = chunk.tokens.map { chunk.depth == nil ? "\($0) tokens" : "\(first) to \(first + $0)" } ?? "damaged"
        let name = "  \(indent)\(chunk.key.prefix(12))"
        let lost = chunk.depth == nil ? ", cannot be reached: the chunk before it is missing" : ""
        lines.append(
          "\(name.padded(to: width)) \(tokens.padded(to: 17)) \("\(chunk.bytes) bytes".padded(to: 17)) \(Self.time(chunk.lastUse))\(lost)")
      }
    }
    if contents.temporaries > 0 { lines.append("\(contents.temporaries) temporary files") }
    for stranger in contents.strangers { lines.append("\(stranger): not the store's") }
    return lines.map(Console.oneLine).joined(separator: "\n")
  }

  private static func json(_ contents: KVStore.Contents) -> JSON {
    .object([
      ("chunks", .integer(contents.chunks)), ("bytes", .integer(contents.bytes)),
      ("trees", .list(contents.trees.map { tree in
        .object([
          ("key", .text(tree.key)), ("model", .text(tree.model)), ("fingerprint", .text(tree.fingerprint)),
          ("coding", .text(tree.coding)), ("chunkTokens", .integer(tree.chunkTokens)),
          ("chunks", .list(tree.chunks.map { chunk in
            .object([
              ("key", .text(chunk.key)), ("parent", .text(chunk.parent)), ("depth", chunk.depth.map(JSON.integer) ?? .null),
              ("tokens", chunk.tokens.map(JSON.integer) ?? .null), ("bytes", .integer(chunk.bytes)),
              ("lastUse", .integer(chunk.lastUse)),
            ])
          })),
        ])
      })),
      ("temporaries", .integer(contents.temporaries)), ("strangers", .list(contents.strangers.map(JSON.text))),
    ])
  }

  /// Such as "2026-11-28 22:16".
  private static func time(_ seconds: Int) -> String {
    var (time, parts) = (time_t(seconds), tm())
    guard gmtime_r(&time, &parts) != nil else { return "\(seconds)" }
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(1900 + Int(parts.tm_year))-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) \(two(parts.tm_hour)):\(two(parts.tm_min))"
  }
}

struct KVStoreCollect: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "gc",
    abstract: "Remove the chunks of a store that were not used for longest.",
    discussion: """
      A chunk counts as used when it is added, also again, and when it is got; what continues a chunk goes before it. \
      Chunks that nothing leads to and temporary files older than an hour go in any case. Waits for adding and getting to \
      end.

      Examples:
        nccodec kv store gc --max-bytes 10000000000 caches
        nccodec kv store gc --older-than 30 caches
      """)

  @Argument(help: ArgumentHelp("The store.", valueName: "dir"))
  var store: String

  @Option(help: ArgumentHelp("Leave no more than that many bytes of chunks.", valueName: "n"))
  var maxBytes: Int?

  @Option(help: ArgumentHelp("Remove what was not used for that many days.", valueName: "days"))
  var olderThan: Double?

  @Flag(help: "Print errors only.")
  var quiet = false

  @Flag(help: "Report as JSON.")
  var json = false

  func validate() throws {
    if let maxBytes, maxBytes < 0 { throw ValidationError("--max-bytes \(maxBytes) is below 0.") }
    if let olderThan, !(0...1_000_000).contains(olderThan) { throw ValidationError("--older-than \(olderThan) is not in 0...1000000.") }
  }

  func run() throws {
    let collected = try Failure.about(store) {
      try KVStore(at: store).collect(maxBytes: maxBytes, olderThan: olderThan.map { Int($0 * 86_400) })
    }
    if json {
      Console.print(
        JSON.object([
          ("store", .text(store)), ("removedChunks", .integer(collected.removedChunks)),
          ("removedBytes", .integer(collected.removedBytes)), ("removedTemporaries", .integer(collected.removedTemporaries)),
          ("keptChunks", .integer(collected.keptChunks)), ("keptBytes", .integer(collected.keptBytes)),
        ]).serialised, to: .standardOutput)
    } else if !quiet {
      var line = "\(store): \(collected.removedChunks) chunks of \(collected.removedBytes) bytes removed, "
      line += "\(collected.keptChunks) of \(collected.keptBytes) kept"
      if collected.removedTemporaries > 0 { line += ", \(collected.removedTemporaries) temporary files removed" }
      Console.print(Console.oneLine(line), to: .standardOutput)
    }
  }
}
