/// Which loudspeakers the channels are for.
public struct ChannelLayout: Sendable, Hashable {
  /// 1...255
  public let count: Int
  /// The channels as in a WAVE file's (and libav's) channel mask, lowest bit first: as many bits as there are channels. 0: the order is
  /// not said.
  public let mask: UInt64

  /// Throws `AudioError` (layout).
  public init(count: Int, mask: UInt64 = 0) throws(AudioError) {
    guard (1...Self.maximumCount).contains(count) else {
      throw AudioError(.layout, at: "channels", "\(count) channels are not 1 to \(Self.maximumCount)")
    }
    guard mask == 0 || mask.nonzeroBitCount == count else {
      throw AudioError(.layout, at: "channel mask", "it names \(mask.nonzeroBitCount) loudspeakers for \(count) channels")
    }
    (self.count, self.mask) = (count, mask)
  }

  private init(_ mask: UInt64) { (count, self.mask) = (mask.nonzeroBitCount, mask) }

  public static let maximumCount = 255
  /// Front centre.
  public static let mono = ChannelLayout(0x4)
  /// Front left, front right.
  public static let stereo = ChannelLayout(0x3)
}

public struct AudioFormat: Sendable, Hashable {
  /// Hz, 1...768000
  public let sampleRate: Int
  public let layout: ChannelLayout

  public static let maximumSampleRate = 768_000

  /// Throws `AudioError` (sampleRate).
  public init(sampleRate: Int, layout: ChannelLayout) throws(AudioError) {
    guard (1...Self.maximumSampleRate).contains(sampleRate) else {
      throw AudioError(.sampleRate, at: "sample rate", "\(sampleRate) Hz is not 1 to \(Self.maximumSampleRate)")
    }
    (self.sampleRate, self.layout) = (sampleRate, layout)
  }
}

/// A stretch of sound. A *frame* is one sample of each channel.
public struct AudioBuffer: Sendable {
  public let format: AudioFormat
  /// [channel][frame], full scale is -1...1. As many channels as the layout has, all of the same length.
  public let samples: [[Float]]

  /// Throws `AudioError` (sampleCount).
  public init(format: AudioFormat, samples: [[Float]]) throws(AudioError) {
    guard samples.count == format.layout.count else {
      throw AudioError(.sampleCount, at: "channels", "there are samples of \(samples.count) channels instead of \(format.layout.count)")
    }
    guard samples.allSatisfy({ $0.count == samples[0].count }) else {
      throw AudioError(.sampleCount, at: "channels", "the channels differ in length")
    }
    (self.format, self.samples) = (format, samples)
  }

  public var frames: Int { samples[0].count }
}

/// Something that a file says about its sound, such as a title.
public struct AudioTag: Sendable, Hashable {
  public let key: String
  public let value: String

  public init(key: String, value: String) { (self.key, self.value) = (key, value) }
}

/// Why sound cannot exist. Equal by code.
public struct AudioError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: String, Sendable, Hashable {
    /// A sample rate outside 1...768000 Hz.
    case sampleRate
    /// A number of channels outside 1...255, or a mask of another number.
    case layout
    /// Channels of different lengths, or more or fewer than the layout has.
    case sampleCount
  }

  public let code: Code
  /// The part at fault.
  public let location: String
  public let reason: String

  public init(_ code: Code, at location: String, _ reason: String) {
    (self.code, self.location, self.reason) = (code, location, reason)
  }

  public static func == (a: AudioError, b: AudioError) -> Bool { a.code == b.code }
  public func hash(into hasher: inout Hasher) { hasher.combine(code) }
  public var description: String { "\(location): \(reason)" }
}
