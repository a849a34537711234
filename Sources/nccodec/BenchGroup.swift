import ArgumentParser

/// `nccodec bench ...`: measurements beside other codecs.
struct BenchGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure codecs beside each other.",
    subcommands: [BenchPageCommand.self])
}
