import CBenchPage
import FoundationEssentials
import MediaIO

/// index.html of a report: one file that works offline, with the results, the scripts and the chart library in it.
package enum ReportPage {
  /// Writes index.html to the folder of a report, which is made where it is missing; an older page is replaced.
  ///
  /// Throws `MediaIOError` (system) where the folder cannot be made or written to.
  package static func write(results: BenchResults, to folder: String) throws {
    do { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) } catch {
      throw MediaIOError(.system, at: folder, "the folder cannot be made; a file may be in its place, or permission missing")
    }
    try FileIO.write(html(results), to: "\(folder)/index.html", overwrite: true)
  }

  /// The page's bytes, UTF-8. Results of a run that was stopped may have no summary yet; the page needs one.
  package static func html(_ results: BenchResults) throws -> [UInt8] {
    var results = results
    if results.summary == nil { results.summarise() }
    let parts: [String: [UInt8]] = [
      "style": bytes(nc_page_style()), "script": bytes(nc_page_script()), "chart": bytes(nc_page_chart()),
      "licence": bytes(nc_page_chart_licence()), "results": embeddable(try results.json(isCompact: true)),
    ]
    return filled(bytes(nc_page_template()), with: parts)
  }

  /// JSON that no HTML parser takes for markup: "<", which valid JSON has inside strings only, is written as its escape, so
  /// that neither "</script>" nor "<!--" of a file's name is one. Readers of JSON see what was there before.
  package static func embeddable(_ json: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(json.count)
    for byte in json {
      if byte == UInt8(ascii: "<") { result += Array(#"\u003c"#.utf8) } else { result.append(byte) }
    }
    return result
  }

  /// The template with each {{name}} replaced by that part. Parts are not searched in turn: they may hold braces. A name
  /// that is no part's stays as it is.
  package static func filled(_ template: [UInt8], with parts: [String: [UInt8]]) -> [UInt8] {
    let open = UInt8(ascii: "{"), close = UInt8(ascii: "}")
    var result: [UInt8] = []
    result.reserveCapacity(template.count + parts.values.reduce(0) { $0 + $1.count })
    var at = 0
    while at < template.count {
      if template[at...].starts(with: [open, open]), let end = template[at...].firstIndex(of: close),
        template[end...].starts(with: [close, close]),
        let part = parts[String(decoding: template[(at + 2)..<end], as: UTF8.self)]
      {
        result += part
        at = end + 2
      } else {
        result.append(template[at])
        at += 1
      }
    }
    return result
  }

  private static func bytes(_ part: nc_page_part) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: part.bytes, count: part.count))
  }
}
