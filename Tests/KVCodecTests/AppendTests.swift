import Bitstream
import Coding
import KVCodec
import Media
import Testing

@Suite struct AppendTests {
  /// The first or the later positions of a cache, with its tensors.
  static func cut(_ cache: KVCache, to end: Int? = nil, from start: Int? = nil) -> KVCache {
    var part = cache
    for i in part.layers.indices {
      let layer = cache.layers[i]
      let (first, last) = (layer.firstPosition, layer.firstPosition + layer.tokens)
      let from = min(max(start ?? first, first), last)
      let range = from - first..<min(max(end ?? last, from), last) - first
      part.layers[i] = KVLayer(keys: layer.keys.tokens(in: range), values: layer.values?.tokens(in: range), firstPosition: from)
    }
    return part
  }

  /// Layers of equal first positions: what a model goes on with.
  static func cache(_ seed: UInt64, tokens: Int = 70) -> KVCache {
    var noise = Noise(seed)
    return KVCache(
      layers: [layer(&noise, tokens: tokens), layer(&noise, heads: 1, tokens: tokens, channels: 3, valueChannels: 5, element: .float32)],
      rope: .halves, ropeBase: 5e5, model: "made up")
  }

  static func decoded(_ bytes: [UInt8], level: Int = 0) throws -> KVCache {
    try LevelTests.decoded(bytes) { $0.level = level }
  }

  /// From the longer cache or its later tokens alone, once or token by token: nothing that was there changes, and what is new
  /// is as good as in a file of its own.
  @Test(arguments: [16, 35, 69]) func losslessGrows(at split: Int) throws {
    let cache = Self.cache(1)
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    let start = try encoder.encode(Self.cut(cache, to: split))
    for more in [cache, Self.cut(cache, from: split), Self.cut(cache, from: split - 3)] {
      let encoded = try encoder.append(more, to: start.bytes)
      #expect(encoded.positions == split..<70 && encoded.quality == nil)
      #expect(hasSameBits(cache, try Self.decoded(encoded.bytes)))
      let file = try KVCacheFile(reading: encoded.bytes)
      #expect(file.positions == 0..<70 && file.elementCount == cache.elementCount)
      let (old, new) = (try Container(reading: start.bytes), try Container(reading: encoded.bytes))
      #expect(Array(new.payloads.prefix(old.payloads.count)) == old.payloads && new.hasIndex)
      #expect(new.tracks == old.tracks && new.payloads.allSatisfy(\.isRandomAccess))
      #expect(abs(encoded.bitsPerElement - 8 * Double(encoded.bytes.count) / Double(cache.elementCount)) < 1e-9)
    }
  }

  @Test func tokenByToken() throws {
    let cache = Self.cache(3, tokens: 24)
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    var bytes = try encoder.encode(Self.cut(cache, to: 20)).bytes
    for end in 21...24 { bytes = try encoder.append(Self.cut(cache, to: end, from: end - 1), to: bytes).bytes }
    #expect(hasSameBits(cache, try Self.decoded(bytes)))
    #expect(hasSameBits(Self.cut(cache, to: 22, from: 19), try LevelTests.decoded(bytes) { $0.tokens = 19..<22 }))
  }

  /// Old elements keep their bits, new ones those of the same quality, in every level.
  @Test func levelsGrowTogether() throws {
    let cache = Self.cache(5)
    let start = try LevelTests.encoder([60, 20]).encode(Self.cut(cache, to: 40)).bytes
    // The options of whoever appends do not matter.
    let grown = try KVCacheCodecTests.encoder(.quality(3), chunk: 7).append(cache, to: start)
    #expect(grown.levels == [60, 20])
    for (level, quality) in [60, 20].enumerated() {
      let all = try Self.decoded(grown.bytes, level: level)
      #expect(hasSameBits(Self.cut(all, to: 40), try Self.decoded(start, level: level)))
      let rest = try Self.decoded(KVCacheCodecTests.encoder(.quality(quality), chunk: 16).encode(Self.cut(cache, from: 40)).bytes)
      #expect(hasSameBits(Self.cut(all, from: 40), rest))
    }
    let payloads = try Container(reading: grown.bytes).payloads
    #expect(payloads.map(\.track) == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1])
    #expect(payloads.map(\.start) == [0, 0, 16, 16, 32, 32, 40, 40, 56, 56])
    #expect(try KVCacheFile(reading: grown.bytes).chunks.map(\.positions) == [0..<16, 16..<32, 32..<40, 40..<56, 56..<70])
  }

  /// A sliding window's layer has dropped what the file still has, which is no gap; one that lacks tokens is.
  @Test func windowsSlide() throws {
    var cache = KVCacheCodecTests.cache(7)
    cache.layers.removeLast()
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    let start = try encoder.encode(Self.cut(cache, to: 50)).bytes
    var later = Self.cut(cache, from: 50)
    later.layers[0] = Self.cut(cache, from: 45).layers[0]
    #expect(hasSameBits(cache, try Self.decoded(encoder.append(later, to: start).bytes)))
    later.layers[1] = Self.cut(cache, from: 51).layers[1]
    #expect(throws: CodecError.self) { _ = try encoder.append(later, to: start) }
  }

