import Media
import MediaIO

/// A peer that codes through libavcodec.
package struct LibAVCodec: ImageBenchCodec {
  /// What a peer is, before it is known whether this machine has it.
  package struct Definition: Sendable {
    package var name: String
    package var title: String
    package var encoder: String
    /// Nil where `StillReader` decodes.
    package var decoder: String?
    package var samples: StillCodec.Samples
    package var file: StillCodec.File
    /// For people: everything that is not the varied setting.
    package var settings: String
    /// The varied setting, and its range from the lowest rate up.
    package var knob: Knob
    /// libavcodec's options, the fixed ones.
    package var options: [(name: String, value: String)] = []
    /// Those that a setting comes to.
    package var varied: @Sendable (Double) -> [(name: String, value: String)]
    /// Quantiser matrices of a setting, of mjpeg.
    package var matrices: @Sendable (Double) -> [[UInt16]] = { _ in [] }
    package var isSingleThreaded = true
    package var secondsPerMegapixel: Double
  }

  package struct Knob: Sendable {
    package var name: String
    package var first, last: Double
    package var isGeometric = false
    /// After the point.
    package var digits = 0
  }

  package let record: CodecRecord
  private let definition: Definition
  private let codec: StillCodec

  package var isSingleThreaded: Bool { definition.isSingleThreaded }
  package var secondsPerMegapixel: Double { definition.secondsPerMegapixel }

  /// A `MissingCodec` where this libav lacks it.
  package static func make(_ definition: Definition) -> any ImageBenchCodec {
    let knob = definition.knob
    func record(version: String, missing: String?) -> CodecRecord {
      CodecRecord(
        name: definition.name, title: definition.title, family: .peer, version: version,
        settings: "\(definition.settings); \(knob.name) \(decimal(knob.first, digits: knob.digits)) to \(decimal(knob.last, digits: knob.digits))",
        missing: missing)
    }
    do {
      let codec = try StillCodec(
        encoder: definition.encoder, decoder: definition.decoder, samples: definition.samples, file: definition.file)
      return LibAVCodec(record: record(version: codec.version, missing: nil), definition: definition, codec: codec)
    } catch {
      return MissingCodec(record: record(version: "", missing: "\(error)"))
    }
  }

  package func settings(points: Int) -> [BenchSetting] {
    let knob = definition.knob
    return BenchSetting.spread(
      knob.name, from: knob.first, to: knob.last, points: points, isGeometric: knob.isGeometric, digits: knob.digits)
  }

  package func encode(_ image: Image, at setting: BenchSetting, _ control: BenchControl) throws -> [UInt8] {
    try codec.encode(
      image, options: definition.options + definition.varied(setting.value), matrices: definition.matrices(setting.value))
  }

  package func decode(_ bytes: [UInt8]) throws -> Image { try codec.decode(bytes) }
}
