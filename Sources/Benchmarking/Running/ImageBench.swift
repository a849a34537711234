import Media
import MediaIO
import NeuralCodecs

/// Measures codecs of pictures: every file, codec and setting that is not measured yet.
package struct ImageBench: Sendable {
  package struct Options: Sendable {
    /// Of each codec's curve.
    package var points = 6
    /// Of encoding and of decoding, each timed by itself.
    package var repetitions = 1
    package var workers = 1
    /// Of how many files the decoded pictures are kept in the report's folder.
    package var pictures = 0
    /// A command that measures one point in a process of its own, so that its peak memory is known: the arguments up to
    /// those of `ImageProbe`. Nil: all in this process.
    package var isolated: [String]?
    package var isStopped: @Sendable () -> Bool = { false }
    package var progress: @Sendable (BenchProgress) -> Void = { _ in }

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
    if let previous {
      try results.keep(previous, settings: Dictionary(uniqueKeysWithValues: codecs.map { ($0.record.name, texts($0)) }))
    }
    return results
  }

  private func texts(_ codec: any ImageBenchCodec) -> [String] { codec.settings(points: options.points).map(\.text) }

  /// Measures what `results` lack, and calls `save` now and then and at the end; `folder` is the report's, for pictures.
  ///
  /// Failures of single points are in the results. Throws what `save` throws.
  package func run(_ results: BenchResults, folder: String?, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let items = missing(in: results)
    let uses = Dictionary(items.map { ($0.file.path, 1) }, uniquingKeysWith: +)
    let cache = PictureCache(uses: uses)
    let shown = Set(results.files.filter { $0.error == nil }.prefix(options.pictures).map(\.name))
    let probe = try ImageProbe(
      codecs: codecs, measures: measures, repetitions: options.repetitions, isolated: options.isolated,
      pictures: folder.map { PictureFolder($0, files: shown) })
    if let pictures = probe.pictures, !shown.isEmpty {
      for i in results.files.indices where shown.contains(results.files[i].name) {
        results.files[i].picture = try pictures.writeOriginal(results.files[i])
      }
    }
    let engine = BenchEngine(
      items: items, workers: options.workers, isStopped: options.isStopped, report: options.progress)
    var saver = ResultsSaver(save)
    probe.warmUp(Set(items.map(\.codec.name)))
    try engine.run({ item, control in probe.measure(item, cache, control) }) { point in
      results.put(point)
      try saver.saveIfDue(results)
    }
    if !options.isStopped() { results.run.finished = BenchRun.now }
    results.summarise()
    try save(results)
    return results
  }

  /// Points that are not there, or failed.
  private func missing(in results: BenchResults) -> [BenchItem] {
    let done = Set(results.points.filter { $0.error == nil }.map { PointKey($0) })
    var items: [BenchItem] = []
    for file in results.files where file.error == nil {
      let size = Double(file.width ?? 0) * Double(file.height ?? 0) / 1e6
      for codec in codecs where codec.record.missing == nil {
        for (point, setting) in codec.settings(points: options.points).enumerated()
        where !done.contains(PointKey(file: file.name, codec: codec.record.name, setting: setting.text)) {
          items.append(
            BenchItem(
              file: file, codec: codec.record, point: point, setting: setting, isParallel: codec.isSingleThreaded,
              size: size, secondsPerSize: codec.secondsPerMegapixel))
        }
      }
    }
    return items
  }
}

/// Saves results at most every five seconds, and less often where saving itself takes long.
package struct ResultsSaver {
  private let save: (BenchResults) throws -> Void
  private var last = Stopwatch()
  private var interval = 5.0

  package init(_ save: @escaping (BenchResults) throws -> Void) { self.save = save }

  package mutating func saveIfDue(_ results: BenchResults) throws {
    guard last.seconds > interval else { return }
    let watch = Stopwatch()
    try save(results)
    interval = max(5, 20 * watch.seconds)
    last = Stopwatch()
  }
}
