import Metrics

/// Holds our codecs in one report against an earlier one, so that losses are noticed.
package struct BenchGuard {
  /// The quality that rates are compared at.
  package var measure = "psnr"
  /// BD-rate against the earlier report, in percent, that is no loss yet.
  package var toleranceRate = 1.0
  /// Percent by which the ratio of our time to `anchor`'s may grow; nil: times are not compared.
  package var toleranceSpeed: Double? = 15
  /// The peer whose time in the same report is the unit, as times mean nothing on another machine.
  package var anchor = "jpeg"

  package init() {}

  package struct Outcome: Sendable, Equatable {
    /// One line per comparison.
    package var lines: [String] = []
    /// One line per loss, and per comparison that could not be made.
    package var losses: [String] = []
  }

  /// Compares what both have: our codecs on the same files (by content). A codec or file of `earlier` that `now` lacks is a
  /// loss, or a guard that compares nothing would pass.
  package func compare(_ now: BenchResults, with earlier: BenchResults) -> Outcome {
    var outcome = Outcome()
    guard now.kind == earlier.kind else {
      outcome.losses.append("the earlier report is of kind \(earlier.kind.rawValue), this one of kind \(now.kind.rawValue)")
      return outcome
    }
    let renamed = Self.matching(now, earlier)
    for old in earlier.files where old.error == nil && !renamed.values.contains(old.name) {
      outcome.losses.append("\(old.name) of the earlier report was not measured")
    }
    let ours = earlier.codecs.filter { $0.family == .ours && $0.missing == nil }
    if ours.isEmpty { outcome.losses.append("the earlier report has no codec of ours") }
    for codec in ours {
      rate(codec.name, now, earlier, renamed, &outcome)
      if let toleranceSpeed { speed(codec.name, toleranceSpeed, now, earlier, renamed, &outcome) }
    }
    return outcome
  }

  /// Names of files in `now` to those in `earlier` with the same bytes.
  private static func matching(_ now: BenchResults, _ earlier: BenchResults) -> [String: String] {
    var result: [String: String] = [:]
    for file in now.files {
      if let same = earlier.files.first(where: { $0.sha256 != nil && $0.sha256 == file.sha256 }) { result[file.name] = same.name }
    }
    return result
  }

  private func rate(
    _ codec: String, _ now: BenchResults, _ earlier: BenchResults, _ renamed: [String: String], _ outcome: inout Outcome
  ) {
    guard let record = earlier.measures.first(where: { $0.name == measure }) ?? now.measures.first(where: { $0.name == measure })
    else {
      outcome.losses.append("\(codec): neither report has \(measure)")
      return
    }
    let complete = Set(earlier.complete(codec, measure) ?? [])
    let files = (now.complete(codec, measure) ?? []).filter { renamed[$0].map(complete.contains) ?? false }
    let anchor = earlier.ratePoints(codec, record, Set(files.compactMap { renamed[$0] }))
    let test = now.ratePoints(codec, record, Set(files))
    do {
      guard !files.isEmpty else { throw BenchError("no file has all its points in both reports") }
      let change = try bdRate(anchor: anchor, test: test)
      let line = "\(codec): BD-rate by \(measure) \(signed(change)) % against the earlier report, \(files.count) files"
      outcome.lines.append(line)
      if change > toleranceRate { outcome.losses.append("\(line), where \(signed(toleranceRate)) % are allowed") }
    } catch { outcome.losses.append("\(codec): rates cannot be compared: \(error)") }
  }

  private func speed(
    _ codec: String, _ tolerance: Double, _ now: BenchResults, _ earlier: BenchResults, _ renamed: [String: String],
    _ outcome: inout Outcome
  ) {
    let directions: [(String, KeyPath<PointRecord, [Double]>, KeyPath<PointRecord, [Double]>)] = [
      ("encoding", \.encodeCPUSeconds, \.encodeSeconds), ("decoding", \.decodeCPUSeconds, \.decodeSeconds),
    ]
    for (name, processor, wall) in directions {
      /// Of the fastest repetitions, by processor time where both codecs have it.
      func ratio(_ results: BenchResults, _ files: Set<String>) -> Double? {
        func seconds(_ codec: String, _ times: KeyPath<PointRecord, [Double]>) -> Double? {
          let least = results.points.filter { $0.codec == codec && $0.error == nil && files.contains($0.file) }
            .map { $0[keyPath: times].min() }
          guard !least.isEmpty, !least.contains(where: { $0 == nil }) else { return nil }
          return least.compactMap { $0 }.reduce(0, +) / Double(least.count)
        }
        for times in [processor, wall] {
          if let ours = seconds(codec, times), let peer = seconds(anchor, times), peer > 0 { return ours / peer }
        }
        return nil
      }
      guard let before = ratio(earlier, Set(renamed.values)), let after = ratio(now, Set(renamed.keys)), before > 0 else {
        outcome.losses.append("\(codec): speeds cannot be compared, as a report lacks \(anchor) beside it")
        return
      }
      let change = (after / before - 1) * 100
      let line =
        "\(codec): \(name) takes \(fixed(after, 2)) times \(anchor)'s time, earlier \(fixed(before, 2)) times (\(signed(change)) %)"
      outcome.lines.append(line)
      if change > tolerance { outcome.losses.append("\(line), where \(signed(tolerance)) % are allowed") }
    }
  }

  private func signed(_ percent: Double) -> String { (percent > 0 ? "+" : "") + fixed(percent, 2) }
}
