import Media
import MediaIO
import NeuralCodecs

/// Measures codecs of pictures: every file, codec and setting that is not measured yet.
package struct ImageBench: Sendable {
  package struct Options: Sendable {
    /// Of each codec's curve.
    package var points = 6
    package var course = BenchCourse()
    /// Of how many files the decoded pictures are kept in the report's folder.
    package var pictures = 0
    /// A command that measures one point in a process of its own, so that its peak memory is known: the arguments up to
    /// those of `ImageProbe`. Nil: all in this process.
    package var isolated: [String]?

    package init() {}
  }

  private let codecs: [any ImageBenchCodec]
  private let measures: [any ImageMeasure]
  private let options: Options

  package init(codecs: [any ImageBenchCodec], measures: [any ImageMeasure], options: Options) {
    (self.codecs, self.measures, self.options) = (codecs, measures, options)
  }

  /// What is to be done and what is done already: `previous` without what is stale, with the records of this run.
  ///
  /// Files are read here, so that unreadable ones are known at once.
  package func prepare(_ paths: [String], run: BenchRun, previous: BenchResults?) throws -> BenchResults {
    var results = BenchResults(kind: .image, run: run)
    results.measures = measures.map(\.record)
    let names = BenchFiles.names(paths)
    results.files = zip(paths, names).map { BenchFiles.inspectPicture($0, named: $1) }
    results.codecs = codecs.map(\.record)
    if let previous { try results.keep(previous, settings: settings.mapValues { $0.map(\.text) }) }
    return results
  }

  private var settings: [String: [BenchSetting]] {
    Dictionary(uniqueKeysWithValues: codecs.map { ($0.record.name, $0.settings(points: options.points)) })
  }

  /// Measures what `results` lack, and calls `save` now and then and at the end; `folder` is the report's, for pictures.
  ///
  /// Failures of single points are in the results. Throws what `save` throws.
  package func run(_ results: BenchResults, folder: String?, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let byName = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    let items = results.missing(
      settings, size: { Double($0.width ?? 0) * Double($0.height ?? 0) / 1e6 },
      secondsPerSize: { byName[$0.name]?.secondsPerMegapixel ?? 0 }, isParallel: { byName[$0.name]?.isSingleThreaded ?? true })
    let uses = Dictionary(items.map { ($0.file.path, 1) }, uniquingKeysWith: +)
    let cache = PictureCache(uses: uses)
    let shown = Set(results.files.filter { $0.error == nil }.prefix(options.pictures).map(\.name))
    let probe = try ImageProbe(
      codecs: codecs, measures: measures, repetitions: options.course.repetitions, isolated: options.isolated,
      pictures: folder.map { PictureFolder($0, files: shown) })
    if let pictures = probe.pictures, !shown.isEmpty {
      for i in results.files.indices where shown.contains(results.files[i].name) {
        results.files[i].picture = try pictures.writeOriginal(results.files[i])
      }
    }
    probe.warmUp(Set(items.map(\.codec.name)))
    try results.measure(items, options.course, save: save) { item, control in probe.measure(item, cache, control) }
    return results
  }
}
