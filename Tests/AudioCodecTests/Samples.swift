import AudioCodec
import Foundation
import Media

/// splitmix64: the same sounds everywhere.
struct Noise {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  /// -1..<1
  mutating func next() -> Float {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Float((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1
  }
}

func format(_ rate: Int, channels: Int = 1) -> AudioFormat {
  try! AudioFormat(sampleRate: rate, layout: channels == 1 ? .mono : channels == 2 ? .stereo : ChannelLayout(count: channels))
}

/// Tones that swell, some noise and a few clicks; channels are alike but not the same.
func sound(_ rate: Int, frames: Int, channels: Int = 1, seed: UInt64 = 1) -> AudioBuffer {
  let samples = (0..<channels).map { c in
    var noise = Noise(seed &+ UInt64(c))
    return (0..<frames).map { i -> Float in
      let t = Double(i)
      let swell = 0.6 + 0.4 * sin(5 * t / Double(rate))
      let low: Double = 0.3 * sin(0.04 * Double.pi * t * (1 + 0.1 * Double(c % 3)))
      let high: Double = 0.1 * sin(0.22 * Double.pi * t)
      var x = low * swell + high
      if i % (rate / 2 + 7) < 20 { x += 0.4 * Double(noise.next()) }
      return Float(x) + 0.01 * noise.next()
    }
  }
  return try! AudioBuffer(format: format(rate, channels: channels), samples: samples)
}

func options(_ rate: AudioEncoder.Rate, _ target: AudioEncoder.Target = .meanSquaredError) -> AudioEncoder.Options {
  var options = AudioEncoder.Options()
  (options.rate, options.target) = (rate, target)
  return options
}

/// The file, given to the encoder in pieces of some frames.
func encode(_ buffer: AudioBuffer, _ options: AudioEncoder.Options, pieces: Int = .max) throws -> [UInt8] {
  var bytes: [UInt8] = []
  var encoder = try AudioEncoder(format: buffer.format, options: options) { bytes += $0 }
  var first = 0
  while first < buffer.frames {
    let end = first + min(pieces, buffer.frames - first)
    try encoder.append(AudioBuffer(format: buffer.format, samples: buffer.samples.map { Array($0[first..<end]) }))
    first = end
  }
  _ = try encoder.finish(originalFrames: options.originalSampleRate.map { buffer.frames * $0 / buffer.format.sampleRate })
  return bytes
}

/// What is left of the sound, [channel][frame].
func rest(_ decoder: inout AudioDecoder) throws -> [[Float]] {
  var all = [[Float]](repeating: [], count: decoder.format.layout.count)
  while let buffer = try decoder.next() { for c in all.indices { all[c] += buffer.samples[c] } }
  return all
}

func decode(_ bytes: [UInt8]) throws -> [[Float]] {
  var decoder = try AudioDecoder(bytes)
  return try rest(&decoder)
}

/// Signal-to-noise ratio in dB, of all channels.
func ratio(_ original: [[Float]], _ decoded: [[Float]]) -> Double {
  var (signal, error) = (0.0, 0.0)
  for (x, y) in zip(original, decoded) {
    for (a, b) in zip(x, y) {
      signal += Double(a) * Double(a)
      error += Double(a - b) * Double(a - b)
    }
  }
  return 10 * log10(signal / max(error, 1e-30))
}
