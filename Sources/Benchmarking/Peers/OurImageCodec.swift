import Media
import NeuralCodecs

/// Our codecs by their public interface, with the files that users get.
package struct OurImageCodec: ImageBenchCodec {
  package let record: CodecRecord
  private let codec: ImageEncoder.Codec
  private let effort: Int

  /// `version` of nccodec, with its build.
  package init(hyperprior version: String) {
    codec = .hyperprior
    effort = 1
    record = CodecRecord(
      name: "hyperprior", title: "hyperprior", family: .ours, version: version,
      settings: "one thread; quality 0 to 100")
  }

  /// `effort` 1...9; `name` is "overfit" or tells the effort too.
  package init(overfit version: String, name: String, effort: Int) {
    codec = .overfit
    self.effort = effort
    record = CodecRecord(
      name: name, title: "overfit, effort \(effort)", family: .ours, version: version,
      settings: "effort \(effort), 2000 multiplications a pixel, all threads; lambda 0.02 to 0.0001")
  }

  package var isSingleThreaded: Bool { codec == .hyperprior }
  package var secondsPerMegapixel: Double {
    codec == .hyperprior ? 0.5 : [25, 50, 90, 160, 300, 500, 800, 1300, 2200][min(max(effort, 1), 9) - 1]
  }

  package func settings(points: Int) -> [BenchSetting] {
    switch codec {
    case .hyperprior: BenchSetting.spread("quality", from: 0, to: 100, points: points)
    case .overfit: BenchSetting.spread("lambda", from: 0.02, to: 1e-4, points: points, isGeometric: true, digits: 5)
    }
  }

  package func encode(_ image: Image, at setting: BenchSetting, _ control: BenchControl) throws -> [UInt8] {
    var options = ImageEncoder.Options()
    options.codec = codec
    options.effort = effort
    switch codec {
    case .hyperprior:
      options.target = .quality(Int(setting.value))
      options.threads = 1
    case .overfit:
      options.target = .lambda(setting.value)
      options.progress = { control.progress($0.fraction) }
      options.finishesEarly = control.isStopped
    }
    let encoded = try ImageEncoder(options: options).encode(image)
    // What was cut short is no measurement.
    if let fit = encoded.fit, !fit.isComplete { throw CancellationError() }
    return encoded.bytes
  }

  package func decode(_ bytes: [UInt8]) throws -> Image {
    var options = ImageDecoder.Options()
    if isSingleThreaded { options.threads = 1 }
    return try ImageDecoder(options: options).decode(bytes)
  }
}
