import ArgumentParser
import MediaIO
import NeuralCodecs

struct KVPlanCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Choose what of a cache to fetch so that it is there in time.",
    discussion: """
      For each part of a cache that was encoded with --levels, says which level to fetch over a link of --bandwidth, or that \
      the model should compute the part anew from the text (with --recompute-rate), so that all is there by --deadline. \
      Parts are fetched in order; the model may compute while the link fetches.

      Bandwidth is in bits (bps, kbps, Mbps, Gbps) or bytes (B/s, kB/s, MB/s, GB/s, also KiB/s, MiB/s, GiB/s) a second; the \
      deadline in us, ms, s or min.

      Rules: ahead has the least squared error that the time allows and lets the model compute the first parts while later \
      ones are fetched; cachegen gives each part an equal share of the deadline, takes the best level that fits it, and else \
      computes.

      Mean quality is by tokens, what is computed anew counting as 100; the even quality is that of which a whole cache \
      would be off by as much.

      Exit codes: 3 where the deadline cannot be met; the plan that comes soonest is printed all the same. Others as for \
      all commands.

      Examples:
        nccodec encode --levels 20,40,70 cache.safetensors cache.ncb
        nccodec kv plan cache.ncb --bandwidth 1.5Gbps --deadline 100ms
        nccodec kv plan cache.ncb --bandwidth 20MB/s --deadline 1s --recompute-rate 4000
      """)

  @Argument(help: ArgumentHelp("The cache; - for standard input.", valueName: "file.ncb"))
  var input: String

  @Option(help: ArgumentHelp("The link's speed, such as 1.5Gbps or 200MB/s.", valueName: "speed"))
  var bandwidth: String

  @Option(help: ArgumentHelp("When all has to be there, such as 300ms or 2s.", valueName: "time"))
  var deadline: String

  @Option(help: ArgumentHelp("Tokens a second that the model computes. (default: it does not)", valueName: "n"))
  var recomputeRate: Double?

  @Option(help: ArgumentHelp("ahead or cachegen.", valueName: "rule"))
  var rule = KVPlanner.Rule.ahead.rawValue

  @Flag(help: "Report as JSON.")
  var json = false

  func validate() throws {
    guard Quantity.bytesPerSecond(bandwidth) != nil else {
      throw ValidationError("--bandwidth \(bandwidth) is no speed above 0 with a unit, such as 1.5Gbps or 200MB/s.")
    }
    guard Quantity.seconds(deadline) != nil else {
      throw ValidationError("--deadline \(deadline) is no time above 0 with a unit, such as 300ms or 2s.")
    }
    if let recomputeRate, !(recomputeRate.isFinite && recomputeRate > 0) {
      throw ValidationError("--recompute-rate \(recomputeRate) is not above 0.")
    }
    guard KVPlanner.Rule(rawValue: rule) != nil else { throw ValidationError("--rule \(rule) is neither ahead nor cachegen.") }
  }

  func run() throws {
    let source = Console.name(input, input: true)
    guard let speed = Quantity.bytesPerSecond(bandwidth), let deadline = Quantity.seconds(deadline),
      let rule = KVPlanner.Rule(rawValue: rule)
    else { preconditionFailure("validate() has seen them") }
    let opened = try Failure.about(source) { try InputSource(input) }
    guard KVCacheFile.isOne(opened) else {
      throw Failure("\(source): is no .ncb file with a KV cache. Make one with 'nccodec encode --levels 20,40,70'.")
    }
    var options = KVPlanner.Options(deadline: deadline, recomputeRate: recomputeRate)
    options.rule = rule
    let (plan, other) = try Failure.about(source) {
      let file = try KVCacheFile(reading: opened)
      let plan = try KVPlanner(file, options: options).simulated(bytesPerSecond: speed)
      options.rule = rule == .ahead ? .cachegen : .ahead
      return (plan, try KVPlanner(file, options: options).simulated(bytesPerSecond: speed))
    }
    if json {
      Console.print(jsonReport(plan, speed, rule).serialised, to: .standardOutput)
    } else {
      Console.print(Self.table(plan).joined(separator: "\n"), to: .standardOutput)
      Console.print("\(rule.rawValue): \(Self.summary(plan))", to: .standardOutput)
      Console.print("\(options.rule.rawValue) for comparison: \(Self.summary(other))", to: .standardOutput)
    }
    guard plan.meetsDeadline else {
      Console.error(
        "\(source): the deadline of \(Self.time(deadline)) cannot be met, \(Self.time(plan.seconds)) are needed. Allow more time, encode a level of less quality, or let the model compute parts (--recompute-rate).")
      throw ExitCode(3)
    }
  }

  private static func table(_ plan: KVPlan) -> [String] {
    var rows = [["part", "tokens", "bytes", "level", "quality", "there after"]]
    for (number, step) in plan.steps.enumerated() {
      let positions = "\(step.chunk.positions.lowerBound)..\(step.chunk.positions.upperBound)"
      switch step.choice {
      case .level(let level):
        let quality = plan.qualities[level].map(String.init) ?? "-"
        rows.append(["\(number)", positions, "\(step.bytes)", "\(level)", quality, time(step.ready)])
      case .recompute: rows.append(["\(number)", positions, "\(step.bytes)", "text", "computed", time(step.ready)])
      }
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      zip(row, widths).map { String(repeating: " ", count: $1 - $0.count) + $0 }.joined(separator: "  ")
    }
  }

  private static func summary(_ plan: KVPlan) -> String {
    var text = "\(plan.byteCount) bytes, there after \(time(plan.seconds)) of \(time(plan.deadline))"
    if !plan.meetsDeadline { text += ": too late" }
    if plan.recomputedTokens > 0 { text += ", \(plan.recomputedTokens) tokens computed" }
    if let mean = plan.meanQuality, let even = plan.evenQuality {
      text += ", mean quality \(fixed(mean, 1)), even quality \(fixed(even, 1))"
    }
    return text
  }

  private static func time(_ seconds: Double) -> String {
    seconds < 1 ? "\(fixed(1000 * seconds, 1)) ms" : "\(fixed(seconds, 3)) s"
  }

  private func jsonReport(_ plan: KVPlan, _ speed: Double, _ rule: KVPlanner.Rule) -> JSON {
    let levels: [JSON] = plan.steps.map { if case .level(let level) = $0.choice { .integer(level) } else { .null } }
    let steps: [JSON] = zip(plan.steps, levels).map { step, level in
      .object([
        ("from", .integer(step.chunk.positions.lowerBound)), ("to", .integer(step.chunk.positions.upperBound)),
        ("level", level), ("bytes", .integer(step.bytes)), ("ready", .number(step.ready)),
      ])
    }
    return .object([
      ("file", .text(input)), ("rule", .text(rule.rawValue)), ("bytesPerSecond", .number(speed)),
      ("deadline", .number(plan.deadline)), ("recomputeRate", recomputeRate.map(JSON.number) ?? .null),
      ("seconds", .number(plan.seconds)), ("met", .flag(plan.meetsDeadline)), ("bytes", .integer(plan.byteCount)),
      ("computedTokens", .integer(plan.recomputedTokens)), ("meanQuality", plan.meanQuality.map(JSON.number) ?? .null),
      ("evenQuality", plan.evenQuality.map(JSON.number) ?? .null),
      ("qualities", .list(plan.qualities.map { $0.map(JSON.integer) ?? .null })), ("levels", .list(levels)),
      ("parts", .list(steps)),
    ])
  }
}

/// Numbers with units.
enum Quantity {
  /// "1.5Gbps" is 187,500,000; nil for what is not positive, finite, or has no known unit.
  static func bytesPerSecond(_ text: String) -> Double? {
    value(text, [
      ("bps", 0.125), ("kbps", 125), ("mbps", 125e3), ("gbps", 125e6), ("b/s", 1), ("kb/s", 1e3), ("mb/s", 1e6), ("gb/s", 1e9),
      ("kib/s", 1024), ("mib/s", 1_048_576), ("gib/s", 1_073_741_824),
    ])
  }

  /// "300ms" is 0.3.
  static func seconds(_ text: String) -> Double? { value(text, [("us", 1e-6), ("ms", 1e-3), ("s", 1), ("min", 60)]) }

  private static func value(_ text: String, _ units: [(name: String, factor: Double)]) -> Double? {
    let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let unit = text.dropFirst(digits.count).drop { $0 == " " }.lowercased()
    guard let number = Double(digits), let factor = units.first(where: { $0.name == unit })?.factor else { return nil }
    let value = number * factor
    return value.isFinite && value > 0 ? value : nil
  }
}
