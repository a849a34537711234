import Coding
import KVCodec
import Media
import Testing

/// CacheGen's scheme: what it does to elements is held against its description, written down here once more.
@Suite struct CacheGenTests {
  static let targets = CacheGenVariant.allCases.flatMap { variant in (1...3).map { KVCacheEncoder.Target.cacheGen(variant, level: $0) } }

  private static func there(_ cache: KVCache, _ target: KVCacheEncoder.Target, chunk: Int) throws -> KVCache {
    try KVCacheCodecTests.decoder().decode(KVCacheCodecTests.encoder(target, chunk: chunk).encode(cache).bytes)
  }

  /// Whole, in parts, in layers of any shape, and a part of one token.
  @Test(arguments: targets, [1, 7, 32, 256]) func shapesComeBack(target: KVCacheEncoder.Target, chunk: Int) throws {
    let cache = KVCacheCodecTests.cache()
    let back = try Self.there(cache, target, chunk: chunk)
    #expect(back.layers.count == cache.layers.count && back.rope == .halves && back.model == "made up")
    for (a, b) in zip(cache.layers, back.layers) {
      #expect(a.firstPosition == b.firstPosition && a.tokens == b.tokens && (a.values == nil) == (b.values == nil))
      for (x, y) in zip(values(a.keys), values(b.keys)) { #expect((x - y).magnitude <= 0.2 * 40) }
    }
  }

  /// LMCache's code: x -> round(x (B / 2 - 1) / max) / (B / 2 - 1) * max, the maximum over all heads of a token.
  @Test(arguments: 1...3) func releasedIsWhatLMCacheDoes(level: Int) throws {
    var noise = Noise(41)
    let cache = KVCache(layers: (0..<21).map { _ in layer(&noise, tokens: 30, element: .float16) })
    let back = try Self.there(cache, .cacheGen(.released, level: level), chunk: 16)
    for number in cache.layers.indices {
      let keys = number < 10 ? [16, 32, 32][level - 1] : number < 20 ? [16, 16, 32][level - 1] : [12, 16, 32][level - 1]
      let other = number < 2 ? [16, 32, 32][level - 1] : [12, 16, 32][level - 1]
      for (tensor, decoded, bins) in [
        (cache.layers[number].keys, back.layers[number].keys, keys), (cache.layers[number].values!, back.layers[number].values!, other),
      ] {
        let (a, b) = (values(tensor), values(decoded))
        let (heads, tokens, channels) = (tensor.heads, tensor.tokens, tensor.channels)
        for t in 0..<tokens {
          let places = (0..<heads * channels).map { ($0 / channels * tokens + t) * channels + $0 % channels }
          let most = places.reduce(Float(0)) { max($0, a[$1].magnitude) }
          let limit = Float(bins / 2 - 1)
          for i in places {
            let expected = (a[i] * (limit / most)).rounded(.toNearestOrEven) / limit * most
            // Both orders of rounding are right where an element lies between two levels.
            #expect(
              Float(Float16(expected)) == b[i] || (a[i] - b[i]).magnitude < 0.5001 * most / limit + most * 0x1p-11, "\(number) \(t) \(i)")
          }
        }
      }
    }
  }

  /// The paper's: the group's first token within half a 127th of its largest magnitude, the others within half of
  /// their channel's step, which is within a 64th of the level's share of the deviation of their
  /// differences from the anchor.
  @Test(arguments: 1...3) func paperKeepsAnchorsFinely(level: Int) throws {
    var noise = Noise(43)
    let cache = KVCache(layers: [layer(&noise, tokens: 64, element: .float32)])
    let back = try Self.there(cache, .cacheGen(.paper, level: level), chunk: 64)
    let (a, b) = (values(cache.layers[0].keys), values(back.layers[0].keys))
    // One layer is in the first third of all, whose steps are halved.
    let steps = (0..<32).map { column in
      func place(_ t: Int) -> Int { (column / 16 * 64 + t) * 16 + column % 16 }
      let own = (0..<64).filter { $0 % 10 > 0 }.map { a[place($0)] - b[place($0 / 10 * 10)] }
      let mean = own.reduce(0, +) / Float(own.count)
      return [0.5, 0.25, 0.125][level - 1] * (own.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(own.count)).squareRoot()
    }
    var worst: Float = 0
    for t in 0..<64 {
      let places = (0..<32).map { ($0 / 16 * 64 + t) * 16 + $0 % 16 }
      let most = places.reduce(Float(0)) { max($0, a[$1].magnitude) }
      for (column, i) in places.enumerated() {
        let bound = t % 10 == 0 ? 0.5001 * most / 127 : 0.501 * (1 + 1 / 64.0) * steps[column]
        #expect((a[i] - b[i]).magnitude <= bound, "\(t)")
        if t % 10 != 0 { worst = max(worst, (a[i] - b[i]).magnitude / steps[column]) }
      }
    }
    // And it does quantise.
    #expect(worst > 0.48)
  }

