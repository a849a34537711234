import Coding
import Foundation
import KVCodec
import Media
import Testing

@Suite struct KVReductionTests {
  static func reduction(_ budget: KVReduction.Budget, merging: KVReduction.Merging = .none, _ change: (inout KVReduction.Options) -> Void = { _ in })
    -> KVReduction
  {
    var options = KVReduction.Options()
    (options.firstTokens, options.window, options.merging) = (2, 4, merging)
    change(&options)
    return KVReduction(keeping: budget, options: options)
  }

  /// `[layer, head, kept]`.
  static func positions(_ cache: KVCache) throws -> [[[Int]]] {
    let tensor = try #require(cache.others.first { $0.name == "positions" })
    let numbers = try #require(tensor.integers)
    let (heads, kept) = (tensor.shape[1], tensor.shape[2])
    #expect(tensor.dtype == "I32" && tensor.shape == [cache.layers.count, cache.layers[0].keys.heads, cache.tokens])
    return (0..<tensor.shape[0]).map { l in
      (0..<heads).map { h in (0..<kept).map { Int(numbers[(l * heads + h) * kept + $0]) } }
    }
  }

  static func row(_ tensor: KVTensor, _ head: Int, _ token: Int) -> [Float] {
    let all = values(tensor.tokens(in: token..<token + 1))
    return Array(all[head * tensor.channels..<(head + 1) * tensor.channels])
  }

  static func attention(_ name: String, _ shape: [Int], _ value: (Int) -> Float) -> KVNamedTensor {
    let floats = (0..<shape.reduce(1, *)).map(value)
    return KVNamedTensor(
      name: name, dtype: "F32", shape: shape, bytes: floats.flatMap { x in withUnsafeBytes(of: x.bitPattern.littleEndian) { Array($0) } })
  }

  static func cache(_ seed: UInt64, tokens: Int = 60, rope: RopeLayout = .interleaved) -> KVCache {
    var noise = Noise(seed)
    return KVCache(layers: (0..<3).map { _ in layer(&noise, tokens: tokens) }, rope: rope)
  }

