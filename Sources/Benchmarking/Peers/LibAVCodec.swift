import Media
import MediaIO

/// A peer that codes through libavcodec.
struct LibAVCodec: ImageBenchCodec {
  /// What a peer is, before it is known whether this machine has it.
  struct Definition: Sendable {
    var name: String
    var title: String
    var encoder: String
    /// Nil where `StillReader` decodes.
    var decoder: String?
    var samples: StillCodec.Samples
    var file: StillCodec.File
    /// For people: everything that is not the varied setting.
    var settings: String
    /// The varied setting, and its range from the lowest rate up.
    var knob: Knob
    /// libavcodec's options, the fixed ones.
    var options: [(name: String, value: String)] = []
    /// Those that a setting comes to.
    var varied: @Sendable (Double) -> [(name: String, value: String)]
    /// Quantiser matrices of a setting, of mjpeg.
    var matrices: @Sendable (Double) -> [[UInt16]] = { _ in [] }
    var isSingleThreaded = true
    var secondsPerMegapixel: Double
  }

  struct Knob: Sendable {
    var name: String
    var first, last: Double
    var isGeometric = false
    /// After the point.
    var digits = 0
  }

  let record: CodecRecord
  private let definition: Definition
  private let codec: StillCodec

  var isSingleThreaded: Bool { definition.isSingleThreaded }
  var secondsPerMegapixel: Double { definition.secondsPerMegapixel }

  /// A `MissingCodec` where this libav lacks it.
  static func make(_ definition: Definition) -> any ImageBenchCodec {
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

  func settings(points: Int) -> [BenchSetting] {
    let knob = definition.knob
    return BenchSetting.spread(
      knob.name, from: knob.first, to: knob.last, points: points, isGeometric: knob.isGeometric, digits: knob.digits)
  }

  func encode(_ image: Image, at setting: BenchSetting, _ control: BenchControl) throws -> [UInt8] {
    try codec.encode(
      image, options: definition.options + definition.varied(setting.value), matrices: definition.matrices(setting.value))
  }

  func decode(_ bytes: [UInt8]) throws -> Image { try codec.decode(bytes) }
}
