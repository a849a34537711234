import MediaIO
import NeuralCodecs

/// The codecs of pictures that a benchmark can be told to run.
package enum ImageCodecs {
  /// What is run unless something else is asked for: those that take less than a second or so a picture.
  package static let standard = ["hyperprior", "jpeg", "webp", "avif", "jpeg2000"]

  /// All names, overfit1...overfit9 left out.
  package static var names: [String] { ["hyperprior", "overfit"] + LibAVCodec.definitions.map(\.name) }

  /// The codec of that name; `overfit` takes `effort` (1...9), and overfit1 to overfit9 are names too. One that this
  /// machine lacks has `record.missing`. Throws `BenchError` for a name that there is not.
  package static func named(_ name: String, effort: Int, version: String) throws(BenchError) -> any ImageBenchCodec {
    if name == "hyperprior" { return OurImageCodec(hyperprior: version) }
    if name == "overfit" { return OurImageCodec(overfit: version, name: name, effort: effort) }
    if name.hasPrefix("overfit"), let effort = Int(name.dropFirst(7)), (1...9).contains(effort), "overfit\(effort)" == name {
      return OurImageCodec(overfit: version, name: name, effort: effort)
    }
    if let definition = LibAVCodec.definitions.first(where: { $0.name == name }) { return LibAVCodec.make(definition) }
    throw BenchError("'\(name)' is no codec of pictures: there are \(names.joined(separator: ", ")) and overfit1 to overfit9")
  }
}
