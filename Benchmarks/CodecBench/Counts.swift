import ArgumentParser
import Foundation
import MediaIO
import NeuralCodecs

/// How often each magnitude of symbol occurs under each scale index, over pictures and qualities: what
/// `Training/hyperprior/export.py --counts` makes a model's tables from. To be run on training pictures only.
struct Counts: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "counts", abstract: "Magnitudes of symbols by scale index over a folder's pictures, as JSON.")

  @Argument(help: "Folder of pictures.") var folder: String
  @Option(help: "Columns of a table, the last for all larger magnitudes.") var columns = 300

  func run() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    var latents = [Int](repeating: 0, count: 64 * columns)
    var hyper = latents
    for (i, name) in names.enumerated() {
      let image = try ImageReader.read(FileIO.read("\(folder)/\(name)")).image
      // A few qualities a picture, other ones for the next.
      for quality in stride(from: i % 20, through: 100, by: 20) {
        let counts = try ImageEncoder().symbolCounts(of: image, quality: quality, columns: columns)
        for k in latents.indices {
          latents[k] += counts.latents[k]
          hyper[k] += counts.hyper[k]
        }
      }
    }
    let rows = { (flat: [Int]) in stride(from: 0, to: flat.count, by: columns).map { Array(flat[$0..<$0 + columns]) } }
    print(String(decoding: try JSONEncoder().encode(["latents": rows(latents), "hyper": rows(hyper)]), as: UTF8.self))
  }
}
