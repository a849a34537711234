import Coding
import Foundation
import KVCodec
import Media
import Testing

@Suite struct AdaptiveTests {
  static func encoder(quality: Int = 40, chunk: Int = 64, segment: Int = 4096, threads: Int? = nil) -> KVCacheEncoder {
    var options = KVCacheEncoder.Options()
    (options.effort, options.target, options.threads) = (5, .quality(quality), threads)
    (options.chunkTokens, options.segmentTokens) = (chunk, segment)
    return KVCacheEncoder(options: options)
  }

  /// Layers that are linear in a few common causes, as a model's are, with keys that RoPE has turned.
  static func cache(
    layers: Int = 4, heads: Int = 2, tokens: Int = 300, channels: Int = 16, causes: Int = 6, element: KVElement = .float16,
    rope: RopeLayout = .interleaved
  ) -> KVCache {
    var noise = Noise(21)
    let width = 2 * heads * channels
    let mixing = (0..<layers).map { _ in (0..<causes * width).map { _ in noise.normal() } }
    let means = (0..<layers).map { _ in (0..<width).map { _ in 2 * noise.normal() } }
    let inputs = (0..<tokens).map { _ in (0..<causes).map { _ in noise.normal() } }
    var rest = noise
    let turns = KVTurns(base: 10_000, pairs: channels / 2, halves: rope == .halves)
    let all = (0..<layers).map { l -> KVLayer in
      var rows = (0..<tokens).map { t -> [Float] in
        (0..<width).map { c -> Float in
          var value = means[l][c] + 0.05 * rest.normal()
          for cause in 0..<causes { value += inputs[t][cause] * mixing[l][cause * width + c] }
          return value
        }
      }
      if rope != .none {
        for t in 0..<tokens {
          let (cosines, sines) = turns.angles(at: t)
          for h in 0..<heads {
            for i in 0..<channels / 2 {
              let a = h * channels + (rope == .halves ? i : 2 * i), b = rope == .halves ? a + channels / 2 : a + 1
              (rows[t][a], rows[t][b]) = (
                rows[t][a] * cosines[i] - rows[t][b] * sines[i], rows[t][a] * sines[i] + rows[t][b] * cosines[i]
              )
            }
          }
        }
      }
      return KVLayer(
        keys: tensor(heads: heads, tokens: tokens, channels: channels, element: element) { rows[$1][$0 * channels + $2] },
        values: tensor(heads: heads, tokens: tokens, channels: channels, element: element) {
          rows[$1][(heads + $0) * channels + $2]
        })
    }
    return KVCache(layers: all, rope: rope, ropeBase: 10_000)
  }

  static func error(_ a: KVCache, _ b: KVCache) -> Double {
    var (sum, count) = (0.0, 0)
    for (x, y) in zip(a.layers, b.layers) {
      for (x, y) in [(x.keys, y.keys), (x.values!, y.values!)] {
        for (p, q) in zip(KVCodecTests.values(x), KVCodecTests.values(y)) { sum += Double((p - q) * (p - q)) }
        count += x.elementCount
      }
    }
    return sum / Double(count)
  }

  /// Six causes of 64 channels and little else: most of what channels have in common costs nothing.
  @Test(arguments: [RopeLayout.interleaved, .halves]) func farSmallerThanStatistics(rope: RopeLayout) throws {
    let cache = Self.cache(rope: rope)
    var fast = KVCacheEncoder.Options()
    (fast.target, fast.chunkTokens) = (.quality(40), 300)
    let plain = try KVCacheEncoder(options: fast).encode(cache).bytes
    let coded = try Self.encoder(quality: 46).encode(cache).bytes
    let plainError = Self.error(cache, try KVCacheDecoder().decode(plain)), error = Self.error(cache, try KVCacheDecoder().decode(coded))
    #expect(error < plainError, "\(error), \(plainError)")
    #expect(2 * coded.count < plain.count, "\(coded.count), \(plain.count)")
  }

