import Bitstream
import Coding
import KVCodec
import Media
import Testing

@Suite struct LevelTests {
  static func encoder(_ levels: [Int], chunk: Int = 16, threads: Int? = nil) -> KVCacheEncoder {
    var options = KVCacheEncoder.Options()
    (options.levels, options.chunkTokens, options.threads) = (levels, chunk, threads)
    return KVCacheEncoder(options: options)
  }

  static func decoded(_ bytes: [UInt8], _ change: (inout KVCacheDecoder.Options) -> Void = { _ in }) throws -> KVCache {
    var options = KVCacheDecoder.Options()
    change(&options)
    return try KVCacheDecoder(options: options).decode(bytes)
  }

  /// Each level is what a file of that quality alone holds, whatever order they were given in.
  @Test func eachLevelIsAFileOfItsOwn() throws {
    var cache = KVCacheCodecTests.cache(41)
    cache.others = [KVNamedTensor(name: "tokens", dtype: "U8", shape: [70], bytes: [UInt8](0..<70))]
    let encoded = try Self.encoder([40, 20, 70]).encode(cache)
    #expect(encoded.levels == [70, 40, 20] && encoded.quality == 70 && encoded.positions == 0..<70)
    #expect(try Self.encoder([70, 40, 20], threads: 1).encode(cache).bytes == encoded.bytes)
    for (level, quality) in [70, 40, 20].enumerated() {
      let alone = try Self.decoded(KVCacheCodecTests.encoder(.quality(quality), chunk: 16).encode(cache).bytes)
      let back = try Self.decoded(encoded.bytes) { $0.level = level }
      #expect(hasSameBits(back, alone), "level \(level)")
      #expect(back.others.map(\.bytes) == cache.others.map(\.bytes))
    }
    #expect(hasSameBits(try Self.decoded(encoded.bytes), try Self.decoded(encoded.bytes) { $0.level = 0 }))
  }

  @Test func eachPartMayBeOfAnotherLevel() throws {
    let cache = KVCacheCodecTests.cache(43)
    let bytes = try Self.encoder([80, 50, 10]).encode(cache).bytes
    let whole = try (0..<3).map { level in try Self.decoded(bytes) { $0.level = level } }
    let choice = [0, 2, 1, 2, 0]
    let mixed = try Self.decoded(bytes) { $0.levels = choice }
    for (number, layer) in mixed.layers.enumerated() {
      for token in 0..<layer.tokens {
        let level = choice[(layer.firstPosition + token) / 16]
        let other = whole[level].layers[number].keys.tokens(in: token..<token + 1)
        #expect(layer.keys.tokens(in: token..<token + 1).hasSameBits(as: other))
      }
    }
    let part = try Self.decoded(bytes) { ($0.levels, $0.tokens) = (choice, 20..<50) }
    #expect(part.layers[0].keys.hasSameBits(as: mixed.layers[0].keys.tokens(in: 20..<50)))
    for wrong in [[0], [0, 1, 2, 0, 1, 2], [0, 1, 2, 3, 0], [0, 1, -1, 0, 0]] {
      #expect(throws: CodecError.self) { _ = try Self.decoded(bytes) { $0.levels = wrong } }
    }
    for wrong in [-1, 3] { #expect(throws: CodecError.self) { _ = try Self.decoded(bytes) { $0.level = wrong } } }
  }

  @Test func theFileSaysWhatItHolds() throws {
    let cache = KVCacheCodecTests.cache(47)
    let file = try KVCacheFile(reading: Self.encoder([10, 90]).encode(cache).bytes)
    #expect(file.levels.map(\.quality) == [90, 10] && file.parts == 5 && file.elementCount == cache.elementCount)
    #expect(file.chunks.map(\.positions) == [0..<16, 16..<32, 32..<48, 48..<64, 64..<70])
    #expect(file.chunks.allSatisfy { $0.bytes.count == 2 && $0.bytes[0] > $0.bytes[1] })
    #expect(file.levels.map(\.byteCount) == [0, 1].map { level in file.chunks.reduce(0) { $0 + $1.bytes[level] } })
    let one = try KVCacheFile(reading: KVCacheCodecTests.encoder(.quality(33)).encode(cache).bytes)
    #expect(one.levels.map(\.quality) == [33])
    let lossless = try KVCacheFile(reading: KVCacheCodecTests.encoder(.lossless).encode(cache).bytes)
    #expect(lossless.levels.map(\.quality) == [nil] && lossless.scheme == "lossless")
  }

  /// Part by part, the best level first, all in the index.
  @Test func payloadsAreInterleaved() throws {
    let bytes = try Self.encoder([10, 90]).encode(KVCacheCodecTests.cache(53)).bytes
    let container = try Container(reading: bytes)
    #expect(container.hasIndex && container.metadata.first == .levels([.init(track: 0, quality: 90), .init(track: 1, quality: 10)]))
    #expect(container.payloads.map(\.track) == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    #expect(container.payloads.map(\.start) == [0, 0, 16, 16, 32, 32, 48, 48, 64, 64])
  }

  /// A reader from before there were levels decodes the best, and so do we where the chunk was dropped.
  @Test func withoutTheChunkTheBestIsDecoded() throws {
    let bytes = try Self.encoder([10, 90]).encode(KVCacheCodecTests.cache(59)).bytes
    var container = try Container(reading: bytes)
    container.metadata = []
    let plain = try container.serialised()
    #expect(hasSameBits(try Self.decoded(plain), try Self.decoded(bytes)))
    #expect(try KVCacheFile(reading: plain).levels.map(\.quality) == [nil])
    #expect(throws: CodecError.self) { _ = try Self.decoded(plain) { $0.level = 1 } }
  }

  @Test func levelsThatMakeNoSenseAreRefused() throws {
    let cache = KVCacheCodecTests.cache(61)
    for wrong in [[50, 50], [101], [-1, 3], Array(0...16)] {
      #expect(throws: CodecError.self) { _ = try Self.encoder(wrong).encode(cache) }
    }
  }
}
