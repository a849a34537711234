/// The terminal's view of a report.
package struct ResultsTable {
  private let results: BenchResults

  package init(_ results: BenchResults) { self.results = results }

  /// Means by codec and point, BD-rates, then what is missing and what failed.
  package var text: String {
    var parts: [String] = []
    if let summary = results.summary {
      if !summary.curves.isEmpty { parts.append(curves(summary)) }
      for measure in results.measures 
      where ["psnr", "msssim", "sisdr", "visqol"].contains(measure.name) || results.kind == .kv {
        if let matrix = matrix(summary, measure) { parts.append(matrix) }
      }
    }
    if !results.missing.isEmpty { parts.append("Missing here:\n" + results.missing.map { "  \($0)" }.joined(separator: "\n")) }
    if !results.failures.isEmpty { parts.append("Failed:\n" + results.failures.map { "  \($0)" }.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n")
  }

  private func curves(_ summary: BenchSummary) -> String {
    let shown = results.measures.filter { $0.missing == nil }
    let (rate, unit) =
      switch results.kind {
      case .image: ("bpp", "Mpx")
      case .kv: ("bits", "M")
      case .audio: ("kbps", "s")
      }
    var rows = [
      ["codec", "setting", "files", rate]
        + shown.map { $0.unit.isEmpty ? $0.title : "\($0.title), \($0.unit)" } + ["encode s/\(unit)", "decode s/\(unit)"]
    ]
    for curve in summary.curves {
      for point in curve.points {
        let values = shown.map { measure -> String in
          guard let value = point.measures[measure.name].flatMap({ $0 }) else { return "-" }
          return value == .infinity ? "lossless" : fixed(value, measure.unit == "dB" ? 2 : 4)
        }
        rows.append(
          [curve.codec, point.setting, "\(point.files)", point.rate.map { fixed($0, 3) } ?? "-"] + values + [
            time(point.encodeSecondsPerMegapixel), time(point.decodeSecondsPerMegapixel),
          ])
      }
    }
    return Self.aligned(rows, leading: 2)
  }

  /// Median and the range of the middle half.
  private func time(_ spread: BenchSummary.Spread?) -> String {
    guard let spread else { return "-" }
    func short(_ x: Double) -> String { fixed(x, x < 0.1 ? 4 : x < 10 ? 3 : 1) }
    return "\(short(spread.median)) (\(short(spread.low))-\(short(spread.high)))"
  }

  private func matrix(_ summary: BenchSummary, _ measure: MeasureRecord) -> String? {
    guard let bd = summary.bdRate[measure.name] else { return nil }
    let tests = summary.curves.map(\.codec)
    // A reference has a curve for each measure.
    let anchors = (tests + results.references.filter { $0.measure == measure.name }.map(\.name)).filter { bd[$0] != nil }
    guard tests.count > 1 || anchors.count > 1 else { return nil }
    var rows = [["BD-rate by \(measure.title), % against"] + tests]
    for anchor in anchors {
      rows.append(
        [anchor] + tests.map { test in
          if test == anchor { return "" }
          guard let value = bd[anchor]?[test].flatMap({ $0 }) else { return "-" }
          return (value > 0 ? "+" : "") + fixed(value, 1)
        })
    }
    return Self.aligned(rows, leading: 1)
  }

  /// Columns of equal width, the first `leading` flush left, the others flush right.
  package static func aligned(_ rows: [[String]], leading: Int) -> String {
    let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column < leading ? cell + space : space + cell
      }.joined(separator: "  ").trimmedEnd
    }.joined(separator: "\n")
  }
}

extension String {
  fileprivate var trimmedEnd: String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
