import ArgumentParser
import Benchmarking
import MediaIO

struct BenchPageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "page",
    abstract: "Make a report's page again from its results.json.",
    discussion: """
      Writes index.html beside results.json, or to another folder; one that is there is replaced. The page is whole and \
      asks nothing of the network. Its viewer looks for decoded pictures in the folder that the page is in.

      Examples:
        nccodec bench page report/results.json
        nccodec bench page results.json --out report/
      """)

  @Argument(help: ArgumentHelp("The results; - for standard input.", valueName: "results.json"))
  var input: String

  @Option(help: ArgumentHelp("Folder of the page; made where it is missing.", valueName: "folder"))
  var out: String?

  func run() throws {
    let source = Console.name(input, input: true)
    let bytes = try Failure.about(source) { try FileIO.read(input) }
    let results = try Failure.about(source) {
      do { return try BenchResults(json: bytes, named: source) } catch let error as MediaIOError where error.code == .unsupported {
        throw Failure("\(error.description). Use the nccodec that wrote them, or a later one.")
      }
    }
    let folder = out ?? Self.folder(of: input)
    try Failure.about(folder) { try ReportPage.write(results: results, to: folder) }
    Console.print("\(folder)/index.html", to: .standardOutput)
  }

  /// The folder that a file is in; the working folder for "-".
  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
