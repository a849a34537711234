import Glibc
import Media
import MediaIO
import NeuralCodecs

/// Measures codecs of KV caches: bits per element, error of keys and values, times.
package struct KVBench: Sendable {
  package struct Options: Sendable {
    /// Of each codec's curve, where it has one.
    package var points = 6
    package var repetitions = 1
    package var workers = 1
    package var isStopped: @Sendable () -> Bool = { false }
    package var progress: @Sendable (BenchProgress) -> Void = { _ in }

    package init() {}
  }

  private static let measures = [
    ("snr", "SNR", "signal to noise over all keys and values"), ("snrK", "SNR of keys", "signal to noise over all keys"),
    ("snrV", "SNR of values", "signal to noise over all values"),
  ].map { MeasureRecord(name: $0, title: $1, unit: "dB", isHigherBetter: true, version: "nccodec: \($2)") }

  private let codecs: [any KVBenchCodec]
  private let options: Options

  package init(codecs: [any KVBenchCodec], options: Options) { (self.codecs, self.options) = (codecs, options) }

  /// As `ImageBench.prepare`.
  package func prepare(_ paths: [String], run: BenchRun, previous: BenchResults?) throws -> BenchResults {
    var results = BenchResults(kind: .kv, run: run)
    results.measures = Self.measures
    results.files = zip(paths, BenchFiles.names(paths)).map { path, name in
      var record = FileRecord(name: name, path: path)
      do {
        let bytes = try FileIO.read(path)
        record.bytes = bytes.count
        record.sha256 = sha256(bytes)
        record.elements = try KVCacheReader.read(bytes).elementCount
      } catch { record.error = "\(error)" }
      return record
    }
    results.codecs = codecs.map(\.record)
    if let previous {
      let settings = codecs.map { ($0.record.name, $0.settings(points: options.points).map(\.text)) }
      try results.keep(previous, settings: Dictionary(uniqueKeysWithValues: settings))
    }
    return results
  }

  /// As `ImageBench.run`.
  package func run(_ results: BenchResults, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let done = Set(results.points.filter { $0.error == nil }.map { PointKey($0) })
    var items: [BenchItem] = []
    for file in results.files where file.error == nil {
      for codec in codecs where codec.record.missing == nil {
        for (point, setting) in codec.settings(points: options.points).enumerated()
        where !done.contains(PointKey(file: file.name, codec: codec.record.name, setting: setting.text)) {
          items.append(
            BenchItem(
              file: file, codec: codec.record, point: point, setting: setting, isParallel: true,
              size: Double(file.elements ?? 0) / 1e6, secondsPerSize: 0.2))
        }
      }
    }
    let byName = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    let repetitions = options.repetitions
    let engine = BenchEngine(items: items, workers: options.workers, isStopped: options.isStopped, report: options.progress)
    var saver = ResultsSaver(save)
    try engine.run({ item, _ in byName[item.codec.name].map { Self.measure(item, $0, repetitions) } }) { point in
      results.put(point)
      try saver.saveIfDue(results)
    }
    if !options.isStopped() { results.run.finished = BenchRun.now }
    results.summarise()
    try save(results)
    return results
  }

  private static func measure(_ item: BenchItem, _ codec: any KVBenchCodec, _ repetitions: Int) -> PointRecord {
    var record = PointRecord(file: item.file.name, codec: item.codec.name, point: item.point, setting: item.setting.text)
    do {
      let cache = try KVCacheReader.read(item.file.path)
      var (encoding, decoding) = (Timing(), Timing())
      let bytes = try encoding.measure(repetitions, threadOnly: true) { try codec.encode(cache, at: item.setting) }
      let decoded = try decoding.measure(repetitions, threadOnly: true) { try codec.decode(bytes, like: cache) }
      record.bytes = bytes.count
      record.bits = 8 * Double(bytes.count) / Double(max(cache.elementCount, 1))
      record.measures = try KVError(cache, decoded).measures
      (record.encodeSeconds, record.encodeCPUSeconds) = (encoding.seconds, encoding.cpuSeconds)
      (record.decodeSeconds, record.decodeCPUSeconds) = (decoding.seconds, decoding.cpuSeconds)
    } catch {
      record = PointRecord(
        file: item.file.name, codec: item.codec.name, point: item.point, setting: item.setting.text, error: "\(error)")
    }
    return record
  }
}

/// Signal and noise of keys and of values, over all elements of a cache.
package struct KVError {
  private var signal = [0.0, 0.0]
  private var noise = [0.0, 0.0]
  private var hasValues = false

  /// Throws `BenchError` where the shapes differ.
  package init(_ original: KVCache, _ decoded: KVCache) throws {
    guard original.layers.count == decoded.layers.count else { throw BenchError("decoded to \(decoded.layers.count) layers") }
    for (a, b) in zip(original.layers, decoded.layers) {
      try add(a.keys, b.keys, 0)
      if let values = a.values {
        guard let others = b.values else { throw BenchError("decoded without values") }
        try add(values, others, 1)
        hasValues = true
      }
    }
  }

  private mutating func add(_ a: KVTensor, _ b: KVTensor, _ index: Int) throws {
    guard a.heads == b.heads, a.tokens == b.tokens, a.channels == b.channels else {
      throw BenchError("decoded to another shape")
    }
    var rows: [[Float]] = []
    rows.reserveCapacity(a.heads * a.tokens)
    a.forEachRow { rows.append($0) }
    var next = 0
    b.forEachRow { row in
      for (x, y) in zip(rows[next], row) where x.isFinite {
        signal[index] += Double(x) * Double(x)
        noise[index] += (Double(x) - Double(y)) * (Double(x) - Double(y))
      }
      next += 1
    }
  }

  /// In dB; infinite without noise, null of nothing.
  package var measures: [String: Double?] {
    func ratio(_ signal: Double, _ noise: Double) -> Double? { signal > 0 ? 10 * log10(signal / noise) : nil }
    return [
      "snr": ratio(signal[0] + signal[1], noise[0] + noise[1]), "snrK": ratio(signal[0], noise[0]),
      "snrV": hasValues ? ratio(signal[1], noise[1]) : nil,
    ]
  }
}
