import ArgumentParser

/// `nccodec bench ...`: measurements.
struct BenchGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure codecs.",
    subcommands: [BenchCompareCommand.self])
}
