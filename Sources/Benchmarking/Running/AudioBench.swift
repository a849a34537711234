import Media
import MediaIO
import NeuralCodecs

/// Measures codecs of sound: real bytes, quality, times.
package struct AudioBench: Sendable {
  package struct Options: Sendable {
    /// 1000 bits a second, of all channels together.
    package var kbps = AudioBenchCodecs.rates(points: 6)
    package var course = BenchCourse()

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
    if let previous { try results.keep(previous, settings: settings(results).mapValues { $0.map(\.text) }) }
    return results
  }

  /// The same for all files, or there would be no mean over them.
  private func settings(_ results: BenchResults) -> [String: [BenchSetting]] {
    let rate = results.files.compactMap(\.sampleRate).max() ?? 48_000
    return Dictionary(uniqueKeysWithValues: codecs.map { ($0.record.name, $0.settings(kbps: options.kbps, sampleRate: rate)) })
  }

  /// As `ImageBench.run`.
  package func run(_ results: BenchResults, save: @escaping (BenchResults) throws -> Void) throws -> BenchResults {
    var results = results
    let byName = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    let measures = measures.filter { $0.missing == nil }
    let measuring = measures.reduce(0) { $0 + $1.secondsPerSecond }
    let items = results.missing(
      settings(results), size: { $0.duration ?? 0 }, secondsPerSize: { (byName[$0.name]?.secondsPerSecond ?? 0) + measuring })
    let repetitions = options.course.repetitions
    try results.measure(items, options.course, save: save) { item, _ in
      byName[item.codec.name].map { Self.measure(item, $0, measures, repetitions) }
    }
    return results
  }

  private static func measure(
    _ item: BenchItem, _ codec: any AudioBenchCodec, _ measures: [any AudioMeasure], _ repetitions: Int
  ) -> PointRecord {
    do {
      let sound = try BenchFiles.readSound(item.file.path)
      return PointRecord(
        item, repetitions: repetitions, encode: { try codec.encode(sound, at: item.setting) },
        decode: { try codec.decode($0, like: sound) }
      ) { record, decoded in
        record.kbps = 8 * Double(record.bytes ?? 0) / sound.seconds / 1000
        for measure in measures { record.measures[measure.name] = .some(try measure.measure(original: sound, decoded: decoded)) }
      }
    } catch {
      return PointRecord(item, error: "\(error)")
    }
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
