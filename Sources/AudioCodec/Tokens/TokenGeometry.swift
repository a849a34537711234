import Bitstream

/// What is the same in all sound that is coded as tokens.
// bitstream-spec 12.1
package enum TokenGeometry {
  static let modelID: UInt32 = 1
  /// Hz
  package static let sampleRate = 24_000
  /// Samples of a frame's window.
  static let window = 1280
  /// Frequencies of a frame's spectrum, 0 and the highest among them.
  static let bins = window / 2 + 1
  static let channels = 256
  /// Of a code vector.
  static let dimensions = 32
  package static let maximumLevels = 8

  /// Bits of an index.
  package static func bits(level: Int) -> Int { level == 0 ? 12 : 9 }
  package static func codes(level: Int) -> Int { 1 << bits(level: level) }

  /// Pitches that a frame's logits choose among.
  static let pitches = 192
  /// Values of a frame that the network gives: logarithms of three spectra, phases, logits of pitches.
  static let outputs = 4 * bins + pitches
}

/// Where decoding begins for a frame to be what it is in the whole.
// bitstream-spec 12.6
struct TokenAccess {
  /// Frames after which the phase of pulses begins at 0 again.
  static let restart = 400
  /// Frames before one that its values depend on.
  private static let past = 103

  /// The first frame that goes through the network.
  let first: Int
  /// The frame from which pulses are made.
  let pulses: Int
  /// The first frame whose spectrum is used: its window ends behind the wanted one's begin.
  let spectra: Int

  /// For samples from `frame` on, 0 or more.
  init(to frame: Int) {
    spectra = max(0, frame - 2)
    // Windows begin less than two frames before their frame.
    pulses = max(0, spectra - 2) / Self.restart * Self.restart
    // Pitches change from the frame before on.
    first = pulses == 0 ? 0 : pulses - 1 - Self.past
  }
}

extension TokenMode {
  /// 75 or 40
  package var framesPerSecond: Int { TokenGeometry.sampleRate / hop }
  /// Where frame t's window begins, in samples behind t times `hop`.
  var windowStart: Int { hop / 2 - TokenGeometry.window / 2 }

  package init?(framesPerSecond: Int) {
    guard let mode = Self.allCases.first(where: { $0.framesPerSecond == framesPerSecond }) else { return nil }
    self = mode
  }
}

/// A rate at which tokens come.
package struct TokenSetting: Sendable, Equatable {
  package let mode: TokenMode
  /// 1...8
  package let levels: Int

  /// 1000 bits a second and channel, before entropy coding.
  package var rawKbps: Double {
    Double(mode.framesPerSecond * (0..<levels).reduce(0) { $0 + TokenGeometry.bits(level: $1) }) / 1000
  }

  /// From the lowest rate to the highest.
  package static let all: [TokenSetting] = TokenMode.allCases.flatMap { mode in
    (1...TokenGeometry.maximumLevels).map { TokenSetting(mode: mode, levels: $0) }
  }.sorted { $0.rawKbps < $1.rawKbps }

  /// Those that a rate chooses among: each better than all of lower rates, by STOI and PESQ of speech. Few bits a second are better
  /// spent on frames that are farther apart.
  package static let usual: [TokenSetting] = all.filter { $0.mode == .hop600 ? $0.levels <= 3 : $0.levels >= 2 }
}
