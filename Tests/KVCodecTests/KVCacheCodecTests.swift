import Coding
import KVCodec
import Media
import Testing

@Suite struct KVCacheCodecTests {
  static func encoder(_ target: KVCacheEncoder.Target, chunk: Int = 32, threads: Int? = nil) -> KVCacheEncoder {
    var options = KVCacheEncoder.Options()
    (options.target, options.chunkTokens, options.threads) = (target, chunk, threads)
    return KVCacheEncoder(options: options)
  }

  static func decoder(tokens: Range<Int>? = nil, layers: Range<Int>? = nil, threads: Int? = nil) -> KVCacheDecoder {
    var options = KVCacheDecoder.Options()
    (options.tokens, options.layers, options.threads) = (tokens, layers, threads)
    return KVCacheDecoder(options: options)
  }

  /// Layers that differ in all that they may differ in.
  static func cache(_ seed: UInt64 = 1) -> KVCache {
    var noise = Noise(seed)
    return KVCache(
      layers: [
        layer(&noise), layer(&noise), layer(&noise, heads: 1, channels: 3, valueChannels: 5, element: .float32),
        layer(&noise, tokens: 33, valueChannels: nil, element: .bfloat16, firstPosition: 37),
        layer(&noise, heads: 3, tokens: 1, channels: 1, valueChannels: 1, firstPosition: 69),
      ], rope: .halves, ropeBase: 1e6, model: "made up")
  }

  @Test(arguments: [1, 7, 32, 70, 256]) func losslessKeepsEveryBit(chunk: Int) throws {
    let cache = Self.cache()
    let back = try Self.decoder().decode(Self.encoder(.lossless, chunk: chunk).encode(cache).bytes)
    #expect(hasSameBits(cache, back))
    #expect(back.rope == .halves && back.ropeBase == 1e6 && back.model == "made up" && back.keysAreRotated)
    #expect(back.source == cache.source)
  }

  @Test func losslessKeepsAnyBits() throws {
    var noise = Noise(5)
    for element in KVElement.allCases {
      let made = KVTensor(heads: 2, tokens: 40, channels: 9, element: element)
      for t in 0..<80 {
        made.withMutableRow(head: t / 40, token: t % 40) { row in
          for i in 0..<row.count { row[i] = UInt8(truncatingIfNeeded: noise.next() >> 20) }
        }
      }
      let cache = KVCache(layers: [KVLayer(keys: made, values: made)])
      #expect(hasSameBits(cache, try Self.decoder().decode(Self.encoder(.lossless).encode(cache).bytes)))
    }
  }

  /// The error is that of the one step: uniform, so step / sqrt(12), the step's size being within half a quarter of an octave;
  /// values' step is half as much again. The first token is exact.
  @Test(arguments: [30, 60, 100]) func errorFollowsQuality(quality: Int) throws {
    var noise = Noise(7)
    let cache = KVCache(layers: [layer(&noise, tokens: 256, element: .float32)])
    let back = try Self.decoder().decode(Self.encoder(.quality(quality), chunk: 256).encode(cache).bytes)
    for (tensor, other, factor) in [(cache.layers[0].keys, back.layers[0].keys, Float(1)), (cache.layers[0].values!, back.layers[0].values!, 1.5)] {
      #expect(tensor.tokens(in: 0..<1).hasSameBits(as: other.tokens(in: 0..<1)))
      let a = values(tensor.tokens(in: 1..<256)), b = values(other.tokens(in: 1..<256))
      var (variance, error) = (Float(0), Float(0))
      for head in 0..<tensor.heads {
        for c in 0..<tensor.channels {
          let places = (0..<255).map { (head * 255 + $0) * tensor.channels + c }
          let mean = places.reduce(0) { $0 + a[$1] } / 255
          variance += places.reduce(0) { $0 + (a[$1] - mean) * (a[$1] - mean) } / Float(a.count)
          error += places.reduce(0) { $0 + (a[$1] - b[$1]) * (a[$1] - b[$1]) } / Float(a.count)
        }
      }
      let expected = factor * 2 * Self.exp2(-0.06 * Float(quality)) * variance.squareRoot() * 0.289
      #expect(error.squareRoot() < expected * 1.15 && error.squareRoot() > expected * 0.8, "\(error.squareRoot()), not \(expected)")
    }
  }

