import ArgumentParser
import Benchmarking
import Glibc
import MediaIO

/// `nccodec bench ...`: our codecs beside others.
struct BenchGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measure codecs beside each other, and make a report.",
    subcommands: [
      BenchImageCommand.self, BenchVideoCommand.self, BenchAudioCommand.self, BenchKVCommand.self, BenchCompareCommand.self,
      BenchPageCommand.self, BenchProbeCommand.self,
    ])
}

/// What the benchmarks of all kinds take.
struct BenchOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Keep the report in that folder: results.json, results.csv, index.html. What it has is not measured again.",
      valueName: "folder"))
  var out: String?

  @Option(help: ArgumentHelp("Points of each codec's curve.", valueName: "1...32"))
  var points = 6

  @Option(help: ArgumentHelp("Time each point that often.", valueName: "n"))
  var `repeat` = 1

  @Option(help: ArgumentHelp("Points measured at once; 1 gives the calmest times. (default: one per core)", valueName: "n"))
  var workers: Int?

  @Option(
    help: ArgumentHelp(
      "Fail where our codecs have become worse than in that report.", valueName: "results.json"))
  var against: String?

  @Option(help: ArgumentHelp("BD-rate that is no loss yet.", valueName: "percent"))
  var toleranceRate = Percent(1)

  @Option(
    help: ArgumentHelp(
      "How much slower, as a ratio to jpeg in the same run (video: to x264, audio: to opus, kv: to q8_0), is no loss yet; none: any.", valueName: "percent"))
  var toleranceSpeed = Percent(15)

  @Flag(help: "Measure everything, whatever the folder has.")
  var fresh = false

  @Flag(help: "Print errors only.")
  var quiet = false

  func validate() throws {
    if !(1...32).contains(points) { throw ValidationError("--points \(points) is not in 1...32.") }
    if !(1...1000).contains(`repeat`) { throw ValidationError("--repeat \(`repeat`) is not in 1...1000.") }
    if let workers, !(1...256).contains(workers) { throw ValidationError("--workers \(workers) is not in 1...256.") }
    if toleranceRate.value == nil { throw ValidationError("--tolerance-rate needs a number.") }
  }

  func course(_ progress: ProgressLine) -> BenchCourse {
    var course = BenchCourse()
    course.repetitions = `repeat`
    course.workers = workers ?? BenchRun.cores
    course.isStopped = { Interrupt.hasHappened }
    course.progress = { progress.update("\($0.done)/\($0.total) points", $0.fraction) }
    return course
  }

  /// Codecs from a list with commas, each once.
  static func names(_ list: String) throws -> [String] {
    var result: [String] = []
    for name in list.split(separator: ",").map(String.init) where !result.contains(name) { result.append(name) }
    if result.isEmpty { throw ValidationError("--codecs names no codec.") }
    return result
  }
}

/// "1", "1%" or "none".
struct Percent: ExpressibleByArgument {
  let value: Double?

  init(_ value: Double?) { self.value = value }

  init?(argument: String) {
    if argument == "none" {
      value = nil
      return
    }
    guard let number = Double(argument.hasSuffix("%") ? String(argument.dropLast()) : argument), number.isFinite, number >= 0
    else { return nil }
    value = number
  }

  var defaultValueDescription: String { value.map { $0 == $0.rounded() ? "\(Int($0))" : "\($0)" } ?? "none" }
}

/// A benchmark's report on disk and on the terminal.
struct BenchReport {
  let options: BenchOptions
  /// As it was typed, for the report.
  static var commandLine: String { ([Console.programName] + CommandLine.arguments.dropFirst()).joined(separator: " ") }

  /// What the folder has; nil for none or with --fresh. Makes the folder.
  func previous() throws -> BenchResults? {
    guard let out = options.out else { return nil }
    guard mkdir(out, 0o777) == 0 || errno == EEXIST else {
      throw Failure("\(out): \(String(cString: strerror(errno))). Check that the folder above it exists.")
    }
    let path = "\(out)/results.json"
    if options.fresh || access(path, F_OK) != 0 { return nil }
    return try Self.read(path)
  }

  static func read(_ path: String) throws -> BenchResults {
    try Failure.about(path) { try BenchResults(json: try FileIO.read(path), named: path) }
  }

  /// Writes results.json, whole or not at all.
  func save(_ results: BenchResults) throws {
    guard let out = options.out else { return }
    try FileIO.write(try results.json(), to: "\(out)/results.json", overwrite: true)
  }

  /// Writes the other files, prints the table and, with --against, compares. Throws `ExitCode` (1) for failed points, losses
  /// or a run that was stopped.
  func finish(_ results: BenchResults, anchor: String, measure: String) throws {
    if let out = options.out {
      try Failure.about(out) {
        try FileIO.write(results.csv(), to: "\(out)/results.csv", overwrite: true)
        try ReportPage.write(results: results, to: out)
      }
    }
    if !options.quiet { Console.print(ResultsTable(results).text, to: .standardOutput) }
    var hasFailed = !results.failures.isEmpty
    if options.quiet { for line in results.failures { Console.error(line) } }
    if Interrupt.hasHappened {
      Console.error("stopped: \(results.points.count) points are measured; the same command goes on from there.")
      throw ExitCode(1)
    }
    if let against = options.against {
      var comparison = BenchGuard()
      comparison.anchor = anchor
      comparison.measure = measure
      comparison.toleranceRate = options.toleranceRate.value ?? comparison.toleranceRate
      comparison.toleranceSpeed = options.toleranceSpeed.value
      let outcome = comparison.compare(results, with: try Self.read(against))
      if !options.quiet {
        Console.print("\nAgainst \(against):\n" + outcome.lines.map { "  \($0)" }.joined(separator: "\n"), to: .standardOutput)
      }
      for loss in outcome.losses { Console.error("loss: \(loss)") }
      if !outcome.losses.isEmpty { hasFailed = true }
    }
    if hasFailed { throw ExitCode(1) }
  }
}
