import CBenchPage
import MediaIO

package enum ReportPage {
  /// Writes index.html with the results in it to the folder of a report.
  package static func write(results: BenchResults, to folder: String) throws {
    let part = nc_page_html()
    var page = String(decoding: UnsafeRawBufferPointer(start: part.bytes, count: part.count), as: UTF8.self)
    let json = String(decoding: try results.json(), as: UTF8.self)
    // Inside a script element only "</" could end it.
    page.replace("/*RESULTS*/null", with: json.replacing("</", with: "<\\/"))
    var file = try AtomicFile("\(folder)/index.html", overwrite: true)
    try file.write(Array(page.utf8))
    try file.commit()
  }
}
