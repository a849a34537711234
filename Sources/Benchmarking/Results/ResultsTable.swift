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
    if results.kind == .video, let matched = matched { parts.append(matched) }
    if !results.missing.isEmpty { parts.append("Missing here:\n" + results.missing.map { "  \($0)" }.joined(separator: "\n")) }
    if !results.failures.isEmpty { parts.append("Failed:\n" + results.failures.map { "  \($0)" }.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n")
  }

  private func curves(_ summary: BenchSummary) -> String {
    let shown = results.measures.filter { $0.missing == nil }
    let isVideo = results.kind == .video
    let (rate, unit) =
      switch results.kind {
      case .image: ("bpp", "Mpx")
      case .kv: ("bits", "M")
      case .audio: ("kbps", "s")
      case .video: ("bpp", "frame")
      }
    var head = ["codec", "setting", "files", rate] + shown.map(title) + ["encode s/\(unit)", "decode s/\(unit)"]
    if isVideo { head += ["encode frames/s", "decode frames/s"] }
    var rows = [head]
    for curve in summary.curves {
      for point in curve.points {
        let values = shown.map { measure -> String in
          guard let value = point.measures[measure.name].flatMap({ $0 }) else { return "-" }
          return value == .infinity ? "lossless" : fixed(value, measure.unit == "dB" ? 2 : 4)
        }
        let times = [point.encodeSecondsPerMegapixel, point.decodeSecondsPerMegapixel]
        var row = [curve.codec, point.setting, "\(point.files)", point.rate.map { fixed($0, isVideo ? 4 : 3) } ?? "-"]
        row += values + times.map(time)
        if isVideo { row += times.map { spread in spread.map { short(1 / $0.median) } ?? "-" } }
        rows.append(row)
      }
    }
    return Self.aligned(rows, leading: 2)
  }

  /// Each clip's codecs at the PSNR of each point of ours; nil where there is none.
  private var matched: String? {
    guard let rows = MatchedQuality.rows(results), let quality = results.measures.first(where: { $0.name == MatchedQuality.measure }) else { return nil }
    let others = results.measures.filter { $0.missing == nil && $0.name != quality.name }
    var head = ["At equal \(quality.title)", "codec", "setting", title(quality), "bpp", "ours takes"] + others.map(title)
    head += ["encode s", "CPU s", "frames/s", "decode s", "CPU s", "frames/s"]
    var lines = [head]
    for row in rows {
      var line = [row.file, row.codec, row.setting, fixed(row.quality, 2), row.bpp.map { fixed($0, 4) } ?? "-"]
      line.append(row.ratio.map { ($0 > 1 ? "+" : "") + fixed(100 * ($0 - 1), 1) + " %" } ?? (row.isOurs ? "" : "-"))
      line += others.map { measure in row.measures[measure.name].flatMap { $0 }.map { fixed($0, measure.unit == "dB" ? 2 : 4) } ?? "-" }
      for (wall, processor) in [(row.encodeSeconds, row.encodeCPUSeconds), (row.decodeSeconds, row.decodeCPUSeconds)] {
        line += [wall.map(short) ?? "-", processor.map(short) ?? "-", wall.map { short(Double(row.frames) / $0) } ?? "-"]
      }
      lines.append(line)
    }
    return Self.aligned(lines, leading: 3)
  }

  private func title(_ measure: MeasureRecord) -> String { measure.unit.isEmpty ? measure.title : "\(measure.title), \(measure.unit)" }

  private func short(_ x: Double) -> String { fixed(x, x < 0.1 ? 4 : x < 10 ? 3 : 1) }

  /// Median and the range of the middle half.
  private func time(_ spread: BenchSummary.Spread?) -> String {
    guard let spread else { return "-" }
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
