import ArgumentParser

/// `nccodec kv`: what there is to do with KV caches besides encoding and decoding.
struct KVGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kv",
    abstract: "Work with KV caches.",
    subcommands: [KVStoreGroup.self])
}
