import Glibc
import Media
import MediaIO
import NeuralCodecs

/// Measures codecs of KV caches: bits per element, error of keys and values, times.
package struct KVBench: Sendable {
  package struct Options: Sendable {
    /// Of each codec's curve, where it has one.
    package var points = 6
    package var course = BenchCourse()

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
    if let previous { try results.keep(previous, settings: settings.mapValues { $0.map(\.text) }) }
    return results
  }

  private var settings: [String: [BenchSetting]] {
    Dictionary(uniqueKeysWithValues: codecs.map { ($0.record.name, $0.settings(points: options.points)) })
  }

  /// As `ImageBench.run`.
  package func run(_ results: BenchResults, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let items = results.missing(settings, size: { Double($0.elements ?? 0) / 1e6 }, secondsPerSize: { _ in 0.2 })
    let byName = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    let repetitions = options.course.repetitions
    try results.measure(items, options.course, save: save) { item, _ in
      byName[item.codec.name].map { Self.measure(item, $0, repetitions) }
    }
    return results
  }

  private static func measure(_ item: BenchItem, _ codec: any KVBenchCodec, _ repetitions: Int) -> PointRecord {
    do {
      let cache = try KVCacheReader.read(item.file.path)
      return PointRecord(
        item, repetitions: repetitions, encode: { try codec.encode(cache, at: item.setting) },
        decode: { try codec.decode($0, like: cache) }
      ) { record, decoded in
        record.bits = 8 * Double(record.bytes ?? 0) / Double(max(cache.elementCount, 1))
        record.measures = try KVError(cache, decoded).measures
      }
    } catch {
      return PointRecord(item, error: "\(error)")
    }
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
