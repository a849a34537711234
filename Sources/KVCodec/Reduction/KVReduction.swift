public import Coding
import Glibc
public import Media
import Tensors

/// Gives a cache fewer tokens, each head its own, before it is coded: those that matter least are evicted or merged into others.
///
///     let smaller = try KVReduction(keeping: .fraction(0.5)).reduce(cache)
///
/// After EMS (evict-then-merge, arXiv 2412.08521): a head's tokens have a score, which is the greater one of a global and a local part;
/// the best are kept and become class centres, the worst are evicted, and each of the others is merged into the centre with
/// the greatest cos(K) cos(V), or, where that is small for all, into a class of zeros, which is to be evicted. So one
/// product of a matrix `[kept, token]` with the keys, and one with the values, does both.
///
/// What is not EMS here: every head keeps as many tokens as the others, where EMS may shift its budget between heads by their
/// sparsity, since a cache has one length; the threshold of the class of zeros is one for all heads; the window is not
/// pooled; decoded tokens are not merged as they come. How EMS brings global and local scores to one scale is not known
/// here; each is divided by its mean over the head. The rank by KeyDiff is added to the rank by attention, which EMS does not: on
/// SmolLM2-135M it makes a third of the divergence of attention alone.
///
/// Without attention, scores are proxies of the keys alone: KeyDiff, by which keys matter that are unlike the mean one, and
/// the norm, by which short keys matter.
///
/// Keys after RoPE must not be averaged as they are, since tokens of equal content are turned apart: for scores, for
/// similarities and for averages they are turned back by the cache's `rope` and `ropeBase`, and a class' mean is turned to the
/// position of its centre. Where a model turns otherwise (scaled frequencies, some channels only), leave the keys alone:
/// `values` merges nothing but values, which know no position. On SmolLM2-135M it is also what harms least (Training/kv).
public struct KVReduction: Sendable {
  public enum Budget: Sendable, Equatable {
    /// Of each head, at least 1. As many as there are, if these are fewer.
    case tokens(Int)
    /// Above 0, at most 1.
    case fraction(Double)
  }

  /// What becomes of tokens that are not kept and like one that is.
  public enum Merging: Sendable {
    /// They are evicted as all others.
    case none
    /// Their values are averaged with the centre's, which keeps its key.
    case values
    /// Their keys too, as in EMS.
    case keysAndValues
  }

  public struct Options: Sendable {
    /// Tokens at the beginning that are kept, as heads attend to them whatever they are.
    public var firstTokens = 4
    /// Tokens at the end that are kept, at least 1.
    public var window = 32
    public var merging = Merging.none
    /// The least cos(K) cos(V) to merge by, 0...1.
    public var threshold: Float = 0.4
    /// How much of the tokens that are not kept, the worst ones, is evicted unseen. 0...1
    public var evictedShare = 0.0
    /// Of the rank by KeyDiff beside that by attention; 0 for attention alone. At least 0, finite.
    public var keyWeight: Float = 1
    /// Of the norm beside KeyDiff, where there is no attention: both in deviations from a head's mean. Finite.
    public var normWeight: Float = 0
    /// Threads to use, at least 1; nil for one per core.
    public var threads: Int?

    public init() {}
  }

  /// Tensors of floats, `[layer, kv_head, token]`, that scores come from: the attention that a token gets from all queries that
  /// see it, and from those of the last window. One alone will do.
  public static let attentionName = "attention"
  public static let localAttentionName = "attention_local"

  public var budget: Budget
  public var options: Options

  public init(keeping budget: Budget, options: Options = Options()) {
    self.budget = budget
    self.options = options
  }