  /// Its inverse: without RoPE undone the same cache takes more.
  @Test func undoingRopeHelps() throws {
    var cache = Self.cache()
    let coded = try Self.encoder().encode(cache).bytes.count
    cache.rope = .none
    #expect(try Self.encoder().encode(cache).bytes.count * 4 > coded * 5)
  }

  @Test func errorFallsWithQuality() throws {
    let cache = Self.cache()
    var last = Double.infinity
    for quality in [0, 30, 60, 100] {
      let error = Self.error(cache, try KVCacheDecoder().decode(Self.encoder(quality: quality).encode(cache).bytes))
      #expect(error < last / 2)
      last = error
    }
    #expect(last < 0.01)
  }

  @Test func bytesAndElementsDoNotDependOnThreads() throws {
    // Two chains, of four links and of one.
    var cache = Self.cache(tokens: 150)
    cache.layers += Self.cache(layers: 1, heads: 1, tokens: 150, channels: 8).layers
    let one = try Self.encoder(threads: 1).encode(cache).bytes
    let expected = try KVCacheDecoder().decode(one)
    for threads in [2, 3, 5] {
      #expect(try Self.encoder(threads: threads).encode(cache).bytes == one)
      var options = KVCacheDecoder.Options()
      options.threads = threads
      #expect(hasSameBits(try KVCacheDecoder(options: options).decode(one), expected))
    }
    // Alone, a chain's batches run side by side.
    let alone = Self.cache(tokens: 200)
    let first = try Self.encoder(threads: 1).encode(alone).bytes
    for threads in [2, 4] { #expect(try Self.encoder(threads: threads).encode(alone).bytes == first) }
  }

  /// What is decoded of a segment's tokens does not depend on how they are cut into payloads.
  @Test(arguments: [1, 7, 33, 64, 100, 300]) func chunksChangeNothing(chunk: Int) throws {
    let cache = Self.cache(layers: 3)
    let whole = try KVCacheDecoder().decode(Self.encoder(chunk: 4096).encode(cache).bytes)
    #expect(hasSameBits(try KVCacheDecoder().decode(Self.encoder(chunk: chunk).encode(cache).bytes), whole))
  }

  @Test func partsAreThoseOfTheWhole() throws {
    let cache = Self.cache()
    let bytes = try Self.encoder(chunk: 32, segment: 128).encode(cache).bytes
    let whole = try KVCacheDecoder().decode(bytes)
    for (tokens, layers) in [(0..<1, 0..<4), (40..<41, 2..<3), (100..<290, 1..<4), (128..<160, 0..<2), (299..<300, 3..<4)] {
      var options = KVCacheDecoder.Options()
      (options.tokens, options.layers) = (tokens, layers)
      let part = try KVCacheDecoder(options: options).decode(bytes)
      #expect(part.layers.count == layers.count)
      for (layer, other) in zip(part.layers, whole.layers[layers]) {
        #expect(layer.firstPosition == tokens.lowerBound)
        #expect(layer.keys.hasSameBits(as: other.keys.tokens(in: tokens)))
        #expect(layer.values!.hasSameBits(as: other.values!.tokens(in: tokens)))
      }
    }
  }

  @Test func anyShapeGoesThrough() throws {
    var noise = Noise(3)
    let windows = [0, 70, 0, 70].map { first in
      layer(&noise, heads: 7, tokens: 90 - first, channels: 32, valueChannels: 32, firstPosition: first)
    }
    let caches: [KVCache] = [
      KVCacheCodecTests.cache(),
      // A latent as in MLA, and a head whose keys and values are cut.
      KVCache(layers: [layer(&noise, heads: 1, tokens: 50, channels: 576, valueChannels: nil)], rope: .halves),
      KVCache(layers: [layer(&noise, heads: 2, tokens: 40, channels: 250, valueChannels: 200)], rope: .interleaved),
      // Many heads, so several chains; windows, so that chains begin in the middle.
      KVCache(layers: windows, rope: .halves),
      KVCache(layers: [layer(&noise, heads: 1, tokens: 40, channels: 1, valueChannels: nil, element: .float32)]),
      KVCache(layers: [layer(&noise, tokens: 0)]),
      KVCache(layers: [layer(&noise, tokens: 1), layer(&noise, tokens: 1)]),
    ]
    for cache in caches {
      let back = try KVCacheDecoder().decode(Self.encoder(quality: 100).encode(cache).bytes)
      for (layer, other) in zip(cache.layers, back.layers) {
        #expect(layer.firstPosition == other.firstPosition && layer.tokens == other.tokens)
        var pairs = [(layer.keys, other.keys)]
        if let a = layer.values, let b = other.values { pairs.append((a, b)) }
        for (a, b) in pairs {
          let (x, y) = (KVCodecTests.values(a), KVCodecTests.values(b))
          var (energy, error) = (Float(0), Float(0))
          for (p, q) in zip(x, y) { (energy, error) = (energy + p * p, error + (p - q) * (p - q)) }
          #expect(error <= energy * 2e-3, "\(a.heads)x\(a.tokens)x\(a.channels): \(error) of \(energy)")
        }
      }
    }
  }

  /// What is not finite comes back bit by bit, what is far out of the ordinary nearly, and neighbours suffer little.
  @Test func exceptionsSurvive() throws {
    let cache = Self.cache(layers: 2, tokens: 80, element: .float32)
    let odd: [(token: Int, channel: Int, bits: UInt32)] = [
      (0, 3, 0x7FC0_1234), (5, 0, 0x7F80_0000), (5, 1, 0xFF80_0000), (40, 7, 0x7FA0_0001), (79, 15, 0x7149_F2CA), (60, 2, 0xFF7F_FFFF),
    ]
    for (token, channel, bits) in odd {
      cache.layers[1].keys.withMutableRow(head: 1, token: token) { $0.storeBytes(of: bits, toByteOffset: 4 * channel, as: UInt32.self) }
    }
    let back = try KVCacheDecoder().decode(Self.encoder(quality: 60).encode(cache).bytes)
    for (token, channel, bits) in odd {
      let restored = back.layers[1].keys.withRow(head: 1, token: token) { $0.loadUnaligned(fromByteOffset: 4 * channel, as: UInt32.self) }
      #expect(restored == bits)
    }
    let a = values(cache.layers[1].values!), b = values(back.layers[1].values!)
    for (x, y) in zip(a, b) { #expect(abs(x - y) < 2) }
  }

  @Test func bitsAreMet() throws {
    let cache = Self.cache(layers: 6, heads: 1, tokens: 400)
    for bits in [1.0, 2.0] {
      var options = KVCacheEncoder.Options()
      (options.effort, options.target) = (5, .bitsPerElement(bits))
      let coded = try KVCacheEncoder(options: options).encode(cache)
      #expect(abs(coded.bitsPerElement - bits) < 0.15, "\(coded.bitsPerElement)")
    }
  }
}

@Suite struct AdaptiveArithmeticTests {
  static func random(_ rows: Int, _ columns: Int, seed: UInt64) -> KVMatrix {
    var noise = Noise(seed)
    let matrix = KVMatrix(rows: rows, columns: columns)
    for i in 0..<rows { for j in 0..<columns { matrix[i, j] = noise.normal() } }
    return matrix
  }

  /// a' a + I, symmetric.
  static func gram(_ n: Int, seed: UInt64) -> KVMatrix {
    let a = random(n + 5, n, seed: seed), sum = KVMatrix(rows: n, columns: n)
    for i in 0..<n {
      for j in 0..<n { sum[i, j] = (0..<n + 5).reduce(i == j ? 1 : 0) { $0 + a[$1, i] * a[$1, j] } }
    }
    return sum
  }

  /// Of sizes around the panels'.
  @Test(arguments: [1, 5, 16, 31, 32, 33, 70]) func factorsSolveEquations(n: Int) {
    let matrix = Self.gram(n, seed: 1), factor = KVMatrix(rows: n, columns: n)
    factor.copy(from: matrix)
    let right = Self.random(n, 9, seed: 2), solution = KVMatrix(rows: n, columns: 9)
    solution.copy(from: right)
    let inverses = factor.factorise()
    solution.solveForward(factor, inverses)
    solution.solveBackward(factor, inverses)
    for i in 0..<n {
      for j in 0..<9 {
        let product = (0..<n).reduce(Float(0)) { $0 + matrix[i, $1] * solution[$1, j] }
        #expect(abs(product - right[i, j]) < 1e-3 * Float(n + 10))
      }
    }
  }

  @Test(arguments: [1, 15, 32, 40, 65]) func rowsBecomeOrthonormal(n: Int) {
    let matrix = Self.random(n, n + 10, seed: 3)
    matrix.orthonormalise(gram: KVMatrix(rows: n, columns: n), transposed: KVMatrix(rows: n + 10, columns: n))
    for i in 0..<n {
      for j in 0...i {
        let product = (0..<n + 10).reduce(Float(0)) { $0 + matrix[i, $1] * matrix[j, $1] }
        #expect(abs(product - (i == j ? 1 : 0)) < 0.02)
      }
    }
  }

  @Test func productsAreSumsOfProducts() {
    let a = Self.random(7, 20, seed: 4), b = Self.random(20, 33, seed: 5), sum = Self.random(7, 33, seed: 6)
    let before = KVMatrix(rows: 7, columns: 33)
    before.copy(from: sum)
    sum.add(a, times: b)
    for i in 0..<7 {
      for j in 0..<33 {
        let expected = (0..<20).reduce(before[i, j]) { $0.addingProduct(a[i, $1], b[$1, j]) }
        #expect(sum[i, j] == expected)
      }
    }
    let turned = KVMatrix(rows: 33, columns: 7)
    sum.transpose(into: turned)
    #expect((0..<7).allSatisfy { i in (0..<33).allSatisfy { turned[$0, i] == sum[i, $0] } })
  }

  @Test func anglesAreRopes() {
    let turns = KVTurns(base: 500_000, pairs: 32, halves: false)
    for position in [0, 1, 2, 77, 4095, 131_071] {
      let (cosines, sines) = turns.angles(at: position)
      for i in 0..<32 {
        let angle = Double(position) * pow(500_000, -Double(i) / 32)
        #expect(abs(Double(cosines[i]) - cos(angle)) < 2e-7 && abs(Double(sines[i]) - sin(angle)) < 2e-7)
      }
    }
  }

  @Test func statesAreLogarithms() {
    for exponent in stride(from: -19.0, through: 12, by: 0.37) {
      let deviation = pow(2, exponent / 2)
      let index = Double(KVScales.state(variance: Float(pow(2, exponent)))) / 4096
      let expected = min(max(log(deviation / 0.11) / log(64 / 0.11) * 63, 0), 63)
      #expect(abs(index - expected) < 0.05, "\(deviation): \(index), not \(expected)")
    }
    #expect(KVScales.state(variance: .nan) == 0 && KVScales.state(variance: -1) == 0 && KVScales.state(variance: .infinity) == KVScales.top)
  }

  /// A Laplace variable of table i's deviation has that mean magnitude once rounded.
  @Test func expectedMagnitudes() {
    for i in 0..<64 {
      let deviation = 0.11 * pow(64 / 0.11, Double(i) / 63), b = deviation / 2.0.squareRoot()
      let mean = exp(-0.5 / b) / (1 - exp(-1 / b))
      #expect(abs(Double(KVScales.expected[i]) / 256 - mean) < 0.01 + mean * 0.002)
    }
    #expect(KVScales.offset(energy: 4096) == 0 && KVScales.offset(energy: 8192) == 5 && KVScales.offset(energy: 2048) == -5)
  }

  @Test func scalesSurvive() throws {
    var noise = Noise(9)
    let scales = KVBlockScales(
      exact: 1, stepIndex: 77, indices: (0..<100).map { _ in Int(noise.next() % 3841) - 1920 })
    #expect(try KVBlockScales(parsing: scales.serialised(), width: 100) == scales)
    #expect(abs(KVBlockScales.power(8) - 2.0.squareRoot().f) < 1e-6 && KVBlockScales.power(-32) == 0.25)
  }
}

extension Double {
  fileprivate var f: Float { Float(self) }
}
