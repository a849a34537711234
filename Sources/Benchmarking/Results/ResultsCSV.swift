extension BenchResults {
  /// One row per point; columns are named as in results.json, lists joined by spaces. Commas and quotes are escaped.
  package func csv() -> [UInt8] {
    let names = measures.map(\.name)
    let rate = kind == .kv ? "bits" : kind == .audio ? "kbps" : "bpp"
    var lines = [
      (["file", "codec", "point", "setting", "bytes", rate] + names + [
        "encodeSeconds", "decodeSeconds", "encodeCPUSeconds", "decodeCPUSeconds", "encodePeakBytes", "decodePeakBytes", "error",
      ]).joined(separator: ",")
    ]
    func text(_ value: Double?) -> String { value.map { $0 == .infinity ? "inf" : "\($0)" } ?? "" }
    func list(_ values: [Double]) -> String { values.map { "\($0)" }.joined(separator: " ") }
    for point in points {
      var cells = [point.file, point.codec, "\(point.point)", point.setting, point.bytes.map { "\($0)" } ?? ""]
      cells.append(text(point.rate))
      cells += names.map { text(point.measures[$0].flatMap { $0 }) }
      cells += [point.encodeSeconds, point.decodeSeconds, point.encodeCPUSeconds, point.decodeCPUSeconds].map(list)
      cells += [point.encodePeakBytes, point.decodePeakBytes].map { $0.map { "\($0)" } ?? "" }
      cells.append(point.error ?? "")
      lines.append(cells.map(Self.escaped).joined(separator: ","))
    }
    // RFC 4180 but for its line ends.
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  private static func escaped(_ cell: String) -> String {
    guard cell.contains(where: { ",\"\n\r".contains($0) }) else { return cell }
    return "\"" + cell.replacing("\"", with: "\"\"") + "\""
  }
}