  /// The cache with fewer tokens, its layers' first positions 0, and the tensor `positions` (`KVCache.positionsName`). Tensors that are as long
  /// as the text and of no more use are left out: attention, and keys before RoPE beside those after it.
  ///
  /// Throws `CodecError`: invalidOption, unsupported for caches with layers of unequal heads or lengths and for those that were
  /// reduced, malformed for attention of another shape, limitExceeded.
  public func reduce(_ cache: KVCache) throws(CodecError) -> KVCache {
    let kept = try keptTokens(of: cache)
    guard let first = cache.layers.first else { return cache }
    let attention = try KVAttention(cache)
    let heads = first.keys.heads
    var layers: [KVLayer] = []
    for layer in cache.layers {
      layers.append(
        KVLayer(
          keys: try Self.tensor(like: layer.keys, tokens: kept),
          values: try layer.values.map { values throws(CodecError) in try Self.tensor(like: values, tokens: kept) }))
    }
    var positions = [Int64](repeating: 0, count: layers.count * heads * kept)
    positions.withUnsafeMutableBufferPointer { positions in
      nonisolated(unsafe) let positions = positions
      _ = parallelFor(layers.count * heads, threads: max(1, options.threads ?? Threads.resolve(nil))) { i in
        let (layer, head) = (i / heads, i % heads)
        let source = cache.layers[layer]
        let work = KVHeadReduction(
          source, head: head, kept: kept, rope: cache.keysAreRotated ? cache.rope : .none, ropeBase: cache.ropeBase,
          attention: attention?.scores(layer: layer, head: head), options)
        let chosen = work.reduce(into: layers[layer])
        for (j, token) in chosen.enumerated() { positions[i * kept + j] = Int64(source.firstPosition + token) }
      }
    }
    var reduced = cache
    reduced.layers = layers
    let dropped = [Self.attentionName, Self.localAttentionName] + (cache.keysAreRotated ? ["k_pre"] : [])
    reduced.others = cache.others.filter { !dropped.contains($0.name) }
    reduced.others.append(
      KVNamedTensor(name: KVCache.positionsName, shape: [layers.count, heads, kept], integers: positions))
    // llama.cpp's cells have a position for all heads.
    if case .llamaState = cache.source { reduced.source = .safeTensors(.standard) }
    return reduced
  }

  /// Throws `CodecError`.
  private func keptTokens(of cache: KVCache) throws(CodecError) -> Int {
    let (first, window) = (options.firstTokens, options.window)
    guard first >= 0, window >= 1, options.threshold >= 0, options.threshold <= 1, (0...1).contains(options.evictedShare),
      options.normWeight.isFinite, options.keyWeight.isFinite, options.keyWeight >= 0, options.threads ?? 1 >= 1
    else { throw CodecError(.invalidOption, "an option of the reduction is out of its range") }
    guard !cache.others.contains(where: { $0.name == KVCache.positionsName }) else {
      throw CodecError(.unsupported, "the cache was reduced already: it has a tensor \"\(KVCache.positionsName)\".")
    }
    guard let example = cache.layers.first else { return 0 }
    for (number, layer) in cache.layers.enumerated() {
      guard layer.keys.heads == example.keys.heads, layer.tokens == example.tokens, layer.firstPosition == example.firstPosition,
        layer.values?.heads ?? layer.keys.heads == layer.keys.heads, layer.values?.tokens ?? layer.tokens == layer.tokens
      else {
        throw CodecError(
          .unsupported, "layer \(number) has \(layer.keys.heads) heads of \(layer.tokens) tokens, the first one \(example.keys.heads) of \(example.tokens): only caches of equal layers can be reduced.")
      }
    }
    let count = example.tokens
    let wanted: Int
    switch budget {
    case .tokens(let tokens):
      guard tokens >= 1 else { throw CodecError(.invalidOption, "\(tokens) tokens to keep are none") }
      wanted = tokens
    case .fraction(let fraction):
      guard fraction > 0, fraction <= 1 else { throw CodecError(.invalidOption, "a fraction of \(fraction) to keep is not above 0 and at most 1") }
      wanted = max(1, Int((fraction * Double(count)).rounded()))
    }
    // Saturated: the options may be anything.
    let (least, overflows) = first.addingReportingOverflow(window)
    guard wanted >= count || (!overflows && wanted >= least) else {
      throw CodecError(
        .invalidOption, "\(wanted) tokens to keep are fewer than the first \(first) and the last \(window), which always are. Keep more.")
    }
    return min(wanted, count)
  }

