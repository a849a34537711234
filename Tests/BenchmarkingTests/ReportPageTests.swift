import Foundation
import MediaIO
import Testing

import Benchmarking

struct ReportPageTests {
  static let hostile = [
    "</script><script>alert(1)</script>", "<!--<script>", "\"quoted\" \\ back", "\u{2028}\u{2029}", "漢字 ü 😀", "{{style}}{{results}}", "&lt;&amp;",
  ]

  static func page(_ results: BenchResults) throws -> String {
    try #require(String(validating: try ReportPage.html(results), as: UTF8.self))
  }

  /// What stands in the element of the results.
  static func embedded(_ page: String) throws -> Substring {
    let open = try #require(page.firstRange(of: #"<script type="application/json" id="results">"#))
    // Where an HTML parser ends it.
    let close = try #require(page[open.upperBound...].firstRange(of: "</script"))
    return page[open.upperBound..<close.lowerBound]
  }

  @Test(arguments: hostile) func namesStayInTheirElement(_ text: String) throws {
    var results = ResultsTests.sample()
    results.files[0].name = text
    results.codecs[0].title = text
    results.points[0].file = text
    results.points[0].error = text
    results.run.command = text
    let json = try Self.embedded(try Self.page(results))
    #expect(!json.contains("<"))
    // All of them are inside, and the same as before but for the summary, which the page needs.
    results.summarise()
    #expect(try BenchResults(json: Array(json.utf8), named: "page") == results)
  }

  @Test func escapesEveryBracketAndNothingElse() {
    #expect(ReportPage.embeddable([]) == [])
    #expect(ReportPage.embeddable(Array(#"{"a":"<</b>>"}"#.utf8)) == Array(#"{"a":"\u003c\u003c/b>>"}"#.utf8))
    #expect(ReportPage.embeddable(Array("ü\u{2028}".utf8)) == Array("ü\u{2028}".utf8))
  }

  @Test func partsAreFilledInOnce() {
    func filled(_ template: String, _ parts: [String: String]) -> String {
      String(decoding: ReportPage.filled(Array(template.utf8), with: parts.mapValues { Array($0.utf8) }), as: UTF8.self)
    }
    #expect(filled("a{{x}}b{{y}}c", ["x": "1", "y": "2"]) == "a1b2c")
    #expect(filled("{{x}}", ["x": "{{y}}", "y": "no"]) == "{{y}}")
    #expect(filled("{{z}}{{x", ["x": "1"]) == "{{z}}{{x")
    #expect(filled("{{{x}}}", ["x": "1"]) == "{1}")
    #expect(filled("}}{{", ["": "1"]) == "}}{{")
    #expect(filled("", [:]) == "")
  }

  /// One file that fetches nothing: no element of the template points anywhere, and the policy forbids the rest.
  @Test func pageIsWhole() throws {
    let page = try Self.page(ResultsTests.sample())
    for name in ["style", "results", "licence", "chart", "script"] { #expect(!page.contains("{{\(name)}}"), "\(name)") }
    #expect(page.components(separatedBy: "<script").count == page.components(separatedBy: "</script>").count)
    #expect(page.components(separatedBy: "</script>").count == 4)
    #expect(page.contains("Chart.js v3.9.1") && page.contains("Permission is hereby granted"))
    #expect(page.contains("default-src 'none'"))
    // The icon is empty; anything else would be a request.
    let addresses = page.matches(of: #/<(?:link|script|img|iframe|source)[^>]*\s(?:src|href)="([^"]*)"/#).map { String($0.1) }
    #expect(addresses == ["data:,"])
    #expect(!page.contains("@import") && !page.contains("url("))
  }

  @Test func writesAndReplaces() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nccodec-page-\(UInt64.random(in: .min ... .max))")
    defer { try? FileManager.default.removeItem(at: folder) }
    let inside = folder.appendingPathComponent("a/b").path
    var results = ResultsTests.sample()
    try ReportPage.write(results: results, to: inside)
    results.run.command = "again"
    try ReportPage.write(results: results, to: inside)
    let page = try String(contentsOfFile: inside + "/index.html", encoding: .utf8)
    results.summarise()
    #expect(try BenchResults(json: Array(Self.embedded(page).utf8), named: "page") == results)
    #expect(try FileManager.default.contentsOfDirectory(atPath: inside) == ["index.html"])
    #expect(throws: MediaIOError(.system, at: "", "")) { try ReportPage.write(results: results, to: inside + "/index.html") }
  }

  @Test func unknownVersionsAreRefusedByName() throws {
    let text = String(decoding: try ResultsTests.sample().json(), as: UTF8.self)
    func refusal(_ old: String, _ new: String) throws -> String {
      #expect(text.contains(old))
      let error = try #require(throws: MediaIOError.self) {
        try BenchResults(json: Array(text.replacing(old, with: new).utf8), named: "report/results.json")
      }
      return error.description
    }
    #expect(try refusal("\"version\" : 1", "\"version\" : 2").contains("report/results.json: results of version 2"))
    #expect(try refusal("\"nccodec-bench\"", "\"other\"").contains("no results.json"))
    #expect(try refusal("\"kind\" : \"image\"", "\"kind\" : \"smell\"").contains("contradict"))
  }

  /// The samples that Tests/page.sh renders are results as this build writes them.
  @Test(arguments: ["image", "kv", "audio", "video"]) func samplesAreRead(_ kind: String) throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let path = root.appendingPathComponent("Fixtures/Bench/sample-\(kind).json").path
    let results = try BenchResults(json: try FileIO.read(path), named: path)
    #expect(results.kind.rawValue == kind && results.points.count > 30 && results.summary != nil)
    #expect(results.run.note?.contains("Synthetic") == true)
    #expect(try BenchResults(json: try results.json(isCompact: true), named: "compact") == results)
  }
}
