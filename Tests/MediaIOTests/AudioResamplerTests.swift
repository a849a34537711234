import Media
import MediaIO
import Testing

struct AudioResamplerTests {
  private func resampled(_ buffer: AudioBuffer, to rate: Int, frames: Int? = nil, pieces: [Int] = [4_096]) throws -> AudioBuffer {
    let resampler = try AudioResampler(buffer.format, to: rate)
    var out = [[Float]](repeating: [], count: buffer.samples.count)
    var (at, turn) = (0, 0)
    while at < buffer.frames {
      let end = min(at + pieces[turn % pieces.count], buffer.frames)
      let part = try resampler.convert(AudioBuffer(format: buffer.format, samples: buffer.samples.map { Array($0[at..<end]) }))
      for channel in out.indices { out[channel] += part.samples[channel] }
      (at, turn) = (end, turn + 1)
    }
    let rest = try resampler.finish(frames: frames)
    #expect(rest.format == resampler.format)
    for channel in out.indices { out[channel] += rest.samples[channel] }
    return try AudioBuffer(format: resampler.format, samples: out)
  }

  @Test func lengths() {
    #expect(AudioResampler.frames(0, from: 192_000, to: 48_000) == 0)
    #expect(AudioResampler.frames(1, from: 192_000, to: 48_000) == 1)
    #expect(AudioResampler.frames(5, from: 192_000, to: 48_000) == 2)
    #expect(AudioResampler.frames(44_100, from: 44_100, to: 48_000) == 48_000)
    #expect(AudioResampler.frames(44_101, from: 44_100, to: 48_000) == 48_002)
  }

  /// Down to the codec's rate and back: as long as before, at the same place, and alike.
  @Test(arguments: [192_000, 96_000, 88_200, 176_400, 64_000, 384_000, 50_001, 768_000], [1, 2, 3, 7, 100, 5_001, 60_000])
  func thereAndBack(rate: Int, frames: Int) throws {
    let sweep = Sweep(rate: rate, frames: frames)
    let down = try resampled(sweep.buffer, to: 48_000)
    #expect(down.frames == AudioResampler.frames(frames, from: rate, to: 48_000))
    let up = try resampled(down, to: rate, frames: frames)
    #expect(try up.frames == frames && up.format == sweep.format)
    if frames > 10_000 {
      #expect(sweep.aligned(up.samples) > 80)
      #expect(Sweep(rate: 48_000, frames: down.frames).aligned(down.samples) > 80)
    }
  }

  @Test func piecesDoNotMatter() throws {
    let sweep = Sweep(rate: 96_000, channels: 3, frames: 9_000, mask: 7)
    let whole = try resampled(sweep.buffer, to: 48_000, pieces: [9_000])
    for pieces in [[1], [1, 100, 7], [4_096]] {
      let parts = try resampled(sweep.buffer, to: 48_000, pieces: pieces)
      #expect(parts.samples == whole.samples)
    }
  }

  /// What lies above the new rate's half must not fold back.
  @Test func nothingFoldsBack() throws {
    let format = try AudioFormat(sampleRate: 192_000, layout: .mono)
    // 40 kHz
    let tone = (0..<40_000).map { Float(Sweep.sine(Double($0) * 40_000 / 192_000)) }
    let down = try resampled(AudioBuffer(format: format, samples: [tone]), to: 48_000)
    let middle = down.samples[0][2_000..<8_000]
    #expect(middle.map(abs).max()! < 1e-3)
  }

  @Test func tooManyChannels() throws {
    let format = try AudioFormat(sampleRate: 96_000, layout: ChannelLayout(count: 65))
    #expect(throws: MediaIOError(.unsupported)) { try AudioResampler(format, to: 48_000) }
  }
}