  private static func tensor(like tensor: KVTensor, tokens: Int) throws(CodecError) -> KVTensor {
    guard let made = KVTensor(zeroedHeads: tensor.heads, tokens: tokens, channels: tensor.channels, element: tensor.element)
    else { throw CodecError(.limitExceeded, "there is no memory for the reduced cache. Free some.") }
    return made
  }
}

/// The scores of attention that a cache carries.
struct KVAttention {
  private let tensors: [[Float]]
  private let heads: Int
  private let tokens: Int

  /// Nil where the cache carries none. Throws `CodecError` (malformed) for tensors that do not fit it.
  init?(_ cache: KVCache) throws(CodecError) {
    let found = cache.others.filter { [KVReduction.attentionName, KVReduction.localAttentionName].contains($0.name) }
    guard !found.isEmpty else { return nil }
    (heads, tokens) = (cache.layers[0].keys.heads, cache.layers[0].tokens)
    let shape = [cache.layers.count, heads, tokens]
    var tensors: [[Float]] = []
    for tensor in found {
      guard tensor.shape == shape, let element = Self.element(tensor.dtype),
        tensor.byteCount == shape.reduce(element.bytes, *)
      else {
        throw CodecError(
          .malformed, "the tensor \"\(tensor.name)\" of \(tensor.dtype) \(tensor.shape) is not \(shape), layers, KV heads and tokens, of F32, F16 or BF16.")
      }
      tensors.append(tensor.withUnsafeBytes { element.floats($0) })
    }
    self.tensors = tensors
  }

  private static func element(_ dtype: String) -> KVElement? {
    switch dtype {
    case "F16": .float16
    case "BF16": .bfloat16
    case "F32": .float32
    default: nil
    }
  }

  /// The greater one of global and local attention, each by its mean over the head.
  func scores(layer: Int, head: Int) -> [Float] {
    let start = (layer * heads + head) * tokens
    var best = [Float](repeating: -.infinity, count: tokens)
    for tensor in tensors {
      let row = tensor[start..<start + tokens]
      let mean = row.reduce(0) { $0 + ($1.isFinite ? $1 : 0) } / Float(max(tokens, 1))
      let scale = mean > 0 ? 1 / mean : 1
      for (i, x) in row.enumerated() { best[i] = max(best[i], x * scale) }
    }
    return best
  }
}

extension KVElement {
  /// Little-endian elements as floats.
  func floats(_ bytes: UnsafeRawBufferPointer) -> [Float] {
    let count = bytes.count / self.bytes
    switch self {
    case .float16:
      return (0..<count).map { Float(Float16(bitPattern: UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self)))) }
    case .bfloat16:
      return (0..<count).map { Float(bitPattern: UInt32(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self))) << 16) }
    case .float32:
      return (0..<count).map { Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))) }
    }
  }

  /// The inverse of `floats`, rounding to nearest even.
  func store(_ values: UnsafeBufferPointer<Float>, to bytes: UnsafeMutableRawBufferPointer) {
    for (i, x) in values.enumerated() {
      switch self {
      case .float16: bytes.storeBytes(of: Float16(x).bitPattern.littleEndian, toByteOffset: 2 * i, as: UInt16.self)
      case .bfloat16:
        let bits = x.bitPattern
        let rounded = x.isNaN ? bits | 0x40_0000 : bits &+ 0x7FFF &+ (bits >> 16 & 1)
        bytes.storeBytes(of: UInt16(truncatingIfNeeded: rounded >> 16).littleEndian, toByteOffset: 2 * i, as: UInt16.self)
      case .float32: bytes.storeBytes(of: x.bitPattern.littleEndian, toByteOffset: 4 * i, as: UInt32.self)
      }
    }
  }
}
