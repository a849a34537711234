import Bitstream
import CKernels
public import Coding
import Glibc
public import Media
import Tensors

/// Learns a profile from caches of one model.
///
/// Layer by layer, with what a decoder would have: the block's vector, centred and weighted so that noise of unit power costs alike in
/// all directions, is regressed on the chain's state; a KLT turns what is left; its components are quantised; and the state behind
/// the layer is that combination of the state before and the symbols that tells most of the next two layers (reduced-rank
/// regression). Only second moments of tokens are needed. `Training/kv/profile.py` is the reference, with what was tried.
public enum KVCalibration {
  public struct Options: Sendable {
    /// Numbers of the state that passes from layer to layer, 16...1024, a multiple of 16. More: better prediction, larger profile, slower.
    public var stateSize = 192
    /// Tokens to learn from, at most; spread over all caches.
    public var tokens = 36_000
    public var threads: Int?
    public var progress: (@Sendable (CodingProgress) -> Void)?

    public init() {}
  }

  /// The step that layers are quantised with while later ones are learned.
  private static let designStep: Float = 0.045
  private static let ridge = 1e-3
  /// How much the next layer counts for the state, and the one after it.
  private static let horizon = [1.0, 0.5]

  /// The bytes of a `.ncprofile` file. `sensitivity`: what noise costs the model; nil where nobody knows.
  ///
  /// Throws `CodecError` (unsupported) for caches that differ in shape, have layers of different first positions or too few tokens;
  /// `CancellationError`.
  public static func profile(of caches: [KVCache], sensitivity: KVSensitivity? = nil, options: Options = Options()) throws -> [UInt8] {
    guard KVProfile.stateSizes.contains(options.stateSize), options.stateSize % 16 == 0 else {
      throw CodecError(.invalidOption, "a state of \(options.stateSize) numbers is not 16 to 1024, a multiple of 16")
    }
    guard let first = caches.first else { throw CodecError(.invalidOption, "there is no cache to learn from") }
    let configuration = try KVConfiguration(first, scheme: .profile, chunkTokens: 256)
    for (number, cache) in caches.enumerated() {
      let other = try KVConfiguration(cache, scheme: .profile, chunkTokens: 256)
      guard zip(other.shapes, configuration.shapes).allSatisfy({ $0.hasBlocks(of: $1) }), other.shapes.count == configuration.shapes.count,
        cache.rope == first.rope, cache.rope == .none || cache.ropeBase == first.ropeBase
      else { throw CodecError(.unsupported, "cache \(number + 1) is of another shape or another RoPE than the first") }
      guard Set(cache.layers.map(\.firstPosition)).count == 1 else {
        throw CodecError(.unsupported, "layers of cache \(number + 1) begin at different tokens, which a profile cannot have")
      }
    }
    try sensitivity?.check(configuration.shapes)
    let samples = Samples(caches, limit: options.tokens)
    guard samples.count >= 4 * options.stateSize else {
      throw CodecError(.unsupported, "\(samples.count) tokens are too few to learn from: give caches of \(4 * options.stateSize) at least")
    }
    let shapes = configuration.shapes
    let plans = KVChainPlan.chains(of: shapes)
    let blocks = plans.reduce(0) { $0 + $1.layers.count }
    var done = 0
    var bytes = header(first, configuration, options.stateSize)
    for plan in plans {
      let learner = Learner(
        samples, caches, configuration, plan, sensitivity, state: options.stateSize, threads: Threads.resolve(options.threads))
      for link in plan.layers.indices {
        try Task.checkCancellation()
        learner.learn(link).append(to: &bytes)
        done += 1
        options.progress?(CodingProgress(fraction: Double(done) / Double(blocks), stage: "layers"))
      }
    }
    let crc = Checksum.crc32(bytes[...])
    for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: crc >> shift)) }
    return bytes
  }

  // bitstream-spec 10.11.1
  private static func header(_ cache: KVCache, _ configuration: KVConfiguration, _ state: Int) -> [UInt8] {
    var bytes = KVProfile.magic
    let model = Array(cache.model.utf8.prefix(1024))
    Varint.append(UInt64(model.count), to: &bytes)
    bytes += model
    bytes.append(configuration.rope.rawValue)
    let turns = KVTurns(of: cache)?.turns ?? []
    Varint.append(UInt64(turns.count), to: &bytes)
    for turn in turns { for i in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: turn >> UInt64(8 * i))) } }
    Varint.append(UInt64(configuration.groups.count), to: &bytes)
    for group in configuration.groups {
      let values = group.valueHeads > 0 ? group.valueChannels : 0
      for value in [group.count, group.keyHeads, group.keyChannels, values] { Varint.append(UInt64(value), to: &bytes) }
    }
    Varint.append(UInt64(state), to: &bytes)
    return bytes
  }

  /// Which tokens are learned from: all but those at position 0, which are kept exactly, or every n-th.
  fileprivate struct Samples {
    let tokens: [(cache: Int, token: Int)]
    var count: Int { tokens.count }

    init(_ caches: [KVCache], limit: Int) {
      let all = caches.enumerated().flatMap { number, cache in
        (0..<cache.layers[0].tokens).filter { cache.layers[0].firstPosition + $0 > 0 }.map { (number, $0) }
      }
      let step = max(1, (all.count + limit - 1) / max(limit, 1))
      tokens = stride(from: 0, to: all.count, by: step).map { all[$0] }
    }
  }

  /// Learns the links of one chain, in order.
  fileprivate final class Learner {
    private let samples: Samples
    private let caches: [KVCache]
    private let configuration: KVConfiguration
    private let plan: KVChainPlan
    private let sensitivity: KVSensitivity?
    private let size: Int
    private let threads: Int
    /// Centred and weighted vectors of this layer and the next ones, by link: [token, channel].
    private var ahead: [Int: (vectors: KVMatrix, means: [Double], back: KVDoubles)] = [:]
    /// [token, number]; nil before the first layer.
    private var state: KVMatrix?

    init(
      _ samples: Samples, _ caches: [KVCache], _ configuration: KVConfiguration, _ plan: KVChainPlan, _ sensitivity: KVSensitivity?,
      state: Int, threads: Int
    ) {
      (self.samples, self.caches, self.configuration) = (samples, caches, configuration)
      (self.plan, self.sensitivity, self.size, self.threads) = (plan, sensitivity, state, threads)
    }

    func learn(_ link: Int) -> KVProfileLink {
      let width = plan.width
      for next in link..<min(link + horizon.count + 1, plan.layers.count) where ahead[next] == nil { ahead[next] = weighted(next) }
      let (vectors, means, back) = ahead.removeValue(forKey: link)!
      var predictor: KVDoubles?
      if let state {
        var normal = moments(state, state)
        for i in 0..<size { normal[i, i] += ridge }
        let solution = normal.inverse() * moments(state, vectors)
        subtract(product(state, Self.floats(solution)), from: vectors)
        predictor = solution * back
      }
      let (variances, components) = moments(vectors, vectors).eigen()
      let turned = product(vectors, Self.floats(components.transposed))
      quantise(turned)
      let isLast = link == plan.layers.count - 1
      var (updates, transitions): (KVDoubles?, KVDoubles?) = (nil, nil)
      if !isLast {
        let known = state.map { joined($0, turned) } ?? turned
        let combination = combination(of: known, states: known.columns - width, link)
        updates = combination.rows(known.columns - width..<known.columns)
        if state != nil { transitions = combination.rows(0..<size) }
        let next = product(known, Self.floats(combination))
        for t in 0..<next.rows {
          let row = next.row(t)
          for j in 0..<size { row[j] = (row[j] * 64).rounded(.toNearestOrEven) * 0x1p-6 }
        }
        state = next
      }
      return KVProfileLink(
        means: means, deviations: variances.map { max($0, 1e-12).squareRoot() }, basis: components * back, updates: updates,
        predictor: predictor, transitions: transitions)
    }

    /// What of the state and the symbols tells most of the next layers: [state and component, number of the state].
    private func combination(of known: KVMatrix, states: Int, _ link: Int) -> KVDoubles {
      var own = moments(known, known)
      for i in 0..<own.rows { own[i, i] += i < states ? ridge : Double(designStep * designStep) / 12 }
      // The inverse root, symmetric.
      let (values, vectors) = own.eigen()
      var scaled = vectors
      scaled.withRows { i, row in
        let scale = 1 / max(values[i], 1e-12).squareRoot()
        for j in row.indices { row[j] *= scale }
      }
      let root = vectors.transposed * scaled
      var told = KVDoubles(rows: own.rows, columns: own.rows)
      for (j, weight) in horizon.enumerated() where ahead[link + 1 + j] != nil {
        let cross = root * moments(known, ahead[link + 1 + j]!.vectors)
        let square = cross * cross.transposed
        told.withRows { i, row in for k in row.indices { row[k] += weight * square[i, k] } }
      }
      let leading = told.eigen().vectors.rows(0..<min(size, told.rows))
      let combination = root * leading.transposed
      guard combination.columns < size else { return combination }
      // Fewer components than the state has numbers: the others stay 0.
      var filled = KVDoubles(rows: combination.rows, columns: size)
      for i in 0..<combination.rows { for j in 0..<combination.columns { filled[i, j] = combination[i, j] } }
      return filled
    }

    /// The vectors of a link, their means, and what weighting is undone by.
    private func weighted(_ link: Int) -> (vectors: KVMatrix, means: [Double], back: KVDoubles) {
      let layer = plan.layers[link], shape = configuration.shapes[layer]
      let parts = KVBlockPlan(shape).blocks[plan.block].parts
      let vectors = KVMatrix(rows: samples.count, columns: plan.width)
      let rows = caches.map { cache -> KVBlockRows in
        let turns = cache.keysAreRotated && KVBlockPlan.hasWholeHeads(shape) ? KVTurns(of: cache) : nil
        let fits = turns.map { 2 * $0.turns.count == cache.layers[layer].keys.channels } ?? false
        return KVBlockRows(
          parts: parts, width: plan.width, keys: cache.layers[layer].keys, values: cache.layers[layer].values, turns: fits ? turns : nil)
      }
      parallel { t in
        let (cache, token) = samples.tokens[t]
        let position = caches[cache].layers[layer].firstPosition + token
        let row = vectors.row(t)
        rows[cache].load(token: token, into: row, rows[cache].turns.map { KVAngles($0, at: position) })
        for j in 0..<plan.width where !row[j].isFinite { row[j] = 0 }
      }
      var means = [Double](repeating: 0, count: plan.width)
      for t in 0..<samples.count { for j in means.indices { means[j] += Double(vectors[t, j]) } }
      for j in means.indices { means[j] /= Double(samples.count) }
      parallel { t in
        let row = vectors.row(t)
        for j in 0..<plan.width { row[j] -= Float(means[j]) }
      }
      let weights = sensitivity?.weights(layer: layer, parts, rope: configuration.rope) ?? plainWeights(vectors, parts)
      return (product(vectors, Self.floats(weights)), means, weights.inverse())
    }

    /// Where nothing is known of the model: as `KVScaleRule` has it, in a scale that makes steps mean about the same.
    private func plainWeights(_ vectors: KVMatrix, _ parts: [KVBlockPlan.Part]) -> KVDoubles {
      var weights = KVDoubles(rows: plan.width, columns: plan.width)
      for isKeys in [true, false] {
        let channels = parts.filter { $0.isKeys == isKeys }.flatMap { $0.place..<$0.place + $0.channels.count }
        var sum = 0.0
        for t in 0..<vectors.rows { for j in channels { sum += Double(vectors[t, j] * vectors[t, j]) } }
        let mean = (sum / Double(max(1, channels.count * vectors.rows))).squareRoot()
        for j in channels { weights[j, j] = 0.1 / (max(mean, 1e-9) * (isKeys ? 1 : 1.9)) }
      }
      return weights
    }

    private func quantise(_ turned: KVMatrix) {
      parallel { t in
        let row = turned.row(t)
        for j in 0..<turned.columns {
          let q = (row[j] / designStep).rounded(.toNearestOrEven)
          row[j] = (q - (q > 0 ? 0.03125 : q < 0 ? -0.03125 : 0)) * designStep
        }
      }
    }

    private func subtract(_ other: KVMatrix, from matrix: KVMatrix) {
      parallel { t in
        let (to, from) = (matrix.row(t), other.row(t))
        for j in 0..<matrix.columns { to[j] -= from[j] }
      }
    }

    private func joined(_ a: KVMatrix, _ b: KVMatrix) -> KVMatrix {
      let result = KVMatrix(rows: a.rows, columns: a.columns + b.columns)
      parallel { t in
        result.row(t).update(from: a.row(t), count: a.columns)
        (result.row(t) + a.columns).update(from: b.row(t), count: b.columns)
      }
      return result
    }

    private func product(_ a: KVMatrix, _ b: KVMatrix) -> KVMatrix {
      let result = KVMatrix(rows: a.rows, columns: b.columns)
      let bands = Bands(count: a.rows, size: 512)
      parallelFor(bands.number, threads: threads) { i in
        let range = bands.range(i)
        result.add(rows: range, inner: a.columns, a.row(range.lowerBound), row: a.pitch, inner: 1, times: b)
      }
      return result
    }

    /// The mean over tokens of a's row times b's.
    private func moments(_ a: KVMatrix, _ b: KVMatrix) -> KVDoubles {
      var result = KVDoubles(rows: a.columns, columns: b.columns)
      let bands = Bands(count: a.columns, size: 32)
      let part = 1024
      let sums = KVGrid<Double>(rows: a.columns, columns: b.columns)
      parallelFor(bands.number, threads: threads) { i in
        let range = bands.range(i)
        let floats = KVMatrix(rows: range.count, columns: b.columns)
        for first in stride(from: 0, to: a.rows, by: part) {
          floats.clear()
          floats.add(
            rows: 0..<range.count, inner: min(part, a.rows - first), a.row(first) + range.lowerBound, row: 1, inner: a.pitch, times: b,
            from: first)
          for r in 0..<range.count {
            let (to, from) = (sums.row(range.lowerBound + r), floats.row(r))
            for j in 0..<b.columns { to[j] += Double(from[j]) }
          }
        }
      }
      result.withRows { i, row in for j in row.indices { row[j] = sums[i, j] / Double(a.rows) } }
      return result
    }

    private func parallel(_ body: (Int) -> Void) {
      let bands = Bands(count: samples.count, size: 512)
      parallelFor(bands.number, threads: threads) { i in for t in bands.range(i) { body(t) } }
    }

    private static func floats(_ matrix: KVDoubles) -> KVMatrix {
      let result = KVMatrix(rows: matrix.rows, columns: matrix.columns)
      for i in 0..<matrix.rows { for j in 0..<matrix.columns { result[i, j] = Float(matrix[i, j]) } }
      return result
    }
  }
}

extension KVLayerGroup {
  /// Whether layers of both shapes have the same blocks.
  func hasBlocks(of other: KVLayerGroup) -> Bool {
    keyHeads == other.keyHeads && keyChannels == other.keyChannels && valueHeads == other.valueHeads
      && (valueHeads == 0 || valueChannels == other.valueChannels)
  }
}
