import Glibc
import Media

/// One head of one layer on its way to fewer tokens (`KVReduction`).
struct KVHeadReduction {
  private let layer: KVLayer
  private let head: Int
  private let kept: Int
  private let count: Int
  private let options: KVReduction.Options
  private let rope: KVRotation?
  /// Rows of floats: keys before RoPE, as far as that is known, and values.
  private let keys: [Float]
  private let values: [Float]
  private let (channels, valueChannels): (Int, Int)
  /// Finite; greater for tokens that matter more.
  private let scores: [Float]

  init(
    _ layer: KVLayer, head: Int, kept: Int, rope: RopeLayout, ropeBase: Double, attention: [Float]?,
    _ options: KVReduction.Options
  ) {
    (self.layer, self.head, self.kept, self.options) = (layer, head, kept, options)
    (count, channels, valueChannels) = (layer.tokens, layer.keys.channels, layer.values?.channels ?? 0)
    self.rope = KVRotation(rope, base: ropeBase, channels: channels)
    var keys = Self.rows(layer.keys, head)
    if let rotation = self.rope {
      for token in 0..<layer.tokens {
        rotation.turn(&keys, row: token, by: -(layer.firstPosition + token))
      }
    }
    self.keys = keys
    values = layer.values.map { Self.rows($0, head) } ?? []
    var scores = attention.map(Self.finite) ?? []
    if attention == nil || options.keyWeight > 0 {
      let proxies = Self.finite(Self.proxies(keys, channels: channels, normWeight: options.normWeight))
      scores = attention == nil ? proxies : zip(Self.ranks(scores), Self.ranks(proxies)).map { $0 + options.keyWeight * $1 }
    }
    self.scores = scores
  }

  /// What is no number is kept as long as possible: it is somebody's fault, and not to be hidden.
  private static func finite(_ scores: [Float]) -> [Float] {
    scores.map { $0.isFinite ? $0 : $0 == -.infinity ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude }
  }

  /// For each score the share of those below it, 0...1.
  private static func ranks(_ scores: [Float]) -> [Float] {
    var ranks = [Float](repeating: 0, count: scores.count)
    var below = 0
    let order = scores.indices.sorted { scores[$0] < scores[$1] }
    for (i, token) in order.enumerated() {
      if i > 0, scores[token] > scores[order[i - 1]] { below = i }
      ranks[token] = Float(below) / Float(scores.count)
    }
    return ranks
  }

  private static func rows(_ tensor: KVTensor, _ head: Int) -> [Float] {
    var all: [Float] = []
    all.reserveCapacity(tensor.tokens * tensor.channels)
    for token in 0..<tensor.tokens { all += tensor.withRow(head: head, token: token) { tensor.element.floats($0) } }
    return all
  }

  /// KeyDiff (arXiv 2504.15364): minus the cosine of a key and the mean direction of all; and the norm, short ones first.
  private static func proxies(_ keys: [Float], channels: Int, normWeight: Float) -> [Float] {
    let count = keys.count / channels
    let norms = (0..<count).map { t in norm(keys[t * channels..<(t + 1) * channels]) }
    var mean = [Float](repeating: 0, count: channels)
    for t in 0..<count where norms[t].isFinite && norms[t] > 0 {
      for c in 0..<channels { mean[c] += keys[t * channels + c] / norms[t] }
    }
    let length = max(norm(mean[...]), .leastNormalMagnitude)
    let cosines = (0..<count).map { t in
      var sum: Float = 0
      for c in 0..<channels { sum += keys[t * channels + c] * mean[c] }
      return -sum / (max(norms[t], .leastNormalMagnitude) * length)
    }
    guard normWeight != 0 else { return cosines }
    return zip(deviations(cosines), deviations(norms)).map { $0 - normWeight * $1 }
  }

