import Glibc
import Metrics

extension BenchResults {
  /// Makes `summary` from files, points and references.
  package mutating func summarise() {
    summary = BenchSummary(
      curves: codecs.filter { $0.missing == nil }.compactMap { curve($0.name) }, bdRate: matrix(bdRate), bdPSNR: matrix(bdPSNR))
  }

  private func curve(_ codec: String) -> BenchSummary.Curve? {
    let mine = points.filter { $0.codec == codec && $0.error == nil }
    let groups = Dictionary(grouping: mine, by: \.setting)
    let points = groups.values.map { mean($0) }.sorted { $0.point < $1.point }
    return points.isEmpty ? nil : BenchSummary.Curve(codec: codec, points: points)
  }

  /// Millions of pixels, or of elements; seconds of sound; frames of video.
  private var sizes: [String: Double] {
    func size(_ file: FileRecord) -> Double {
      file.duration ?? file.frames.map { Double($0) } ?? Double(file.elements ?? (file.width ?? 0) * (file.height ?? 0)) / 1e6
    }
    return Dictionary(files.map { ($0.name, size($0)) }, uniquingKeysWith: { a, _ in a })
  }

  private func mean(_ group: [PointRecord]) -> BenchSummary.Point {
    let sizes = sizes
    func perSize(_ times: KeyPath<PointRecord, [Double]>) -> BenchSummary.Spread? {
      BenchSummary.Spread(
        group.compactMap { point in
          guard let least = point[keyPath: times].min(), let size = sizes[point.file], size > 0 else { return nil }
          return least / size
        })
    }
    func mean(_ values: [Double?]) -> Double? {
      let known = values.compactMap { $0 }
      return known.count == group.count ? arithmeticMean(known) : nil
    }
    var point = BenchSummary.Point(
      point: group[0].point, setting: group[0].setting, files: group.count, bpp: mean(group.map(\.bpp)),
      bits: mean(group.map(\.bits)),
      measures: Dictionary(
        uniqueKeysWithValues: measures.map { measure in (measure.name, mean(group.map { $0.measures[measure.name] ?? nil })) }))
    point.kbps = mean(group.map(\.kbps))
    point.encodeSecondsPerMegapixel = perSize(\.encodeSeconds)
    point.decodeSecondsPerMegapixel = perSize(\.decodeSeconds)
    point.encodeCPUSecondsPerMegapixel = perSize(\.encodeCPUSeconds)
    point.decodeCPUSecondsPerMegapixel = perSize(\.decodeCPUSeconds)
    point.encodePeakBytes = group.compactMap(\.encodePeakBytes).max()
    point.decodePeakBytes = group.compactMap(\.decodePeakBytes).max()
    return point
  }

  /// [measure][anchor][test]
  private func matrix(_ delta: ([RatePoint], [RatePoint], Double) throws -> Double) -> [String: [String: [String: Double?]]] {
    let names = codecs.filter { $0.missing == nil }.map(\.name)
    var result: [String: [String: [String: Double?]]] = [:]
    for measure in measures where measure.missing == nil {
      // Published curves are means over Kodak, and compare with no other mean.
      let published = isKodak ? references.filter { $0.measure == measure.name } : []
      for anchor in names + published.map(\.name) {
        for test in names where test != anchor {
          let common = Set(complete(anchor, measure.name) ?? complete(test, measure.name) ?? [])
            .intersection(complete(test, measure.name) ?? [])
          let from = published.first { $0.name == anchor }.map { ratePoints($0, measure) } ?? ratePoints(anchor, measure, common)
          let value = try? delta(from, ratePoints(test, measure, common), 0)
          result[measure.name, default: [:]][anchor, default: [:]][test] = .some(value.flatMap { $0.isFinite ? $0 : nil })
        }
      }
    }
    return result
  }

  private func bdRate(_ anchor: [RatePoint], _ test: [RatePoint], _ overlap: Double) throws -> Double {
    try Metrics.bdRate(anchor: anchor, test: test, minimumOverlap: overlap)
  }

  private func bdPSNR(_ anchor: [RatePoint], _ test: [RatePoint], _ overlap: Double) throws -> Double {
    try Metrics.bdPSNR(anchor: anchor, test: test, minimumOverlap: overlap)
  }

  /// Whether the files are the 24 pictures of Kodak's set, by name.
  package var isKodak: Bool {
    Set(files.filter { $0.error == nil }.map(\.name)) == Set((1...24).map { $0 < 10 ? "kodim0\($0)" : "kodim\($0)" })
  }

  /// Files that have every setting of the codec, with that measure; nil for a codec without points.
  package func complete(_ codec: String, _ measure: String) -> [String]? {
    let mine = points.filter { $0.codec == codec && $0.error == nil && $0.measures[measure].flatMap { $0 } != nil }
    guard !mine.isEmpty else { return nil }
    let settings = Set(mine.map(\.setting)).count
    return Dictionary(grouping: mine, by: \.file).filter { Set($0.value.map(\.setting)).count == settings }.map(\.key)
  }

  /// A codec's mean curve over those files, quality such that more is better; points of infinite quality are left out.
  package func ratePoints(_ codec: String, _ measure: MeasureRecord, _ files: Set<String>) -> [RatePoint] {
    let mine = points.filter { $0.codec == codec && $0.error == nil && files.contains($0.file) }
    return Dictionary(grouping: mine, by: \.setting).values.compactMap { group in
      let rates = group.compactMap { $0.rate }
      let values = group.compactMap { $0.measures[measure.name].flatMap { $0 } }
      guard rates.count == files.count, values.count == files.count else { return nil }
      let point = RatePoint(rate: arithmeticMean(rates), quality: measure.scale(arithmeticMean(values)))
      return point.quality.isFinite ? point : nil
    }
  }

  private func ratePoints(_ curve: ReferenceCurve, _ measure: MeasureRecord) -> [RatePoint] {
    curve.points.map { RatePoint(rate: $0.bpp, quality: measure.scale($0.value)) }
  }
}

extension MeasureRecord {
  /// A value on the scale that BD figures are taken on: more is better; similarities in dB.
  package func scale(_ value: Double) -> Double {
    if ["ssim", "msssim"].contains(name) { return value < 1 ? -10 * log10(1 - value) : .infinity }
    return isHigherBetter ? value : -value
  }
}
