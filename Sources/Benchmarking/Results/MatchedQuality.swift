import Glibc
import Metrics

/// What every codec takes for the quality of one of our points, clip by clip.
///
/// A peer's rate is by PCHIP between its points (`Metrics.rate`); its other measures and, by their logarithms, its times are on the straight line
/// between the two points around. Nothing is extrapolated.
package enum MatchedQuality {
  /// The quality that is equal.
  package static let measure = "psnr"

  package struct Row: Sendable, Equatable {
    package var file: String
    package var codec: String
    /// Of ours; of peers the two around, such as "crf 34 to 30", or why there is none.
    package var setting: String
    package var isOurs: Bool
    /// Of the clip.
    package var frames: Int
    package var quality: Double
    package var bpp: Double?
    /// Our bits through theirs; nil of ours.
    package var ratio: Double?
    package var measures: [String: Double?]
    /// Of the fastest repetition.
    package var encodeSeconds: Double?
    package var encodeCPUSeconds: Double?
    package var decodeSeconds: Double?
    package var decodeCPUSeconds: Double?
  }

  /// For each clip and each point of ours a row of its own, and then one of each peer. Nil where there are no points of ours or no peers.
  package static func rows(_ results: BenchResults) -> [Row]? {
    let peers = results.codecs.filter { codec in codec.family == .peer && results.points.contains { $0.codec == codec.name && $0.error == nil } }
    var rows: [Row] = []
    for file in results.files {
      for codec in results.codecs where codec.family == .ours {
        for point in results.points where point.file == file.name && point.codec == codec.name {
          guard let own = Row(point, file) else { continue }
          rows.append(own)
          rows += peers.map { peer in
            between(results.points.filter { $0.file == file.name && $0.codec == peer.name }.compactMap { Row($0, file) }, peer.name, own)
          }
        }
      }
    }
    return rows.isEmpty || peers.isEmpty ? nil : rows
  }

  /// A peer of those points at the quality of `own`.
  private static func between(_ points: [Row], _ codec: String, _ own: Row) -> Row {
    var row = Row(file: own.file, codec: codec, setting: "", isOurs: false, frames: own.frames, quality: own.quality, bpp: nil, measures: [:])
    let sorted = points.sorted { $0.quality < $1.quality }
    let curve = sorted.map { RatePoint(rate: $0.bpp ?? 0, quality: $0.quality) }
    guard sorted.count > 1, let high = sorted.dropFirst().first(where: { $0.quality >= own.quality }),
      let low = sorted.last(where: { $0.quality <= own.quality }), let rate = try? Metrics.rate(of: curve, at: own.quality)
    else {
      row.setting = sorted.isEmpty ? "no points" : sorted.count == 1 ? "one point" : "not reached"
      return row
    }
    let part = high.quality > low.quality ? (own.quality - low.quality) / (high.quality - low.quality) : 0
    func line(_ a: Double?, _ b: Double?) -> Double? { a.flatMap { a in b.map { a + part * ($0 - a) } } }
    func time(_ value: KeyPath<Row, Double?>) -> Double? { line(low[keyPath: value].map { log($0) }, high[keyPath: value].map { log($0) }).map { exp($0) } }
    row.setting = low.setting == high.setting ? low.setting : "\(low.setting) to \(high.setting.drop { !$0.isNumber })"
    row.bpp = rate
    row.ratio = own.bpp.map { $0 / rate }
    row.measures = low.measures.reduce(into: [:]) { $0[$1.key] = .some(line($1.value, high.measures[$1.key] ?? nil)) }
    (row.encodeSeconds, row.encodeCPUSeconds) = (time(\.encodeSeconds), time(\.encodeCPUSeconds))
    (row.decodeSeconds, row.decodeCPUSeconds) = (time(\.decodeSeconds), time(\.decodeCPUSeconds))
    return row
  }
}

extension MatchedQuality.Row {
  /// A point as it was measured; nil of one that failed, or without the quality.
  fileprivate init?(_ point: PointRecord, _ file: FileRecord) {
    guard point.error == nil, let quality = point.measures[MatchedQuality.measure] ?? nil, quality.isFinite, point.bpp ?? 0 > 0 else { return nil }
    self.init(
      file: point.file, codec: point.codec, setting: point.setting, isOurs: true, frames: file.frames ?? 0, quality: quality, bpp: point.bpp,
      measures: point.measures, encodeSeconds: point.encodeSeconds.min(), encodeCPUSeconds: point.encodeCPUSeconds.min(),
      decodeSeconds: point.decodeSeconds.min(), decodeCPUSeconds: point.decodeCPUSeconds.min())
  }
}