  /// Evicting changes no bit of what is kept.
  @Test(arguments: [KVReduction.Budget.tokens(20), .fraction(0.5), .tokens(6), .fraction(1), .tokens(1000)])
  func whatIsKeptStays(budget: KVReduction.Budget) throws {
    let cache = Self.cache(1)
    let reduced = try Self.reduction(budget).reduce(cache)
    let kept = budget == .tokens(20) ? 20 : budget == .fraction(0.5) ? 30 : budget == .tokens(6) ? 6 : 60
    #expect(reduced.tokens == kept && reduced.layers.allSatisfy { $0.firstPosition == 0 })
    for (l, heads) in try Self.positions(reduced).enumerated() {
      for (h, positions) in heads.enumerated() {
        #expect(positions == positions.sorted() && Set(positions).count == kept)
        #expect(Set(positions).isSuperset(of: [0, 1, 56, 57, 58, 59]))
        for (j, position) in positions.enumerated() {
          #expect(Self.row(reduced.layers[l].keys, h, j) == Self.row(cache.layers[l].keys, h, position))
          #expect(Self.row(reduced.layers[l].values!, h, j) == Self.row(cache.layers[l].values!, h, position))
        }
      }
    }
    // Heads choose for themselves.
    if kept == 20 { #expect(Set(try Self.positions(reduced).flatMap { $0 }).count > 1) }
  }

  @Test func attentionDecides() throws {
    var cache = Self.cache(2)
    cache.others = [
      Self.attention("attention", [3, 2, 60]) { i in i % 60 == 10 + i / 60 ? 5 : 0.1 },
      Self.attention("attention_local", [3, 2, 60]) { i in i % 60 == 30 + i / 60 ? 0.5 : 0.01 },
    ]
    let reduced = try Self.reduction(.tokens(8)) { $0.keyWeight = 0 }.reduce(cache)
    for (l, heads) in try Self.positions(reduced).enumerated() {
      for (h, positions) in heads.enumerated() {
        #expect(positions == [0, 1, 10 + l * 2 + h, 30 + l * 2 + h, 56, 57, 58, 59])
      }
    }
    #expect(reduced.others.map(\.name) == ["positions"])
    cache.others = [Self.attention("attention", [3, 2, 59]) { _ in 0 }]
    #expect(throws: CodecError(.malformed, "")) { _ = try Self.reduction(.tokens(8)).reduce(cache) }
  }

  /// The rank by attention and that by the keys count alike: of two equally attended tokens the odd one is kept.
  @Test func keysDecideBesideAttention() throws {
    let odd: Set = [7, 23]
    let keys = tensor(heads: 1, tokens: 60, channels: 8, element: .float32) { _, t, c in odd.contains(t) ? Float(-2 - c) : Float(3 + c) }
    var cache = KVCache(layers: [KVLayer(keys: keys, values: nil)], rope: .none)
    cache.others = [Self.attention("attention_local", [1, 1, 60]) { [7, 9, 11, 23].contains($0) ? 1 : 0.5 }]
    #expect(try Self.positions(Self.reduction(.tokens(8)).reduce(cache))[0][0] == [0, 1, 7, 23, 56, 57, 58, 59])
    #expect(try Self.positions(Self.reduction(.tokens(8)) { $0.keyWeight = 0 }.reduce(cache))[0][0] == [0, 1, 7, 9, 56, 57, 58, 59])
  }

  /// Without attention those keys matter that are unlike the mean one, wherever RoPE has turned them.
  @Test(arguments: RopeLayout.allCases) func unlikeKeysMatter(rope: RopeLayout) throws {
    let odd: Set = [7, 23, 40]
    let plain = tensor(heads: 1, tokens: 60, channels: 8, element: .float32) { _, t, c in odd.contains(t) ? Float(-2 - c) : Float(3 + c) }
    let keys = Self.turned(plain, rope, base: 500)
    let cache = KVCache(layers: [KVLayer(keys: keys, values: nil)], rope: rope, ropeBase: 500)
    #expect(try Self.positions(Self.reduction(.tokens(9)).reduce(cache))[0][0] == [0, 1, 7, 23, 40, 56, 57, 58, 59])
  }

  @Test func shortKeysMatterWhereAsked() throws {
    var noise = Noise(3)
    let short: Set = [9, 33]
    let keys = tensor(heads: 1, tokens: 60, channels: 8, element: .float32) { _, t, _ in noise.normal() * (short.contains(t) ? 0.01 : 1) }
    let cache = KVCache(layers: [KVLayer(keys: keys, values: nil)], rope: .none)
    let reduced = try Self.reduction(.tokens(8)) { $0.normWeight = 100 }.reduce(cache)
    #expect(try Self.positions(reduced)[0][0] == [0, 1, 9, 33, 56, 57, 58, 59])
  }

  private static func turned(_ tensor: KVTensor, _ rope: RopeLayout, base: Double) -> KVTensor {
    let (rows, half) = (values(tensor), tensor.channels / 2)
    return KVCodecTests.tensor(heads: tensor.heads, tokens: tensor.tokens, channels: tensor.channels, element: tensor.element) { h, t, c in
      let start = (h * tensor.tokens + t) * tensor.channels
      guard rope != .none else { return rows[start + c] }
      let (i, isFirst) = rope == .interleaved ? (c / 2, c % 2 == 0) : (c % half, c < half)
      let (a, b) = rope == .interleaved ? (start + 2 * i, start + 2 * i + 1) : (start + i, start + i + half)
      let angle = Double(t) * pow(base, -2 * Double(i) / Double(tensor.channels))
      let (x, y) = (Double(rows[a]), Double(rows[b]))
      return Float(isFirst ? x * cos(angle) - y * sin(angle) : x * sin(angle) + y * cos(angle))
    }
  }

  /// Tokens of one content at several positions are one class: keys come out as their centre's, at its position, and values
  /// as the mean by scores. What is like no centre goes into the class of zeros and leaves no trace.
  @Test(arguments: RopeLayout.allCases) func likeTokensMerge(rope: RopeLayout) throws {
    // 20: the centre; 30 and 31: like it; 10: unlike all.
    func value(_ t: Int, _ c: Int) -> Float { t == 10 ? (c == 5 ? 9 : 0) : [20, 30, 31].contains(t) ? (c == 1 ? Float(t) : 0) : (c == 3 ? 1 : 0) }
    let plain = tensor(heads: 1, tokens: 60, channels: 8, element: .float32) { _, t, c in
      t == 10 ? (c == 6 ? 4 : 0) : [20, 30, 31].contains(t) ? Float(c + 1) : (c == 0 ? -1 : c == 7 ? Float(t % 2) - 0.5 : 0)
    }
    let layer = KVLayer(
      keys: Self.turned(plain, rope, base: 500), values: tensor(heads: 1, tokens: 60, channels: 6, element: .float32) { _, t, c in value(t, c) })
    var cache = KVCache(layers: [layer], rope: rope, ropeBase: 500)
    // The least score is 0, so weights are 4 : 2 : 1.
    let scores: [Int: Float] = [20: 4, 30: 2, 31: 1]
    cache.others = [Self.attention("attention", [1, 1, 60]) { scores[$0] ?? 0 }]
    func reduction(_ merging: KVReduction.Merging) -> KVReduction { Self.reduction(.tokens(7), merging: merging) { $0.keyWeight = 0 } }
    let reduced = try reduction(.keysAndValues).reduce(cache)
    #expect(try Self.positions(reduced)[0][0] == [0, 1, 20, 56, 57, 58, 59])
    let expected = Float(4 * 20 + 2 * 30 + 31) / 7
    for (x, y) in zip(Self.row(reduced.layers[0].values!, 0, 2), [0, expected, 0, 0, 0, 0]) { #expect((x - y).magnitude < 1e-3) }
    for (x, y) in zip(Self.row(reduced.layers[0].keys, 0, 2), Self.row(layer.keys, 0, 20)) { #expect((x - y).magnitude < 1e-3, "\(rope)") }
    // Values alone: the centre's key is untouched.
    let half = try reduction(.values).reduce(cache)
    #expect(half.layers[0].values!.hasSameBits(as: reduced.layers[0].values!))
    #expect(half.layers[0].keys.hasSameBits(as: try reduction(.none).reduce(cache).layers[0].keys))
    // Those that are protected stay exact.
    for (j, t) in [0, 1, 20, 56, 57, 58, 59].enumerated() where t != 20 {
      #expect(Self.row(reduced.layers[0].keys, 0, j) == Self.row(layer.keys, 0, t))
      #expect(Self.row(reduced.layers[0].values!, 0, j) == Self.row(layer.values!, 0, t))
    }
    // With a threshold that nothing reaches, merging is evicting; so it is where all are evicted unseen.
    let strict = try Self.reduction(.tokens(7), merging: .keysAndValues) { $0.evictedShare = 1; $0.keyWeight = 0 }.reduce(cache)
    #expect(hasSameBits(strict, try reduction(.none).reduce(cache)))
  }

  @Test func threadsChangeNothing() throws {
    let cache = Self.cache(5)
    for merging in [KVReduction.Merging.none, .values, .keysAndValues] {
      let one = try Self.reduction(.fraction(0.4), merging: merging) { $0.threads = 1; $0.threshold = 0.1 }.reduce(cache)
      let many = try Self.reduction(.fraction(0.4), merging: merging) { $0.threads = 5; $0.threshold = 0.1 }.reduce(cache)
      #expect(hasSameBits(one, many) && one.others[0].bytes == many.others[0].bytes)
    }
  }

  @Test func reducedCachesAreCachesLikeOthers() throws {
    var cache = Self.cache(7)
    cache.others = [KVNamedTensor(name: "tokens", shape: [60], integers: (0..<60).map { Int64($0) })]
    let reduced = try Self.reduction(.fraction(0.5), merging: .keysAndValues).reduce(cache)
    let back = try KVCacheCodecTests.decoder().decode(KVCacheCodecTests.encoder(.lossless).encode(reduced).bytes)
    #expect(hasSameBits(reduced, back))
    #expect(back.others.map(\.name) == ["tokens", "positions"] && back.others[1].bytes == reduced.others[1].bytes)
  }

  /// NaNs and infinities stop nothing, and are not lost quietly.
  @Test func oddNumbersSurvive() throws {
    for (element, odd) in [(KVElement.float16, Float.nan), (.bfloat16, .infinity), (.float32, -.infinity)] {
      var noise = Noise(11)
      let keys = tensor(heads: 1, tokens: 60, channels: 8, element: element) { _, t, c in t == 20 && c == 3 ? odd : noise.normal() }
      let cache = KVCache(layers: [KVLayer(keys: keys, values: keys)])
      let reduced = try Self.reduction(.tokens(8), merging: .keysAndValues) { $0.threshold = 0 }.reduce(cache)
      #expect(try Self.positions(reduced)[0][0].contains(20))
    }
  }

  @Test func whatMakesNoSenseIsRefused() throws {
    let cache = Self.cache(13)
    func refused(_ reduction: KVReduction, _ cache: KVCache) {
      #expect(throws: CodecError.self) { _ = try reduction.reduce(cache) }
    }
    for budget in [KVReduction.Budget.tokens(0), .tokens(5), .tokens(-3), .fraction(0), .fraction(1.1), .fraction(.nan), .fraction(0.05)] {
      refused(Self.reduction(budget), cache)
    }
    refused(Self.reduction(.tokens(30)) { $0.window = 0 }, cache)
    refused(Self.reduction(.tokens(30)) { $0.firstTokens = -1 }, cache)
    refused(Self.reduction(.tokens(30)) { $0.firstTokens = .max }, cache)
    refused(Self.reduction(.tokens(30)) { $0.threshold = .nan }, cache)
    refused(Self.reduction(.tokens(30)) { $0.evictedShare = 2 }, cache)
    refused(Self.reduction(.tokens(30)) { $0.threads = 0 }, cache)
    refused(Self.reduction(.tokens(30)), try Self.reduction(.tokens(40)).reduce(cache))
    var noise = Noise(17)
    refused(Self.reduction(.tokens(30)), KVCache(layers: [layer(&noise, tokens: 60), layer(&noise, tokens: 50, firstPosition: 10)]))
    refused(Self.reduction(.tokens(30)), KVCache(layers: [layer(&noise, tokens: 60), layer(&noise, heads: 1, tokens: 60)]))
  }
}
