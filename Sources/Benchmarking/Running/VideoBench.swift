import Glibc
import Media
import NeuralCodecs

/// Measures codecs of video: real bytes without sound, quality of the frames, times.
package struct VideoBench: Sendable {
  package struct Options: Sendable {
    /// Of each peer's curve.
    package var points = 6
    /// The same for all codecs.
    package var cut = VideoCut()
    package var course = BenchCourse()

    package init() {}
  }

  private let codecs: [any VideoBenchCodec]
  private let measures: [any ImageMeasure]
  private let options: Options
  private let cache: ClipCache

  package init(codecs: [any VideoBenchCodec], measures: [any ImageMeasure], options: Options) {
    (self.codecs, self.measures, self.options) = (codecs, measures, options)
    cache = ClipCache(options.cut)
  }

  /// As `ImageBench.prepare`. A file is the same where its frames are, so that points of other frames of it are not taken for these.
  package func prepare(_ paths: [String], run: BenchRun, previous: BenchResults?) throws -> BenchResults {
    var results = BenchResults(kind: .video, run: run)
    results.measures = measures.map(VideoMeasures.record)
    results.files = zip(paths, BenchFiles.names(paths)).map { path, name in
      var record = FileRecord(name: name, path: path)
      do {
        let clip = try cache.take(path)
        (record.width, record.height, record.frames) = (clip.format.width, clip.format.height, clip.frameCount)
        record.sha256 = clip.digest
        // Numbered pictures have none.
        var status = stat()
        if stat(path, &status) == 0 { record.bytes = Int(status.st_size) }
      } catch { record.error = "\(error)" }
      return record
    }
    results.codecs = codecs.map(\.record)
    if let previous { try results.keep(previous, settings: settings.mapValues { $0.map(\.text) }) }
    return results
  }

  private var settings: [String: [BenchSetting]] {
    Dictionary(uniqueKeysWithValues: codecs.map { ($0.record.name, $0.settings(points: options.points)) })
  }

  /// As `ImageBench.run`.
  package func run(_ results: BenchResults, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let byName = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    let items = results.missing(
      settings, size: { Double(($0.width ?? 0) * ($0.height ?? 0)) * Double($0.frames ?? 0) / 1e6 },
      secondsPerSize: { byName[$0.name]?.secondsPerMegapixel ?? 0 }, isParallel: { byName[$0.name]?.isSingleThreaded ?? true })
    try results.measure(items, options.course, save: save) { item, control in
      byName[item.codec.name].flatMap { measure(item, $0, control) }
    }
    return results
  }

  /// Nil where it was stopped in the middle; a failure is in the record.
  private func measure(_ item: BenchItem, _ codec: any VideoBenchCodec, _ control: BenchControl) -> PointRecord? {
    do {
      let clip = try cache.take(item.file.path)
      let pauses = Pauses()
      let terms = TimingTerms(repetitions: options.course.repetitions, clock: codec.isSingleThreaded ? .thread : .process, pauses: pauses)
      return try PointRecord(item, terms) {
        try codec.encode(clip.source(pauses), at: item.setting, control)
      } byteCount: {
        $0.byteCount
      } decode: { coded in
        // What is decoded for time alone is not kept, so that memory does not grow with the clip.
        try codec.decode(coded) { _ in try Self.checkStop(control) }
      } complete: { record, coded, _ in
        record.bpp = 8 * Double(record.bytes ?? 0) / (1e6 * clip.megapixels)
        record.measures = try compare(clip, codec, coded, control)
      }
    } catch is CancellationError {
      return nil
    } catch {
      return control.isStopped() ? nil : PointRecord(item, error: "\(error)")
    }
  }

  /// Throws `BenchError` where there are fewer or more frames than the clip has, and what decoding and measures throw.
  private func compare(_ clip: VideoClip, _ codec: any VideoBenchCodec, _ coded: CodedClip, _ control: BenchControl) throws -> [String: Double?] {
    var source = try clip.source()
    var sum = VideoMeasures.Sum(measures)
    try codec.decode(coded) { decoded in
      try Self.checkStop(control)
      guard let original = try source.next() else { throw BenchError("decoded to more than \(clip.frameCount) frames") }
      try sum.add(original, decoded)
    }
    guard sum.frames == clip.frameCount else { throw BenchError("decoded to \(sum.frames) frames instead of \(clip.frameCount)") }
    return sum.means
  }

  private static func checkStop(_ control: BenchControl) throws { if control.isStopped() { throw CancellationError() } }
}
