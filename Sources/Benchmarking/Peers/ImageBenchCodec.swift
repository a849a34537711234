import Glibc
import Media

/// One point of a codec's curve.
package struct BenchSetting: Sendable, Hashable {
  /// As reports show it, such as "quality 75"; two settings of a codec differ in it.
  package let text: String
  /// What the codec makes of it.
  package let value: Double

  package init(text: String, value: Double) { (self.text, self.value) = (text, value) }

  /// Up to `points` values from `first` (lowest rate) to `last`, with equal steps or equal ratios, called "name value".
  /// Fewer where whole numbers would repeat; with one point, the middle.
  package static func spread(
    _ name: String, from first: Double, to last: Double, points: Int, isGeometric: Bool = false, digits: Int = 0
  ) -> [BenchSetting] {
    var result: [BenchSetting] = []
    for i in 0..<points {
      let part = points == 1 ? 0.5 : Double(i) / Double(points - 1)
      let exact = isGeometric ? first * pow(last / first, part) : first + (last - first) * part
      let text = decimal(exact, digits: digits)
      guard let value = Double(text) else { continue }
      let setting = BenchSetting(text: "\(name) \(text)", value: value)
      if result.last?.text != setting.text { result.append(setting) }
    }
    return result
  }
}

/// What the runner tells a codec and asks of it.
package struct BenchControl: Sendable {
  /// Whether the user wants to stop; slow codecs then throw `CancellationError`.
  package var isStopped: @Sendable () -> Bool = { false }
  /// 0...1 of the work at hand, from codecs that take long.
  package var progress: @Sendable (Double) -> Void = { _ in }

  package init() {}
}

/// A codec of pictures at several settings, from 8-bit RGB in memory to the bytes of a whole file and back.
package protocol ImageBenchCodec: Sendable {
  /// With `missing`, nothing else is asked of it.
  var record: CodecRecord { get }
  /// Whether it keeps to the calling thread, so that several may run at once and the thread's clock times it.
  var isSingleThreaded: Bool { get }
  /// A guess at encoding and decoding, in seconds of one core per megapixel, until some were measured.
  var secondsPerMegapixel: Double { get }

  /// The settings of a curve with that many points, from the lowest rate up.
  func settings(points: Int) -> [BenchSetting]
  func encode(_ image: Image, at setting: BenchSetting, _ control: BenchControl) throws -> [UInt8]
  func decode(_ bytes: [UInt8]) throws -> Image
}

/// A peer that this machine lacks: listed, never run.
package struct MissingCodec: ImageBenchCodec {
  package let record: CodecRecord
  package let isSingleThreaded = true
  package let secondsPerMegapixel = 0.0

  package init(record: CodecRecord) { self.record = record }

  package func settings(points: Int) -> [BenchSetting] { [] }
  package func encode(_ image: Image, at setting: BenchSetting, _ control: BenchControl) throws -> [UInt8] {
    throw BenchError("\(record.name): \(record.missing ?? "missing")")
  }
  package func decode(_ bytes: [UInt8]) throws -> Image { throw BenchError("\(record.name): \(record.missing ?? "missing")") }
}
