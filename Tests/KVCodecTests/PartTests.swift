import Bitstream
import Coding
import KVCodec
import Media
import Testing

/// Caches that are decoded part by part are those that are decoded at once.
@Suite struct PartTests {
  /// Puts the parts together again.
  private final class Gathered: KVCacheSink {
    private(set) var cache = KVCache(layers: [])
    private(set) var others: [KVNamedTensor] = []
    private(set) var largest = 0
    private var end = 0

    func begin(_ cache: KVCache, others: [KVNamedShape]) {
      self.cache = cache
      self.cache.layers = cache.layers.map { layer in
        KVLayer(keys: Self.zeros(layer.keys), values: layer.values.map(Self.zeros), firstPosition: layer.firstPosition)
      }
      self.others = others.map {
        KVNamedTensor(name: $0.name, dtype: $0.dtype, shape: $0.shape, bytes: [UInt8](repeating: 0, count: $0.byteCount))
      }
      end = cache.layers.map(\.firstPosition).min()!
    }

    private static func zeros(_ tensor: KVTensor) -> KVTensor {
      KVTensor(heads: tensor.heads, tokens: tensor.tokens, channels: tensor.channels, element: tensor.element)
    }

    func write(_ layers: [KVLayer]) {
      #expect(layers.count == cache.layers.count)
      let ends = layers.filter { $0.tokens > 0 }.map { $0.firstPosition + $0.tokens }
      #expect(Set(ends).count == 1 && ends[0] > end)
      end = ends.first ?? end
      largest = max(largest, layers.reduce(0) { $0 + $1.byteCount })
      for (part, whole) in zip(layers, cache.layers) {
        for (a, b) in [(part.keys, Optional(whole.keys)), (part.values ?? part.keys, part.values == nil ? nil : whole.values)] {
          guard let b else { continue }
          for head in 0..<a.heads {
            for token in 0..<a.tokens {
              a.withRow(head: head, token: token) { row in
                b.withMutableRow(head: head, token: part.firstPosition - whole.firstPosition + token) { $0.copyMemory(from: row) }
              }
            }
          }
        }
      }
    }

    func write(other number: Int, _ bytes: [UInt8], at offset: Int) {
      var all = others[number].bytes
      all.replaceSubrange(offset..<offset + bytes.count, with: bytes)
      let old = others[number]
      others[number] = KVNamedTensor(name: old.name, dtype: old.dtype, shape: old.shape, bytes: all)
    }
  }

  private static func check(_ bytes: [UInt8], _ decoder: KVCacheDecoder, _ what: String) throws -> Gathered {
    let whole = try decoder.decode(bytes)
    let parts = Gathered()
    try decoder.decode(MemorySource(bytes), into: parts)
    #expect(hasSameBits(whole, parts.cache), "\(what)")
    #expect(whole.layers.map(\.firstPosition) == parts.cache.layers.map(\.firstPosition), "\(what)")
    #expect(whole.model == parts.cache.model && whole.source == parts.cache.source && whole.rope == parts.cache.rope)
    #expect(parts.cache.others.isEmpty && parts.others.map(\.bytes) == whole.others.map(\.bytes))
    #expect(parts.others.map(\.name) == whole.others.map(\.name))
    let sum = KVElementsSum()
    try decoder.decode(MemorySource(bytes), into: sum)
    #expect(sum.crc32 == whole.elementsCRC32)
    return parts
  }

  @Test(arguments: [nil, 0..<1, 5..<40, 33..<70, 69..<70] as [Range<Int>?], [nil, 1..<4] as [Range<Int>?])
  func unlikeLayers(tokens: Range<Int>?, layers: Range<Int>?) throws {
    var cache = KVCacheCodecTests.cache()
    var noise = Noise(3)
    let long = (0..<5_000_000).map { _ in UInt8(truncatingIfNeeded: noise.next() & 3) }
    cache.others = [
      KVNamedTensor(name: "none", dtype: "I32", shape: [0], bytes: []),
      KVNamedTensor(name: "long", dtype: "U8", shape: [5_000_000], bytes: long),
    ]
    for target in [KVCacheEncoder.Target.lossless, .quality(40), .cacheGen(.paper, level: 2)] {
      let bytes = try KVCacheCodecTests.encoder(target, chunk: 16).encode(cache).bytes
      let parts = try Self.check(bytes, KVCacheCodecTests.decoder(tokens: tokens, layers: layers), "\(target)")
      #expect(parts.largest <= 16 * cache.byteCount / 33)
    }
  }

  @Test(arguments: [nil, 0..<64, 100..<101, 130..<300] as [Range<Int>?]) func chains(tokens: Range<Int>?) throws {
    let bytes = try AdaptiveTests.encoder(segment: 128).encode(AdaptiveTests.cache()).bytes
    for layers in [nil, 1..<3] as [Range<Int>?] {
      let parts = try Self.check(bytes, KVCacheCodecTests.decoder(tokens: tokens, layers: layers), "effort 5")
      #expect(parts.largest <= 64 * AdaptiveTests.cache().byteCount / 300)
    }
  }

  @Test func levels() throws {
    let bytes = try LevelTests.encoder([10, 60]).encode(KVCacheCodecTests.cache()).bytes
    var decoder = KVCacheCodecTests.decoder()
    decoder.options.levels = [0, 1, 1, 0, 1]
    _ = try Self.check(bytes, decoder, "levels")
  }

  /// Files that end too early, or have flipped bits, are refused or decode to what they are taken for at once.
  @Test func damage() throws {
    var cache = KVCacheCodecTests.cache()
    cache.others = [KVNamedTensor(name: "tokens", dtype: "U8", shape: [70], bytes: [UInt8](repeating: 7, count: 70))]
    let bytes = try KVCacheCodecTests.encoder(.quality(40), chunk: 16).encode(cache).bytes
    for end in stride(from: 0, to: bytes.count, by: 97) {
      #expect(throws: CodecError.self) {
        try KVCacheCodecTests.decoder().decode(MemorySource(Array(bytes[..<end])), into: Gathered())
      }
    }
  }

  /// Of NIST's FIPS 180-2 examples, and of nothing.
  @Test func digests() {
    func text(_ bytes: [UInt8]) -> String {
      KVDigest.sha256(bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
    #expect(text([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(text(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      text(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      text([UInt8](repeating: 0x61, count: 1_000_000)) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }
}
