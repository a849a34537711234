import Glibc
import Media
import NeuralCodecs

/// Our codecs by their public interface, with the files that users get.
package struct OurVideoCodec: VideoBenchCodec {
  package struct Options: Sendable {
    /// What the points of the curve are.
    package var rates = Rates.qualities([25, 50, 75])
    /// 1...9
    package var effort = VideoEncoder.Options().effort
    /// Nil: by `effort`.
    package var epochs: Int?

    package init() {}
  }

  package enum Rates: Sendable, Equatable {
    /// 0...100
    case qualities([Double])
    /// Weights and embeddings of each segment's network.
    case parameters([Int])
  }

  package let record: CodecRecord
  /// It fits and decodes on all cores.
  package let isSingleThreaded = false
  private let codec: VideoEncoder.Codec
  private let options: Options

  /// `version` of nccodec, with its build.
  package init(_ codec: VideoEncoder.Codec, _ options: Options, _ version: String) {
    (self.codec, self.options) = (codec, options)
    record = CodecRecord(
      name: codec.rawValue, title: codec.rawValue, family: .ours, version: version,
      settings: "\(options.epochs.map { "epochs \($0)" } ?? "effort \(options.effort)"), all threads, whole files without sound")
  }

  /// Of a middling network, about a second an epoch; efforts take about twice as long as the one before.
  package var secondsPerMegapixel: Double { 1 + (options.epochs.map { Double($0) } ?? 5 * pow(1.8, Double(options.effort - 1))) }

  /// Those of the options, however many points are asked for.
  package func settings(points: Int) -> [BenchSetting] {
    switch options.rates {
    case .qualities(let qualities): Self.distinct(qualities.sorted().map { BenchSetting(text: "quality \(decimal($0, digits: 2))", value: $0) })
    case .parameters(let counts): Self.distinct(counts.sorted().map { BenchSetting(text: "params \(Self.short($0))", value: Double($0)) })
    }
  }

  private static func distinct(_ settings: [BenchSetting]) -> [BenchSetting] {
    settings.indices.filter { $0 == 0 || settings[$0 - 1] != settings[$0] }.map { settings[$0] }
  }

  /// Such as "0.35M", where that says all, or "350001".
  private static func short(_ count: Int) -> String { count >= 100_000 && count % 10_000 == 0 ? "\(decimal(Double(count) / 1e6, digits: 2))M" : "\(count)" }

  package func encode(_ clip: ClipSource, at setting: BenchSetting, _ control: BenchControl) throws -> CodedClip {
    var encoding = VideoEncoder.Options()
    encoding.codec = codec
    encoding.rate =
      switch options.rates {
      case .qualities: .quality(setting.value)
      case .parameters: .parameters(Int(setting.value))
      }
    (encoding.effort, encoding.epochs, encoding.expectedFrames) = (options.effort, options.epochs, clip.frameCount)
    encoding.progress = { control.progress($0.fraction) }
    encoding.isCancelled = control.isStopped
    // The closure outlives no call here, but may not capture a variable of this scope alone.
    final class Output { var bytes: [UInt8] = [] }
    let output = Output()
    let encoder = try VideoEncoder(format: clip.format, options: encoding) { output.bytes += $0 }
    var clip = clip
    while let frame = try clip.next() { try encoder.append(frame) }
    _ = try encoder.finish()
    return .file(output.bytes)
  }

  package func decode(_ coded: CodedClip, _ body: (VideoFrame) throws -> Void) throws {
    guard case .file(let bytes) = coded else { preconditionFailure("what encode has made") }
    let decoder = try VideoDecoder(bytes)
    while let frame = try decoder.next() { try body(frame) }
  }
}
