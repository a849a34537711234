import Foundation
import Media
import MediaIO
import Testing

/// The sound of Fixtures/Audio: each channel a sweep of its own, so that swapped channels and shifts show.
struct Sweep {
  let rate: Int
  let channels: Int
  let frames: Int
  var mask: UInt64

  init(rate: Int = 44_100, channels: Int = 2, frames: Int = 11_047, mask: UInt64? = nil) {
    (self.rate, self.channels, self.frames) = (rate, channels, frames)
    self.mask = mask ?? (channels == 1 ? 4 : channels == 2 ? 3 : 0)
  }

  var format: AudioFormat {
    get throws { try AudioFormat(sampleRate: rate, layout: ChannelLayout(count: channels, mask: mask)) }
  }

  func sample(_ channel: Int, _ n: Int) -> Double {
    let t = Double(n) / Double(rate)
    return 0.4 * sin(2 * .pi * Double(200 + 150 * channel) * t * (1 + t))
  }

  /// `turns` full circles.
  static func sine(_ turns: Double) -> Double { sin(2 * .pi * turns) }

  var buffer: AudioBuffer {
    get throws {
      try AudioBuffer(format: format, samples: (0..<channels).map { c in (0..<frames).map { Float(sample(c, $0)) } })
    }
  }

  /// The greatest difference of any sample; nil where the lengths differ.
  func worst(_ samples: [[Float]]) -> Double? {
    guard samples.count == channels, samples.allSatisfy({ $0.count == frames }) else { return nil }
    return (0..<channels).flatMap { c in (0..<frames).map { abs(Double(samples[c][$0]) - sample(c, $0)) } }.max() ?? 0
  }

  /// Of channel `channel`, the signal-to-noise ratio in dB, with `lag` samples of delay taken out; the ends, where codecs are at
  /// their worst, left out.
  func ratio(_ samples: [Float], channel: Int, lag: Int = 0) -> Double {
    var (signal, noise) = (0.0, 1e-30)
    for n in (frames / 4)..<(frames * 3 / 4) {
      let truth = sample(channel, n)
      signal += truth * truth
      noise += (Double(samples[n + lag]) - truth) * (Double(samples[n + lag]) - truth)
    }
    return 10 * log10(signal / noise)
  }

  /// Of all channels, the least ratio; -infinity where another lag, or another channel's sweep, fits better.
  func aligned(_ samples: [[Float]]) -> Double {
    (0..<channels).map { channel in
      let own = ratio(samples[channel], channel: channel)
      let lags = [-3, -2, -1, 1, 2, 3].map { ratio(samples[channel], channel: channel, lag: $0) }
      return lags.allSatisfy { $0 < own } ? own : -.infinity
    }.min()!
  }
}

extension Fixture {
  static let sounds = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/Fixtures/Audio/"
}

/// A file's sound in one piece, and what its reader says at the end.
struct WholeSound {
  let format: AudioFormat
  var samples: [[Float]]
  let tags: [AudioTag]
  let notices: [String]

  init(_ path: String, after start: [UInt8] = []) throws {
    let reader = try AudioReader(path, after: start)
    samples = [[Float]](repeating: [], count: reader.format.layout.count)
    while let buffer = try reader.next() {
      #expect(buffer.format == reader.format && buffer.frames > 0)
      for channel in samples.indices { samples[channel] += buffer.samples[channel] }
    }
    #expect(reader.frames == samples[0].count)
    #expect(try reader.next() == nil)
    (format, tags, notices) = (reader.format, reader.tags, reader.notices)
  }

  var frames: Int { samples[0].count }
}

/// A folder that is gone with the value.
final class SoundFolder {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("nccodec-sound-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  subscript(name: String) -> String { path + "/" + name }
  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}
