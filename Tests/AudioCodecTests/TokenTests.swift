import AudioCodec
import Bitstream
import Coding
import Foundation
import Media
import Synchronization
import Testing

/// Options of the token codec.
func tokens(_ framesPerSecond: Int, levels: Int, group: Double = 10) -> AudioEncoder.Options {
  var options = AudioEncoder.Options()
  (options.codec, options.framesPerSecond, options.levels, options.groupSeconds) = (.tokens, framesPerSecond, levels, group)
  return options
}

@Suite struct TokenTests {
  /// Lengths around the ends of frames, batches of frames and groups.
  @Test(arguments: [0, 1, 2, 319, 320, 321, 599, 600, 601, 640, 15_359, 15_360, 15_361, 28_801, 50_000])
  func lengthIsKeptToTheSample(_ frames: Int) throws {
    let sound = sound(24_000, frames: frames)
    for rate in [75, 40] {
      for group in [10, 0.5] {
        let bytes = try encode(sound, tokens(rate, levels: 2, group: group))
        #expect(try decode(bytes)[0].count == frames)
        let file = try AudioFile(reading: bytes)
        #expect(file.frames == frames && file.codec == "tokens" && file.tokens?.framesPerSecond == rate && file.tokens?.levels == 2)
        let hop = 24_000 / rate
        let found = try #require(try AudioFile.tokens(of: bytes))
        #expect(found.frames == (frames + hop - 1) / hop && found.framesPerSecond == rate)
        #expect(try AudioDecoder(bytes).frames == frames)
      }
    }
  }

  /// However the sound comes in, and however the file is read.
  @Test(arguments: [75, 40]) func piecesMakeNoDifference(_ rate: Int) throws {
    let sound = sound(24_000, frames: 60_000, channels: 2)
    let options = tokens(rate, levels: 3, group: 0.7)
    let whole = try encode(sound, options)
    #expect(try encode(sound, options, pieces: 1) == whole)
    #expect(try encode(sound, options, pieces: 7919) == whole)
    let all = try decode(whole)
    var next = 0
    var stream = try AudioDecoder { count in
      defer { next = min(whole.count, next + min(count, 33)) }
      return Array(whole[next..<min(whole.count, next + min(count, 33))])
    }
    #expect(try rest(&stream) == all)
    #expect(stream.frames == 60_000)
  }

  /// Groups change when something is known, and nothing else: bit by bit.
  @Test(arguments: [75, 40]) func groupsMakeNoDifference(_ rate: Int) throws {
    let sound = sound(24_000, frames: 100_000)
    let whole = try encode(sound, tokens(rate, levels: 4))
    let short = try encode(sound, tokens(rate, levels: 4, group: 0.02))
    #expect(try AudioFile(reading: whole).parts == 1)
    #expect(try AudioFile(reading: short).parts > 50)
    #expect(try AudioFile.tokens(of: whole) == AudioFile.tokens(of: short))
    #expect(try decode(whole) == decode(short))
  }

  @Test(arguments: [75, 40], [0.3, 2]) func seekingGivesWhatIsThere(_ rate: Int, _ group: Double) throws {
    // Behind frame 400, where pulses begin anew.
    let restart = 400 * 24_000 / rate, count = restart + 20_000
    let sound = sound(24_000, frames: count)
    let bytes = try encode(sound, tokens(rate, levels: 2, group: group))
    let all = try decode(bytes)[0]
    var decoder = try AudioDecoder(bytes)
    for frame in [restart + 1500, restart, restart - 1, restart + 5000, count - 1, count - 10_000, 0, 1, 64_000, 3, 80_321] {
      try decoder.seek(toFrame: frame)
      #expect(try rest(&decoder)[0] == Array(all[frame...]), "\(frame)")
    }
    try decoder.seek(toFrame: count)
    #expect(try decoder.next() == nil)
  }

