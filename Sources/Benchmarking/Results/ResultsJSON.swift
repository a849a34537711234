import FoundationEssentials
import MediaIO

extension BenchResults {
  /// The bytes of results.json. Members are sorted, so that equal results are equal files. The inverse is `init(json:)`.
  /// A compact one has no spaces and line breaks.
  package func json(isCompact: Bool = false) throws -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if !isCompact { encoder.outputFormatting.insert(.prettyPrinted) }
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return [UInt8](try encoder.encode(self)) + [0x0A]
  }

  /// Throws `MediaIOError`: not the JSON of a report (damaged), or of a later version (unsupported).
  package init(json bytes: [UInt8], named name: String) throws {
    struct Head: Codable {
      var format: String
      var version: Int
    }
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let data = Data(bytes)
    guard let head = try? decoder.decode(Head.self, from: data), head.format == BenchResults.format else {
      throw MediaIOError(.damaged, at: name, "this is no results.json of nccodec bench")
    }
    guard head.version == BenchResults.version else {
      throw MediaIOError(
        .unsupported, at: name, "results of version \(head.version), where this build reads \(BenchResults.version)")
    }
    do { self = try decoder.decode(BenchResults.self, from: data) } catch {
      throw MediaIOError(.damaged, at: name, "the results contradict their format: \(error)")
    }
  }
}
