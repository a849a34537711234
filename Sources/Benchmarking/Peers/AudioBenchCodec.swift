import Media

/// A codec of sound at several rates, on the calling thread, from floats in memory to the bytes of a whole file and back.
package protocol AudioBenchCodec: Sendable {
  /// With `missing`, nothing else is asked of it.
  var record: CodecRecord { get }
  /// A guess at encoding and decoding, in seconds per second of sound, until some were measured.
  var secondsPerSecond: Double { get }

  /// From the lowest rate up, for sound of that many frames a second: those of `kbps` that the codec has, in its own steps.
  func settings(kbps: [Double], sampleRate: Int) -> [BenchSetting]
  func encode(_ sound: AudioBuffer, at setting: BenchSetting) throws -> [UInt8]
  /// Of the format and length of `sound`, which is the original: peers' files may hold another sample rate.
  func decode(_ bytes: [UInt8], like sound: AudioBuffer) throws -> AudioBuffer
}

extension AudioBenchCodec {
  package func settings(kbps: [Double], sampleRate: Int) -> [BenchSetting] { Self.settings(kbps.sorted()) }

  /// One for each different rate.
  package static func settings(_ kbps: [Double]) -> [BenchSetting] {
    var result: [BenchSetting] = []
    for rate in kbps {
      let setting = BenchSetting(text: "\(decimal(rate, digits: 3)) kbps", value: rate)
      if result.last != setting { result.append(setting) }
    }
    return result
  }
}

/// The codecs of sound that a benchmark can be told to run.
package enum AudioBenchCodecs {
  package static let standard = ["mdct", "mp3", "aac", "opus"]
  package static let names = ["mdct", "mdct-mse", "tokens", "mp3", "aac", "opus"]

  /// Kilobits a second, `points` of them with equal ratios, where the user names none: one channel's.
  package static func rates(points: Int) -> [Double] {
    BenchSetting.spread("", from: 16, to: 96, points: points, isGeometric: true).map(\.value)
  }

  /// One that this machine lacks has `record.missing`. Throws `BenchError` for a name that there is not.
  package static func named(_ name: String, version: String) throws(BenchError) -> any AudioBenchCodec {
    switch name {
    case "mdct": OurAudioCodec(.mdct, .perceptual, version)
    case "mdct-mse": OurAudioCodec(.mdct, .meanSquaredError, version)
    case "tokens": OurAudioCodec(.tokens, .perceptual, version)
    case "mp3": LibAVAudioCodec.mp3
    case "aac": LibAVAudioCodec.aac
    case "opus": LibAVAudioCodec.opus
    default: throw BenchError("'\(name)' is no codec of sound: there are \(names.joined(separator: ", "))")
    }
  }
}
