/// How a run goes, whatever it measures.
package struct BenchCourse: Sendable {
  /// Of encoding and of decoding, each timed by itself.
  package var repetitions = 1
  package var workers = 1
  package var isStopped: @Sendable () -> Bool = { false }
  package var progress: @Sendable (BenchProgress) -> Void = { _ in }

  package init() {}
}

extension BenchResults {
  /// Points that are not there, or failed, of each codec's `settings` by its name; of `size` and `secondsPerSize` see `BenchItem`.
  func missing(
    _ settings: [String: [BenchSetting]], size: (FileRecord) -> Double, secondsPerSize: (CodecRecord) -> Double,
    isParallel: (CodecRecord) -> Bool = { _ in true }
  ) -> [BenchItem] {
    let done = Set(points.filter { $0.error == nil }.map { PointKey($0) })
    var items: [BenchItem] = []
    for file in files where file.error == nil {
      for codec in codecs where codec.missing == nil {
        for (point, setting) in (settings[codec.name] ?? []).enumerated()
        where !done.contains(PointKey(file: file.name, codec: codec.name, setting: setting.text)) {
          items.append(
            BenchItem(
              file: file, codec: codec, point: point, setting: setting, isParallel: isParallel(codec), size: size(file),
              secondsPerSize: secondsPerSize(codec)))
        }
      }
    }
    return items
  }

  /// Measures `items` and takes in what that gives; calls `save` now and then and at the end, and throws what it throws.
  mutating func measure(
    _ items: [BenchItem], _ course: BenchCourse, save: @escaping (BenchResults) throws -> Void,
    _ measure: @escaping @Sendable (BenchItem, BenchControl) -> PointRecord?
  ) throws {
    var results = self
    let engine = BenchEngine(items: items, workers: course.workers, isStopped: course.isStopped, report: course.progress)
    var saver = ResultsSaver(save)
    try engine.run(measure) { point in
      results.put(point)
      try saver.saveIfDue(results)
    }
    if !course.isStopped() { results.run.finished = BenchRun.now }
    results.summarise()
    try save(results)
    self = results
  }
}

/// How a point is timed.
struct TimingTerms {
  var repetitions = 1
  var clock = ProcessorClock.thread
  var pauses: Pauses?
}

extension PointRecord {
  init(_ item: BenchItem, error: String? = nil) {
    self.init(file: item.file.name, codec: item.codec.name, point: item.point, setting: item.setting.text, error: error)
  }

  /// A point whose encoder and decoder keep to the calling thread. `bytes` is set already when `complete` adds what only this kind
  /// has. A failure of any of the three is in the record.
  init<Coded: Collection, Decoded>(
    _ item: BenchItem, repetitions: Int, encode: () throws -> Coded, decode: (Coded) throws -> Decoded,
    complete: (inout PointRecord, Decoded) throws -> Void
  ) {
    do {
      try self.init(item, TimingTerms(repetitions: repetitions), encode: encode, byteCount: { $0.count }, decode: decode) { record, _, decoded in
        try complete(&record, decoded)
      }
    } catch {
      self.init(item, error: "\(error)")
    }
  }

  /// The same of any codec, by `terms`. Throws what any of them throws.
  init<Coded, Decoded>(
    _ item: BenchItem, _ terms: TimingTerms, encode: () throws -> Coded, byteCount: (Coded) -> Int, decode: (Coded) throws -> Decoded,
    complete: (inout PointRecord, Coded, Decoded) throws -> Void
  ) throws {
    self.init(item)
    var (encoding, decoding) = (Timing(), Timing())
    let coded = try encoding.measure(terms.repetitions, clock: terms.clock, pauses: terms.pauses, encode)
    let decoded = try decoding.measure(terms.repetitions, clock: terms.clock, pauses: terms.pauses) { try decode(coded) }
    bytes = byteCount(coded)
    take(encoding, decoding)
    try complete(&self, coded, decoded)
  }

  mutating func take(_ encoding: Timing, _ decoding: Timing) {
    (encodeSeconds, encodeCPUSeconds) = (encoding.seconds, encoding.cpuSeconds)
    (decodeSeconds, decodeCPUSeconds) = (decoding.seconds, decoding.cpuSeconds)
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
