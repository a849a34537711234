import CLibAV

/// The files that video is written to.
package enum VideoFileFormat: String, Sendable, CaseIterable {
  case mp4, mov, mkv, webm, avi, y4m
  /// Numbered PNG pictures, such as `frames/%04d.png`.
  case pictures

  /// By a name's ending; nil for any other.
  package init?(path: String) {
    guard let dot = path.lastIndex(of: ".") else { return nil }
    switch path[dot...].dropFirst().lowercased() {
    case "mp4", "m4v": self = .mp4
    case "mov": self = .mov
    case "mkv": self = .mkv
    case "webm": self = .webm
    case "avi": self = .avi
    case "y4m": self = .y4m
    case "png" where NumberedNames(path) != nil: self = .pictures
    default: return nil
    }
  }

  /// libavformat's name.
  var container: String {
    switch self {
    case .mp4: "mp4"
    case .mov: "mov"
    case .mkv: "matroska"
    case .webm: "webm"
    case .avi: "avi"
    case .y4m: "yuv4mpegpipe"
    case .pictures: "image2"
    }
  }

  /// libavcodec's name of the encoder that is taken where none is named.
  package var defaultEncoder: String {
    switch self {
    case .mp4, .mov, .mkv, .avi: "libx264"
    case .webm: "libvpx-vp9"
    case .y4m: "rawvideo"
    case .pictures: "png"
    }
  }

  /// Whether the file's beginning is written again at its end, for which it must not be a pipe.
  var needsPlaces: Bool { self == .mp4 || self == .mov || self == .avi }
  /// Whether it holds a rate instead of times.
  var hasSteadyRate: Bool { self == .avi || self == .y4m }
  /// Whether it can say that pictures are to be turned.
  var holdsRotation: Bool { self == .mp4 || self == .mov }
  /// Whether packets of sound can lie beside those of video.
  package var holdsSound: Bool { soundFormat != nil }
  /// What sound is coded as that comes as samples.
  var soundFormat: AudioFileFormat? {
    switch self {
    case .mp4, .mov: .m4a
    case .mkv, .webm: .opus
    case .avi: .mp3
    case .y4m, .pictures: nil
    }
  }
}

/// How many samples of colour difference there are.
package enum VideoSampling: String, Sendable, CaseIterable {
  /// Half as many in each direction, which all players play.
  case c420 = "420"
  /// Half as many in a row.
  case c422 = "422"
  case c444 = "444"
  /// No difference: R, G and B themselves.
  case rgb

  /// libav's 8-bit formats of this kind.
  var pixelFormats: [AVPixelFormat] {
    switch self {
    case .c420: [AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P]
    case .c422: [AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUVJ422P]
    case .c444: [AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUVJ444P]
    case .rgb: [AV_PIX_FMT_GBRP, AV_PIX_FMT_RGB24, AV_PIX_FMT_BGR24, AV_PIX_FMT_BGR0, AV_PIX_FMT_RGB0]
    }
  }
}