  /// Each channel is coded as if it were alone.
  @Test(arguments: [2, 6]) func channelsAreOnTheirOwn(_ channels: Int) throws {
    let several = sound(24_000, frames: 9000, channels: channels)
    let bytes = try encode(several, tokens(75, levels: 8))
    let found = try #require(try AudioFile.tokens(of: bytes)), decoded = try decode(bytes)
    for c in 0..<channels {
      let alone = try encode(AudioBuffer(format: format(24_000), samples: [several.samples[c]]), tokens(75, levels: 8))
      #expect(try AudioFile.tokens(of: alone)?.indices[0] == found.indices[c])
      // The noise differs.
      if c == 0 { #expect(try decode(alone)[0] == decoded[c]) }
    }
    // And those that are the same cost nearly nothing.
    let long = sound(24_000, frames: 72_000).samples[0]
    let same = try AudioBuffer(format: format(24_000, channels: 2), samples: [long, long])
    let one = try AudioBuffer(format: format(24_000), samples: [long])
    #expect(try encode(same, tokens(75, levels: 8)).count < encode(one, tokens(75, levels: 8)).count * 5 / 4)
  }

  @Test func tokensMakeTheFileAgain() throws {
    let sound = sound(24_000, frames: 30_001)
    let received = Mutex<[AudioTokens]>([])
    var options = tokens(75, levels: 5, group: 0.4)
    options.tokens = { piece in received.withLock { $0.append(piece) } }
    let bytes = try encode(sound, options)
    let whole = try #require(try AudioFile.tokens(of: bytes))
    let pieces = received.withLock { $0 }
    #expect(pieces.count > 2)
    for level in 0..<5 { #expect(pieces.flatMap { $0.indices[0][level] } == whole.indices[0][level]) }
    var again: [UInt8] = []
    _ = try AudioEncoder.encode(whole, layout: .mono, samples: 30_001, options: tokens(75, levels: 5, group: 0.4)) { again += $0 }
    #expect(again == bytes)
    var full: [UInt8] = []
    #expect(try AudioEncoder.encode(whole, layout: .mono) { full += $0 }.frames == 94 * 320)
    #expect(try decode(full)[0].prefix(29_000) == decode(bytes)[0].prefix(29_000))
  }

  /// The range coder and its model alone: 0, 1, 2, 10 and many frames of any tokens.
  @Test(arguments: [0, 1, 2, 10, 2000], [1, 8]) func anyTokensAreKept(_ frames: Int, _ levels: Int) throws {
    var noise = Noise(UInt64(frames + levels))
    for (channels, isExtreme) in [(1, false), (1, true), (3, false)] {
      let indices = (0..<channels).map { _ in
        (0..<levels).map { level in
          (0..<frames).map { _ -> UInt16 in
            let codes = level == 0 ? 4096 : 512
            let x = (noise.next() + 1) / 2
            return UInt16(isExtreme ? (x < 0.5 ? 0 : codes - 1) : Int(x * Float(codes)))
          }
        }
      }
      let given = try AudioTokens(framesPerSecond: 40, indices: indices)
      var bytes: [UInt8] = []
      _ = try AudioEncoder.encode(given, layout: ChannelLayout(count: channels)) { bytes += $0 }
      #expect(try AudioFile.tokens(of: bytes) == given)
      let bits = try AudioFile.tokenBits(of: bytes), file = try AudioFile(reading: bytes)
      #expect(bits.count == levels)
      // What is coded is what it costs by the model, and each part's frame.
      #expect(abs(bits.reduce(0, +) / 8 - Double(file.codedBytes)) < Double(20 * file.parts + 1))
    }
  }

  /// What repeats costs next to nothing.
  @Test func silenceIsSmall() throws {
    let silence = try AudioBuffer(format: format(24_000), samples: [[Float](repeating: 0, count: 240_000)])
    let bytes = try encode(silence, tokens(75, levels: 8))
    #expect(bytes.count < 400)
    #expect(try decode(bytes)[0].count == 240_000)
  }

  @Test func ratesChooseTokens() throws {
    func chosen(_ rate: AudioEncoder.Rate, channels: Int = 1, frames: Int? = nil, levels: Int? = nil) throws -> [Int] {
      var options = AudioEncoder.Options()
      (options.codec, options.rate, options.framesPerSecond, options.levels) = (.tokens, rate, frames, levels)
      var encoder = try AudioEncoder(format: format(24_000, channels: channels), options: options) { _ in }
      let encoded = try encoder.finish()
      return [try #require(encoded.framesPerSecond), try #require(encoded.levels)]
    }
    #expect(try chosen(.kbps(0.48)) == [40, 1])
    #expect(try chosen(.kbps(0.9)) == [40, 2])
    #expect(try chosen(.kbps(0.9), frames: 75) == [75, 1])
    #expect(try chosen(.kbps(3)) == [75, 4])
    #expect(try chosen(.kbps(3), frames: 40) == [40, 8])
    #expect(try chosen(.kbps(3), frames: 75) == [75, 4])
    #expect(try chosen(.kbps(6)) == [75, 8])
    #expect(try chosen(.kbps(100)) == [75, 8])
    #expect(try chosen(.kbps(1.8), channels: 2) == [40, 2])
    #expect(try chosen(.kbps(0.48), levels: 1) == [40, 1])
    #expect(try chosen(.kbps(2), levels: 2) == [75, 2])
    #expect(try chosen(.quality(0)) == [40, 1])
    #expect(try chosen(.quality(100)) == [75, 8])
    #expect(try chosen(.quality(50), frames: 40, levels: 3) == [40, 3])
    #expect(AudioEncoder.tokenRates.first == 0.48 && AudioEncoder.tokenRates.last == 5.625 && AudioEncoder.tokenRates.count == 10)
    #expect(AudioEncoder.Codec.suited(toKbps: 7.9, channels: 1) == .tokens && AudioEncoder.Codec.suited(toKbps: 8, channels: 1) == .mdct)
    #expect(AudioEncoder.Codec.suited(toKbps: 15, channels: 2) == .tokens)
    #expect(AudioEncoder.Codec.tokens.codedSampleRate(of: 192_000) == 24_000 && AudioEncoder.Codec.mdct.codedSampleRate(of: 192_000) == 48_000)
  }

  @Test func refusesWhatCannotBe() throws {
    let refused = CodecError(.invalidOption, "")
    func make(_ rate: Int, _ options: AudioEncoder.Options) throws { _ = try AudioEncoder(format: format(rate), options: options) { _ in } }
    #expect(throws: refused) { try make(16_000, tokens(75, levels: 1)) }
    #expect(throws: refused) { try make(48_000, tokens(75, levels: 1)) }
    #expect(throws: refused) { try make(24_000, tokens(50, levels: 1)) }
    #expect(throws: refused) { try make(24_000, tokens(75, levels: 9)) }
    #expect(throws: refused) { try make(24_000, tokens(75, levels: 0)) }
    #expect(throws: refused) { try make(24_000, tokens(75, levels: 1, group: 0.01)) }
    #expect(throws: refused) { try make(24_000, tokens(75, levels: 1, group: .nan)) }
    var low = AudioEncoder.Options()
    (low.codec, low.rate) = (.tokens, .kbps(0.47))
    #expect(throws: refused) { try make(24_000, low) }
    var encoder = try AudioEncoder(format: format(24_000), options: tokens(75, levels: 1)) { _ in }
    #expect(throws: refused) { try encoder.append(AudioBuffer(format: format(24_000), samples: [[0, .nan]])) }
    func encode(_ rate: Int, _ indices: [[[UInt16]]], samples: Int? = nil) throws {
      _ = try AudioEncoder.encode(AudioTokens(framesPerSecond: rate, indices: indices), layout: .mono, samples: samples) { _ in }
    }
    #expect(throws: refused) { try encode(75, [[[4096]]]) }
    #expect(throws: refused) { try encode(75, [[[4095], [512]]]) }
    #expect(throws: refused) { try encode(74, [[[1]]]) }
    #expect(throws: refused) { try encode(75, [[[1]], [[1]]]) }
    #expect(throws: refused) { try encode(75, [[[1]]], samples: 321) }
    #expect(throws: refused) { try encode(75, [[[1]]], samples: 0) }
    #expect(throws: refused) { try encode(75, [[[UInt16]](repeating: [1], count: 9)]) }
    #expect(throws: AudioError(.sampleCount, at: "", "")) { _ = try AudioTokens(framesPerSecond: 75, indices: []) }
    #expect(throws: AudioError(.sampleCount, at: "", "")) { _ = try AudioTokens(framesPerSecond: 75, indices: [[[1], [1, 2]]]) }
  }

  /// Fixtures/Tokens/reference.py computes the same in double precision, by the words of the specification.
  @Test(arguments: [(75, 0), (40, 1)]) func agreesWithTheReference(_ rate: Int, _ mode: Int) throws {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures/Tokens")
    func read<T: BitwiseCopyable>(_ name: String, _ type: T.Type) throws -> [T] {
      let bytes = [UInt8](try Data(contentsOf: folder.appending(path: name)))
      return bytes.withUnsafeBytes { raw in (0..<raw.count / MemoryLayout<T>.size).map { raw.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self) } }
    }
    let input = try read("input.f32", Float.self), output = try read("output.\(mode).f32", Float.self)
    let indices = try read("indices.\(mode).u16", UInt16.self)
    let frames = indices.count / 8
    let levels = (0..<8).map { Array(indices[$0 * frames..<($0 + 1) * frames]) }
    let bytes = try encode(AudioBuffer(format: format(24_000), samples: [input]), tokens(rate, levels: 8))
    let found = try #require(try AudioFile.tokens(of: bytes))
    #expect(found.frames == frames)
    // Vectors that are nearly as near may be taken for each other.
    for level in 0..<8 {
      let other = zip(found.indices[0][level], levels[level]).count { $0 != $1 }
      #expect(other <= frames / 20, "level \(level): \(other) of \(frames)")
    }
    var packed: [UInt8] = []
    _ = try AudioEncoder.encode(AudioTokens(framesPerSecond: rate, indices: [levels]), layout: .mono, samples: output.count) { packed += $0 }
    let decoded = try decode(packed)[0]
    #expect(decoded.count == output.count && output.contains { abs($0) > 0.01 })
    let worst = zip(decoded, output).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
    #expect(worst <= 0.02 && ratio([output], [decoded]) > 50, "\(worst), \(ratio([output], [decoded])) dB")
  }

  @Test func cancellingStops() async {
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try encode(sound(24_000, frames: 80_000), tokens(75, levels: 1))
    }
    await #expect(throws: CancellationError.self) { _ = try await task.value }
  }
}