  @Test func tensorsGrow() throws {
    let cache = Self.cache(9)
    let bytes = { (range: Range<Int>) -> [UInt8] in range.flatMap { [UInt8($0), 1, 0, 0] } }
    func tensors(_ range: Range<Int>) -> [KVNamedTensor] {
      // The token's axis is the second of "scores", [2, tokens].
      [
        KVNamedTensor(name: "tokens", dtype: "I32", shape: [range.count], bytes: bytes(range)),
        KVNamedTensor(
          name: "scores", dtype: "U8", shape: [2, range.count], bytes: range.map { UInt8($0) } + range.map { UInt8($0 + 100) }),
        KVNamedTensor(name: "constant", dtype: "U8", shape: [3], bytes: [1, 2, 3]),
      ]
    }
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    var first = Self.cut(cache, to: 35)
    first.others = tensors(0..<35)
    first.metadata = [("a", "1"), ("b", "2")]
    let start = try encoder.encode(first).bytes
    var (whole, part) = (cache, Self.cut(cache, from: 35))
    // As long as the file, which shapes alone do not tell from the same tensor.
    (whole.others, part.others) = (tensors(0..<70), tensors(35..<70))
    part.others.append(KVNamedTensor(name: "new", dtype: "F16", shape: [1], bytes: [5, 6]))
    part.metadata = [("b", "3"), ("c", "4")]
    for more in [whole, part] {
      let back = try Self.decoded(encoder.append(more, to: start).bytes)
      #expect(hasSameBits(back, cache))
      let expected = tensors(0..<70) + more.others.filter { $0.name == "new" }
      #expect(back.others.map(\.name) == expected.map(\.name))
      for (a, b) in zip(back.others, expected) { #expect(a.dtype == b.dtype && a.shape == b.shape && a.bytes == b.bytes, "\(a.name)") }
      if more.others.count == 4 {
        #expect(back.metadata.map(\.key) == ["a", "b", "c"] && back.metadata.map(\.value) == ["1", "3", "4"])
      }
    }
    // Nothing said of a tensor: it stays.
    #expect(try Self.decoded(encoder.append(cache, to: start).bytes).others.map(\.shape) == [[35], [2, 35], [3]])
    // Another text.
    whole.others[0] = KVNamedTensor(name: "tokens", dtype: "I32", shape: [70], bytes: bytes(1..<71))
    #expect(throws: CodecError.self) { _ = try encoder.append(whole, to: start) }
    whole.others[0] = KVNamedTensor(name: "tokens", dtype: "I64", shape: [70], bytes: bytes(0..<70) + bytes(0..<70))
    #expect(throws: CodecError.self) { _ = try encoder.append(whole, to: start) }
  }

  /// The file of references/kv.md: tokens of what follows too. They are there already.
  @Test func tensorsThatReachFurtherStay() throws {
    let cache = Self.cache(11)
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    func tokens(_ range: Range<Int>) -> KVNamedTensor {
      KVNamedTensor(name: "tokens", dtype: "U8", shape: [range.count], bytes: range.map { UInt8($0) })
    }
    var first = Self.cut(cache, to: 30)
    first.others = [tokens(0..<100)]
    let start = try encoder.encode(first).bytes
    for (more, range) in [(cache, 0..<100), (cache, 0..<70), (Self.cut(cache, from: 30), 30..<70)] {
      var more = more
      more.others = [tokens(range)]
      #expect(try Self.decoded(encoder.append(more, to: start).bytes).others[0].bytes == tokens(0..<100).bytes)
    }
  }

  @Test func whatDoesNotFitIsRefusedWithItsReason() throws {
    let cache = Self.cache(13)
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    let start = try encoder.encode(Self.cut(cache, to: 40)).bytes
    func reason(_ cache: KVCache, to bytes: [UInt8]? = nil) -> String {
      do {
        _ = try encoder.append(cache, to: bytes ?? start)
        return "none"
      } catch { return (error as? CodecError)?.description ?? "\(error)" }
    }
    #expect(reason(cache) == "none")
    #expect(reason(Self.cut(cache, to: 40)).contains("nothing after the file's end at 40"))
    #expect(reason(Self.cut(cache, from: 41)).contains("begins at token 41"))
    var other = cache
    other.layers.removeLast()
    #expect(reason(other).contains("1 layers"))
    other = cache
    other.layers.swapAt(0, 1)
    #expect(reason(other).contains("layer 0 has key heads: 1"))
    var noise = Noise(15)
    other.layers = [layer(&noise, element: .bfloat16), cache.layers[1]]
    #expect(reason(other).contains("layer 0 has keys of bfloat16"))
    other.layers = [layer(&noise, valueChannels: nil), cache.layers[1]]
    #expect(reason(other).contains("layer 0 has value heads: 0"))
    other = cache
    other.ropeBase = 1e4
    #expect(reason(other).contains("RoPE is halves of base 10000.0, and the file's halves of base 500000.0"))
    other = cache
    other.keysAreRotated = false
    #expect(reason(other).contains("not applied"))
    other = cache
    other.model = "another"
    #expect(reason(other).contains("another"))
    other.model = ""
    #expect(reason(other) == "none")
    #expect(reason(cache, to: Array(start.dropLast())) != "none")
    #expect(reason(cache, to: []) != "none")
    // A file that does not say its quality takes the options', which cannot be none.
    var old = try Container(reading: KVCacheCodecTests.encoder(.quality(50), chunk: 16).encode(Self.cut(cache, to: 40)).bytes)
    old.metadata = []
    let silent = try old.serialised()
    #expect(reason(cache, to: silent).contains("Give a quality"))
    #expect(try KVCacheCodecTests.encoder(.quality(20)).append(cache, to: silent).levels == [20])
  }

  @Test func anEmptyFileIsAStart() throws {
    let cache = Self.cache(17)
    let encoder = KVCacheCodecTests.encoder(.lossless, chunk: 16)
    let start = try encoder.encode(Self.cut(cache, to: 0)).bytes
    #expect(hasSameBits(cache, try Self.decoded(encoder.append(cache, to: start).bytes)))
  }
}
