import ArgumentParser

/// `nccodec kv ...`: what there is to do with KV caches beside encoding and decoding.
struct KVGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kv",
    abstract: "Work with KV caches.",
    subcommands: [KVCalibrateCommand.self, KVPlanCommand.self, KVStoreGroup.self])
}
