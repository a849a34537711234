import Media
import MediaIO
import NeuralCodecs

/// Measures codecs of sound: real bytes, quality, times.
package struct AudioBench: Sendable {
  package struct Options: Sendable {
    /// 1000 bits a second, of all channels together.
    package var kbps = AudioBenchCodecs.rates(points: 6)
    package var repetitions = 1
    package var workers = 1
    package var isStopped: @Sendable () -> Bool = { false }
    package var progress: @Sendable (BenchProgress) -> Void = { _ in }

    package init() {}
  }

  private let codecs: [any AudioBenchCodec]
  private let measures: [any AudioMeasure]
  private let options: Options

  package init(codecs: [any AudioBenchCodec], measures: [any AudioMeasure], options: Options) {
    (self.codecs, self.measures, self.options) = (codecs, measures, options)
  }

  /// As `ImageBench.prepare`.
  package func prepare(_ paths: [String], run: BenchRun, previous: BenchResults?) throws -> BenchResults {
    var results = BenchResults(kind: .audio, run: run)
    results.measures = measures.map(\.record)
    results.files = zip(paths, BenchFiles.names(paths)).map { path, name in
      var record = FileRecord(name: name, path: path)
      do {
        let bytes = try FileIO.read(path)
        record.bytes = bytes.count
        record.sha256 = sha256(bytes)
        let sound = try BenchFiles.readSound(path)
        (record.duration, record.sampleRate) = (sound.seconds, sound.format.sampleRate)
      } catch { record.error = "\(error)" }
      return record
    }
    results.codecs = codecs.map(\.record)
    if let previous {
      let wanted = codecs.map { ($0.record.name, settings($0, results).map(\.text)) }
      try results.keep(previous, settings: Dictionary(uniqueKeysWithValues: wanted))
    }
    return results
  }

  /// The same for all files, or there would be no mean over them.
  private func settings(_ codec: any AudioBenchCodec, _ results: BenchResults) -> [BenchSetting] {
    codec.settings(kbps: options.kbps, sampleRate: results.files.compactMap(\.sampleRate).max() ?? 48_000)
  }

  /// As `ImageBench.run`.
  package func run(_ results: BenchResults, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let done = Set(results.points.filter { $0.error == nil }.map { PointKey($0) })
    var items: [BenchItem] = []
    for file in results.files where file.error == nil {
      for codec in codecs where codec.record.missing == nil {
        for (point, setting) in settings(codec, results).enumerated()
        where !done.contains(PointKey(file: file.name, codec: codec.record.name, setting: setting.text)) {
          items.append(
            BenchItem(
              file: file, codec: codec.record, point: point, setting: setting, isParallel: true, size: file.duration ?? 0,
              secondsPerSize: codec.secondsPerSecond + measures.reduce(0) { $0 + ($1.missing == nil ? $1.secondsPerSecond : 0) }))
        }
      }
    }
    let byName = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    let (repetitions, measures) = (options.repetitions, measures)
    let engine = BenchEngine(items: items, workers: options.workers, isStopped: options.isStopped, report: options.progress)
    var saver = ResultsSaver(save)
    try engine.run({ item, _ in byName[item.codec.name].map { Self.measure(item, $0, measures, repetitions) } }) { point in
      results.put(point)
      try saver.saveIfDue(results)
    }
    if !options.isStopped() { results.run.finished = BenchRun.now }
    results.summarise()
    try save(results)
    return results
  }

  private static func measure(
    _ item: BenchItem, _ codec: any AudioBenchCodec, _ measures: [any AudioMeasure], _ repetitions: Int
  ) -> PointRecord {
    var record = PointRecord(file: item.file.name, codec: item.codec.name, point: item.point, setting: item.setting.text)
    do {
      let sound = try BenchFiles.readSound(item.file.path)
      var (encoding, decoding) = (Timing(), Timing())
      let bytes = try encoding.measure(repetitions, threadOnly: true) { try codec.encode(sound, at: item.setting) }
      let decoded = try decoding.measure(repetitions, threadOnly: true) { try codec.decode(bytes, like: sound) }
      record.bytes = bytes.count
      record.kbps = 8 * Double(bytes.count) / sound.seconds / 1000
      for measure in measures where measure.missing == nil {
        record.measures[measure.name] = .some(try measure.measure(original: sound, decoded: decoded))
      }
      (record.encodeSeconds, record.encodeCPUSeconds) = (encoding.seconds, encoding.cpuSeconds)
      (record.decodeSeconds, record.decodeCPUSeconds) = (decoding.seconds, decoding.cpuSeconds)
    } catch {
      record = PointRecord(
        file: item.file.name, codec: item.codec.name, point: item.point, setting: item.setting.text, error: "\(error)")
    }
    return record
  }
}

extension BenchFiles {
  /// A sound as every codec gets it: above 48 kHz at 48 kHz, which is the most that ours and Opus code.
  package static func readSound(_ path: String) throws -> AudioBuffer {
    let sound = try AudioBuffer.whole(AudioReader(path))
    return try sound.resampled(to: min(sound.format.sampleRate, AudioEncoder.maximumSampleRate))
  }
}

extension AudioBuffer {
  package var seconds: Double { Double(frames) / Double(format.sampleRate) }
}
