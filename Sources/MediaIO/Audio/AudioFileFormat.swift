import CLibAV

/// The files that sound is written to.
package enum AudioFileFormat: String, Sendable, CaseIterable {
  case wav, flac, opus, ogg, mp3, m4a

  /// By a name's ending; nil for any other.
  package init?(path: String) {
    guard let dot = path.lastIndex(of: ".") else { return nil }
    switch path[dot...].dropFirst().lowercased() {
    case "wav", "wave": self = .wav
    case "flac": self = .flac
    case "opus": self = .opus
    case "ogg", "oga": self = .ogg
    case "mp3": self = .mp3
    case "m4a", "mp4", "aac": self = .m4a
    default: return nil
    }
  }

  /// libavformat's name.
  var container: String {
    switch self {
    case .wav: "wav"
    case .flac: "flac"
    case .opus: "opus"
    case .ogg: "ogg"
    case .mp3: "mp3"
    case .m4a: "ipod"
    }
  }

  /// Without loss but for rounding.
  package var isLossless: Bool { self == .wav || self == .flac }

  /// libavcodec's name.
  func encoder(_ samples: AudioSampleFormat) -> String {
    switch (self, samples) {
    case (.wav, .int16): "pcm_s16le"
    case (.wav, .int24): "pcm_s24le"
    case (.wav, .float32): "pcm_f32le"
    case (.flac, _): "flac"
    case (.opus, _): "libopus"
    case (.ogg, _): "libvorbis"
    case (.mp3, _): "libmp3lame"
    case (.m4a, _): "aac"
    }
  }

  /// Bits a second where the user does not say; sound that was coded once should lose little more.
  func defaultBitRate(channels: Int) -> Int {
    switch self {
    case .wav, .flac: 0
    case .opus, .ogg, .m4a: 96_000 * channels
    case .mp3: channels == 1 ? 128_000 : 256_000
    }
  }

  /// Whether the file's beginning is written again at its end, for which it must not be a pipe.
  var needsPlaces: Bool { self == .m4a }
}

/// What a sample is in a file without loss.
package enum AudioSampleFormat: String, Sendable, CaseIterable {
  case int16 = "16"
  case int24 = "24"
  case float32 = "float"

  var bits: Int {
    switch self {
    case .int16: 16
    case .int24: 24
    case .float32: 32
    }
  }
}