  private static func exp2(_ x: Float) -> Float {
    // Halves and their square root by hand: Foundation is not needed for more.
    var (y, x) = (Float(1), x)
    while x <= -1 { (y, x) = (y / 2, x + 1) }
    let steps = 100
    for _ in 0..<steps { y *= 1 + x * 0.6931472 / Float(steps) + x * x * 0.2402265 / Float(steps * steps) }
    return y
  }

  @Test func bitsFallWithQuality() throws {
    let cache = Self.cache(3)
    var last = Int.max
    for quality in stride(from: 100, through: 0, by: -10) {
      let bytes = try Self.encoder(.quality(quality), chunk: 256).encode(cache).bytes.count
      #expect(bytes < last)
      last = bytes
    }
  }

  @Test(arguments: [2.5, 4, 6]) func bitsAreMet(bits: Double) throws {
    var noise = Noise(11)
    let cache = KVCache(layers: (0..<4).map { _ in layer(&noise, heads: 4, tokens: 256, channels: 64, valueChannels: 64) })
    let encoded = try Self.encoder(.bitsPerElement(bits), chunk: 256).encode(cache)
    #expect(abs(encoded.bitsPerElement - bits) < 0.06)
    #expect(encoded.quality != nil)
  }

  /// NaNs, infinities and values far out come back as they were.
  @Test(arguments: KVElement.allCases) func whatDoesNotFitSurvives(element: KVElement) throws {
    var noise = Noise(13)
    let odd: [Float] = [.nan, .infinity, -.infinity, 60_000, -0.0, 1e-7]
    let made = tensor(heads: 1, tokens: 200, channels: 8, element: element) { _, t, c in
      t % 40 == 3 && c < odd.count ? odd[c] : noise.normal()
    }
    let back = try Self.decoder().decode(
      Self.encoder(.quality(50), chunk: 200).encode(KVCache(layers: [KVLayer(keys: made, values: nil)])).bytes)
    let (a, b) = (values(made), values(back.layers[0].keys))
    for (x, y) in zip(a, b) where !x.isFinite { #expect(x.isNaN ? y.isNaN : x == y) }
    #expect(zip(a, b).allSatisfy { x, y in !x.isFinite || y.isFinite })
    for (x, y) in zip(a, b) where x.isFinite && x.magnitude < 100 { #expect((x - y).magnitude < 3000) }
  }

  @Test func constantAndEmptyChannelsSurvive() throws {
    let made = tensor(heads: 1, tokens: 50, channels: 4, element: .float16) { _, t, c in c == 0 ? 0 : c == 1 ? 2.5 : Float(t) }
    let back = try Self.decoder().decode(
      Self.encoder(.quality(40), chunk: 50).encode(KVCache(layers: [KVLayer(keys: made, values: nil)])).bytes)
    let (a, b) = (values(made), values(back.layers[0].keys))
    // Within an eighth of the common step, which is 2^-1.4 of what the channels deviate by: at most 14.5, of the last two.
    for i in stride(from: 0, to: a.count, by: 4) {
      #expect(b[i] == 0)
      #expect((b[i + 1] - 2.5).magnitude < 0.7)
    }
  }

  @Test func threadsChangeNothing() throws {
    let cache = Self.cache(17)
    for target in [KVCacheEncoder.Target.quality(35), .lossless] {
      let bytes = try Self.encoder(target, threads: 1).encode(cache).bytes
      let whole = try Self.decoder(threads: 1).decode(bytes)
      for threads in [2, 3, 7] {
        #expect(try Self.encoder(target, threads: threads).encode(cache).bytes == bytes)
        #expect(hasSameBits(whole, try Self.decoder(threads: threads).decode(bytes)))
      }
    }
  }

  @Test(arguments: [KVCacheEncoder.Target.quality(45), .lossless]) func partsDecodeAlone(target: KVCacheEncoder.Target) throws {
    let cache = Self.cache(19)
    let bytes = try Self.encoder(target, chunk: 16).encode(cache).bytes
    let whole = try Self.decoder().decode(bytes)
    for (from, to, first, last) in [(0, 70, 1, 3), (5, 6, 0, 5), (15, 17, 0, 2), (30, 69, 2, 4), (69, 70, 4, 5), (32, 48, 3, 4)] {
      let part = try Self.decoder(tokens: from..<to, layers: first..<last).decode(bytes)
      #expect(part.layers.count == last - first)
      for (layer, full) in zip(part.layers, whole.layers[first..<last]) {
        let begin = max(from, full.firstPosition)
        #expect(layer.tokens == max(0, to - begin))
        guard layer.tokens > 0 else { continue }
        let range = begin - full.firstPosition..<to - full.firstPosition
        #expect(layer.firstPosition == begin)
        #expect(layer.keys.hasSameBits(as: full.keys.tokens(in: range)))
        if let values = layer.values { #expect(values.hasSameBits(as: full.values!.tokens(in: range))) }
      }
    }
    for bad in [0..<71, 70..<80] { #expect(throws: CodecError.self) { _ = try Self.decoder(tokens: bad).decode(bytes) } }
    #expect(throws: CodecError.self) { _ = try Self.decoder(layers: 3..<6).decode(bytes) }
  }

  @Test func whatIsCarriedAlongComesBack() throws {
    var cache = Self.cache(23)
    var noise = Noise(29)
    cache.others = [
      KVNamedTensor(name: "tokens", dtype: "I32", shape: [100], bytes: (0..<100).flatMap { [UInt8($0), 3, 0, 0] }),
      KVNamedTensor(name: "nothing", dtype: "F16", shape: [0, 4], bytes: []),
      KVNamedTensor(name: "large", dtype: "U8", shape: [5_000_001], bytes: (0..<5_000_001).map { _ in UInt8(noise.next() >> 58) }),
    ]
    cache.metadata = [("text", "prose"), ("note", "")]
    cache.source = .safeTensors(KVArrayLayout(packing: .stacked(keys: "k_pre", values: "v"), axes: [.token, .layer, .head, .channel]))
    let back = try Self.decoder().decode(Self.encoder(.quality(20)).encode(cache).bytes)
    #expect(back.others.map(\.name) == cache.others.map(\.name))
    for (a, b) in zip(cache.others, back.others) { #expect(a.dtype == b.dtype && a.shape == b.shape && a.bytes == b.bytes) }
    #expect(back.metadata.map(\.key) == ["text", "note"] && back.metadata.map(\.value) == ["prose", ""])
    #expect(back.source == cache.source)
  }

  @Test func layersThatDoNotFitAreRefused() throws {
    var noise = Noise(31)
    let good = layer(&noise)
    let short = layer(&noise, tokens: 69)
    #expect(throws: CodecError.self) { _ = try Self.encoder(.quality(50)).encode(KVCache(layers: [good, short])) }
    let odd = KVLayer(keys: good.keys, values: short.values)
    #expect(throws: CodecError.self) { _ = try Self.encoder(.quality(50)).encode(KVCache(layers: [odd])) }
    #expect(throws: CodecError.self) { _ = try Self.encoder(.quality(50)).encode(KVCache(layers: [])) }
    #expect(throws: CodecError.self) { _ = try Self.encoder(.quality(101)).encode(KVCache(layers: [good])) }
    #expect(throws: CodecError.self) { _ = try Self.encoder(.quality(50), chunk: 0).encode(KVCache(layers: [good])) }
  }

  @Test func noTokensAreACacheToo() throws {
    var noise = Noise(37)
    let cache = KVCache(layers: [layer(&noise, tokens: 0)])
    for target in [KVCacheEncoder.Target.quality(50), .lossless] {
      #expect(hasSameBits(cache, try Self.decoder().decode(Self.encoder(target).encode(cache).bytes)))
    }
  }
}
