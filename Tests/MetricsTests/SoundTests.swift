import Foundation
import Media
import Metrics
import Testing

/// Reference values: `sound_reference.py` beside this file.
struct SoundTests {
  static func noise(_ count: Int, seed: UInt32) -> [Float] {
    PictureMetricsTests.noise(count, seed: seed).map { Float($0 - 128) }
  }

  static func sound(_ samples: [Float]..., rate: Int = 24_000) throws -> AudioBuffer {
    let layout = try ChannelLayout(count: samples.count)
    return try AudioBuffer(format: AudioFormat(sampleRate: rate, layout: layout), samples: samples)
  }

  static let tone = (0..<9000).map { 0.5 * Float(sin(2 * Double.pi * Double($0) / 55)) }
  static let rough = noise(9000, seed: 1).map { $0 / 256 }

  static func sum(_ a: [Float], _ b: [Float], _ scale: Float) -> [Float] { zip(a, b).map { $0 + $1 * scale } }

  func expect(_ a: AudioBuffer, _ b: AudioBuffer, siSDR: Double, distance: Double) throws {
    let (ratio, lsd) = (try #require(try Metrics.siSDR(a, b)), try #require(try logSpectralDistance(a, b)))
    #expect(abs(ratio - siSDR) < 1e-4, "\(ratio)")
    #expect(abs(lsd - distance) < 1e-4, "\(lsd)")
  }

  @Test func toneWithNoise() throws {
    try expect(Self.sound(Self.tone), Self.sound(Self.sum(Self.tone, Self.rough, 1 / 16)), siSDR: 25.831845388, distance: 33.062622171)
  }

  @Test func quantisedNoise() throws {
    let coarse = Self.noise(9000, seed: 1).map { ($0 / 16).rounded(.down) / 16 }
    try expect(Self.sound(Self.rough), Self.sound(coarse), siSDR: 24.076876074, distance: 1.115066813)
  }

  /// Neither loudness nor offset counts for SI-SDR; both do for spectra.
  @Test func softerAndShifted() throws {
    let mixed = Self.sum(Self.tone, Self.rough, 1 / 4)
    let other = Self.sum(mixed.map { $0 / 2 + 0.125 }, Self.noise(9000, seed: 2), 1 / 4096)
    try expect(Self.sound(mixed), Self.sound(other), siSDR: 19.992649466, distance: 7.011241760)
  }

  @Test func twoChannels() throws {
    let a = try Self.sound(Self.tone, Self.rough)
    let b = try Self.sound(Self.sum(Self.tone, Self.rough, 1 / 32), Self.sum(Self.rough, Self.noise(9000, seed: 3), 1 / 1024))
    try expect(a, b, siSDR: 16.014215372, distance: 15.211691397)
  }

  @Test func shortSounds() throws {
    let short = Array(Self.rough[..<300])
    try expect(Self.sound(short), Self.sound(Self.sum(short, Self.noise(300, seed: 4), 1 / 2048)), siSDR: 17.666610776, distance: 1.856354975)
    let longer = Array(Self.rough[..<511])
    try expect(
      Self.sound(longer), Self.sound(longer.map { ($0 * 8).rounded(.toNearestOrEven) / 8 }), siSDR: 18.426438504, distance: 1.755084039)
  }

  @Test func allButSilence() throws {
    try expect(Self.sound(Self.tone), Self.sound(Self.rough.map { $0 / 1_048_576 }), siSDR: -44.790038010, distance: 11.483883200)
  }

  @Test func equalAndEmptySounds() throws {
    let a = try Self.sound(Self.tone)
    #expect(try siSDR(a, a) == .infinity && logSpectralDistance(a, a) == 0)
    // Half as loud: exact in floats, 6.02 dB in every bin that is not below the floor.
    let half = try Self.sound(Self.rough.map { $0 / 2 })
    #expect(try siSDR(Self.sound(Self.rough), half) == .infinity)
    let distance = try #require(try logSpectralDistance(Self.sound(Self.rough), half))
    #expect(abs(distance - 20 * log10(2)) < 1e-6, "\(distance)")
    let silence = try Self.sound([Float](repeating: 0.25, count: 700))
    #expect(try siSDR(silence, silence) == nil)
    #expect(try siSDR(Self.sound([]), Self.sound([])) == nil && logSpectralDistance(Self.sound([]), Self.sound([])) == nil)
  }

  @Test func differentSoundsAreRefused() throws {
    let a = try Self.sound(Self.tone)
    for other in try [Self.sound(Array(Self.tone.dropLast())), Self.sound(Self.tone, rate: 48_000), Self.sound(Self.tone, Self.tone)] {
      #expect { try siSDR(a, other) } throws: { ($0 as? MetricError)?.code == .mismatch }
      #expect { try logSpectralDistance(a, other) } throws: { ($0 as? MetricError)?.code == .mismatch }
    }
  }

  @Test(arguments: [
    (24000, 48000, 2000, [-0.2230821, 0.2654807, 0.2663585, -0.2342783, 0.3560824, -0.0784538, -0.3049004]),
    (24000, 16000, 667, [-0.2510991, 0.0789235, 0.2831646, -0.1142373, 0.2852063, -0.0783163, -0.427288]),
    (44100, 48000, 1089, [-0.2230826, 0.288691, 0.2743415, -0.4071288, 0.4512133, -0.0810147, -0.2616161]),
    (8000, 48000, 6000, [-0.2230824, 0.1460637, 0.2739725, -0.2342786, 0.4385413, -0.0716989, -0.3049008]),
  ] as [(Int, Int, Int, [Float])])
  func resampling(from: Int, to: Int, count: Int, values: [Float]) {
    let out = resampled(Array(Self.rough[..<1000]), from: from, to: to)
    #expect(out.count == count)
    for (i, value) in values.enumerated() { #expect(abs(out[i * count / 7] - value) < 1e-6, "\(i): \(out[i * count / 7])") }
  }

  @Test func resamplingToTheSameRate() {
    #expect(resampled(Self.tone, from: 44_100, to: 44_100) == Self.tone)
    #expect(resampled([], from: 8000, to: 48_000).isEmpty)
  }
}