  /// NaNs, infinities and values far out, in anchors and elsewhere.
  @Test(arguments: targets, KVElement.allCases) func whatDoesNotFitSurvives(target: KVCacheEncoder.Target, element: KVElement) throws {
    var noise = Noise(47)
    let odd: [Float] = [.nan, .infinity, -.infinity, 60_000, -0.0, 1e-7, -60_000, 3]
    let made = tensor(heads: 1, tokens: 100, channels: 8, element: element) { _, t, c in
      t == 20 || t == 33 ? odd[c] : t == 40 ? 0 : t == 50 ? .nan : noise.normal()
    }
    let back = try Self.there(KVCache(layers: [KVLayer(keys: made, values: made)]), target, chunk: 100)
    for tensor in [back.layers[0].keys, back.layers[0].values!] {
      for (x, y) in zip(values(made), values(tensor)) {
        #expect(x.isFinite ? y.isFinite : x.isNaN ? y.isNaN : x == y)
        if x.magnitude > 50_000, x.isFinite { #expect((x - y).magnitude < 5000) }
      }
    }
  }

  @Test(arguments: targets) func threadsChangeNothing(target: KVCacheEncoder.Target) throws {
    let cache = KVCacheCodecTests.cache(53)
    let bytes = try KVCacheCodecTests.encoder(target, threads: 1).encode(cache).bytes
    let whole = try KVCacheCodecTests.decoder(threads: 1).decode(bytes)
    for threads in [2, 5] {
      #expect(try KVCacheCodecTests.encoder(target, threads: threads).encode(cache).bytes == bytes)
      #expect(hasSameBits(whole, try KVCacheCodecTests.decoder(threads: threads).decode(bytes)))
    }
  }

  @Test(arguments: targets) func partsDecodeAlone(target: KVCacheEncoder.Target) throws {
    let bytes = try KVCacheCodecTests.encoder(target, chunk: 16).encode(KVCacheCodecTests.cache(59)).bytes
    let whole = try KVCacheCodecTests.decoder().decode(bytes)
    let part = try KVCacheCodecTests.decoder(tokens: 21..<50, layers: 1..<3).decode(bytes)
    for (layer, full) in zip(part.layers, whole.layers[1..<3]) {
      #expect(layer.keys.hasSameBits(as: full.keys.tokens(in: 21..<50)))
      #expect(layer.values!.hasSameBits(as: full.values!.tokens(in: 21..<50)))
    }
  }

  /// Levels cost more bits the higher they are, and what is alike costs few.
  @Test(arguments: CacheGenVariant.allCases) func bitsRiseWithTheLevel(variant: CacheGenVariant) throws {
    var noise = Noise(61)
    // Released levels 2 and 3 are the same in the keys of ten layers and the values of two.
    let cache = KVCache(layers: (0..<3).map { _ in layer(&noise, heads: 4, tokens: 256, channels: 32, valueChannels: 32) })
    let sizes = try (1...3).map { try KVCacheCodecTests.encoder(.cacheGen(variant, level: $0), chunk: 256).encode(cache).bytes.count }
    #expect(sizes[0] < sizes[1] && sizes[1] < sizes[2])
    let same = tensor(heads: 4, tokens: 256, channels: 32, element: .float16) { _, _, _ in 1 }
    let flat = try KVCacheCodecTests.encoder(.cacheGen(variant, level: 1), chunk: 256).encode(
      KVCache(layers: [KVLayer(keys: same, values: same)]))
    #expect(flat.bytes.count < 2000)
  }

  @Test func wrongLevelsAreRefused() throws {
    for level in [0, 4, -1] {
      #expect(throws: CodecError.self) {
        _ = try KVCacheCodecTests.encoder(.cacheGen(.paper, level: level)).encode(KVCacheCodecTests.cache())
      }
    }
  }

  @Test func noTokensAreACacheToo() throws {
    var noise = Noise(67)
    let cache = KVCache(layers: [layer(&noise, tokens: 0)])
    #expect(hasSameBits(cache, try Self.there(cache, .cacheGen(.paper, level: 2), chunk: 10)))
  }
}