  private static func norm(_ row: ArraySlice<Float>) -> Float { row.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  /// Less their mean, by their deviation.
  private static func deviations(_ x: [Float]) -> [Float] {
    let mean = x.reduce(0, +) / Float(max(x.count, 1))
    let deviation = (x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(max(x.count, 1))).squareRoot()
    return x.map { ($0 - mean) / max(deviation, .leastNormalMagnitude) }
  }

  /// Fills the head's rows of a layer of `kept` tokens; returns which ones these are, ascending.
  func reduce(into target: KVLayer) -> [Int] {
    let firstOfWindow = max(count - options.window, 0)
    func isProtected(_ token: Int) -> Bool { token < options.firstTokens || token >= firstOfWindow }
    let order = (0..<count).sorted { a, b in
      guard isProtected(a) == isProtected(b) else { return isProtected(a) }
      return scores[a] != scores[b] ? scores[a] > scores[b] : a < b
    }
    let centres = order[..<kept].sorted()
    for (row, token) in centres.enumerated() {
      Self.copy(layer.keys, token, to: target.keys, row, head)
      if let values = layer.values, let to = target.values { Self.copy(values, token, to: to, row, head) }
    }
    guard options.merging != .none else { return centres }
    let rest = order[kept...]
    let seen = Array(rest.prefix(rest.count - Int((Double(rest.count) * options.evictedShare).rounded())))
    merge(seen, into: centres, isProtected, target)
    return centres
  }

  private static func copy(_ source: KVTensor, _ token: Int, to target: KVTensor, _ row: Int, _ head: Int) {
    source.withRow(head: head, token: token) { from in
      target.withMutableRow(head: head, token: row) { $0.copyMemory(from: from) }
    }
  }

  /// Classes have their centres' values, and keys where wanted, averaged with those of their tokens, by scores. Centres that are protected stay
  /// as they are.
  private func merge(_ tokens: [Int], into centres: [Int], _ isProtected: (Int) -> Bool, _ target: KVLayer) {
    let rows = centres.indices.filter { !isProtected(centres[$0]) }
    guard !rows.isEmpty else { return }
    let (unitKeys, unitValues) = (Self.units(keys, channels), Self.units(values, valueChannels))
    let least = scores.min() ?? 0
    func weight(_ token: Int) -> Float { max(scores[token] - least, 1e-6) }
    var members = [[Int]](repeating: [], count: rows.count)
    for token in tokens {
      var (best, sum) = (-1, options.threshold)
      for (i, row) in rows.enumerated() {
        let k = Self.product(unitKeys, token, centres[row], channels)
        guard k > 0 else { continue }
        let similarity = valueChannels > 0 ? k * Self.product(unitValues, token, centres[row], valueChannels) : k
        if similarity >= sum { (best, sum) = (i, similarity) }
      }
      // No centre is similar: the class of zeros.
      if best >= 0 { members[best].append(token) }
    }
    for (i, row) in rows.enumerated() where !members[i].isEmpty {
      let all = [centres[row]] + members[i]
      let total = all.reduce(0) { $0 + weight($1) }
      func mean(_ rows: [Float], _ channels: Int) -> [Float] {
        var sum = [Float](repeating: 0, count: channels)
        for token in all {
          let share = weight(token) / total
          for c in 0..<channels { sum[c] += share * rows[token * channels + c] }
        }
        return sum
      }
      if options.merging == .keysAndValues {
        var key = mean(keys, channels)
        rope?.turn(&key, row: 0, by: layer.firstPosition + centres[row])
        key.withUnsafeBufferPointer { key in
          target.keys.withMutableRow(head: head, token: row) { target.keys.element.store(key, to: $0) }
        }
      }
      guard let to = target.values else { continue }
      mean(values, valueChannels).withUnsafeBufferPointer { value in
        to.withMutableRow(head: head, token: row) { to.element.store(value, to: $0) }
      }
    }
  }

  private static func units(_ rows: [Float], _ channels: Int) -> [Float] {
    guard channels > 0 else { return [] }
    var units = rows
    for start in stride(from: 0, to: rows.count, by: channels) {
      let scale = 1 / max(norm(rows[start..<start + channels]), .leastNormalMagnitude)
      for c in start..<start + channels { units[c] *= scale }
    }
    return units
  }

  private static func product(_ rows: [Float], _ a: Int, _ b: Int, _ channels: Int) -> Float {
    rows.withUnsafeBufferPointer { rows in
      let (a, b) = (a * channels, b * channels)
      var sums = SIMD8<Float>.zero
      var c = 0
      while c + 8 <= channels {
        let x = UnsafeRawPointer(rows.baseAddress! + a + c).loadUnaligned(as: SIMD8<Float>.self)
        let y = UnsafeRawPointer(rows.baseAddress! + b + c).loadUnaligned(as: SIMD8<Float>.self)
        sums += x * y
        c += 8
      }
      var sum = sums.sum()
      while c < channels {
        sum += rows[a + c] * rows[b + c]
        c += 1
      }
      return sum
    }
  }
}

/// RoPE: pair i of `channels` turns by position * base^(-2i / channels).
struct KVRotation {
  private let layout: RopeLayout
  private let channels: Int
  private let frequencies: [Double]

  /// Nil where nothing turns.
  init?(_ layout: RopeLayout, base: Double, channels: Int) {
    guard layout != .none, channels >= 2, channels % 2 == 0 else { return nil }
    (self.layout, self.channels) = (layout, channels)
    frequencies = (0..<channels / 2).map { pow(base, -2 * Double($0) / Double(channels)) }
  }

  func turn(_ rows: inout [Float], row: Int, by position: Int) {
    let start = row * channels
    for (i, frequency) in frequencies.enumerated() {
      let (a, b) = layout == .interleaved ? (start + 2 * i, start + 2 * i + 1) : (start + i, start + i + channels / 2)
      let angle = Double(position) * frequency
      let (c, s) = (Float(cos(angle)), Float(sin(angle)))
      (rows[a], rows[b]) = (rows[a] * c - rows[b] * s, rows[a] * s + rows[b] * c)
    }
  }
}
