/// A fixed table of probabilities for the symbols 0 ..< symbolCount. // bitstream-spec 5.2
package struct CategoricalModel: EntropyModel, Equatable {
  package let precision: Int
  /// Width of each symbol's interval. Invariant: the sum is 2^precision. A width of 0 means "cannot be coded".
  package let widths: [UInt32]
  /// Invariant: starts[s] is the sum of widths[..<s]; one entry more than `widths`, the last being 2^precision.
  package let starts: [UInt32]

  package var symbolCount: Int { widths.count }

  /// A table as a file states it. Throws `badModel` unless the widths sum to 2^precision (precision 1...16).
  package init(widths: [UInt32], precision: Int) throws {
    guard (1...16).contains(precision) else {
      throw EntropyError(.badModel, in: "categorical table", "precision \(precision) is not in 1...16")
    }
    var starts: [UInt32] = [0]
    starts.reserveCapacity(widths.count + 1)
    var sum: UInt64 = 0
    for w in widths {
      sum += UInt64(w)
      guard sum <= 1 << UInt64(precision) else { break }
      starts.append(UInt32(sum))
    }
    guard sum == 1 << UInt64(precision), starts.count == widths.count + 1 else {
      throw EntropyError(.badModel, in: "categorical table", "widths do not sum to 2^\(precision)")
    }
    self.precision = precision
    self.widths = widths
    self.starts = starts
  }

  /// Normalises counts to 2^precision: exact, deterministic, no counted symbol loses its place.
  /// Throws `badModel` where no count is positive or more than 2^precision are. // bitstream-spec 5.2
  package init(counts: [UInt32], precision: Int) throws {
    guard (1...16).contains(precision) else {
      throw EntropyError(.badModel, in: "categorical table", "precision \(precision) is not in 1...16")
    }
    try self.init(widths: Self.normalise(counts, precision: precision), precision: precision)
  }

  private static func normalise(_ counts: [UInt32], precision: Int) throws -> [UInt32] {
    let used = counts.indices.filter { counts[$0] > 0 }
    let total = counts.reduce(UInt64(0)) { $0 + UInt64($1) }
    let target = 1 << precision
    guard !used.isEmpty, used.count <= target else {
      throw EntropyError(.badModel, in: "categorical table", "\(used.count) symbols for \(target) slots")
    }
    // c * 2^16 fits: c < 2^32.
    var widths = [UInt32](repeating: 0, count: counts.count)
    var sum = 0
    for s in used {
      widths[s] = UInt32(max(1, (UInt64(counts[s]) << UInt64(precision)) / total))
      sum += Int(widths[s])
    }
    if sum < target {
      // Largest remainders first; `sorted` is stable in effect because ties are broken by symbol.
      let remainders = used.map { (symbol: $0, rest: (UInt64(counts[$0]) << UInt64(precision)) % total) }
      let order = remainders.sorted { a, b in a.rest != b.rest ? a.rest > b.rest : a.symbol < b.symbol }
      // Fewer than used.count slots can be missing, since each floor drops less than one.
      for (s, _) in order.prefix(target - sum) { widths[s] += 1 }
    }
    while sum > target {
      // Lifted symbols took slots that are not theirs; each comes off the widest, lowest symbol first. Taking the
      // whole surplus in rounds keeps this near-linear where many symbols were lifted.
      let widest = used.map { widths[$0] }.max()!
      for s in used where widths[s] == widest && sum > target {
        widths[s] -= 1
        sum -= 1
      }
    }
    return widths
  }

  package func interval(of symbol: Int) -> Interval? {
    guard symbol >= 0, symbol < widths.count, widths[symbol] > 0 else { return nil }
    return Interval(start: starts[symbol], width: widths[symbol])
  }

  package func symbol(at quantile: UInt32) -> (symbol: Int, interval: Interval) {
    precondition(quantile < 1 << UInt32(precision))
    // Last symbol with starts[s] <= quantile: symbols of width 0 share a start with their successor and are passed.
    var low = 0
    var high = widths.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= quantile { low = middle } else { high = middle }
    }
    return (low, Interval(start: starts[low], width: widths[low]))
  }
}

/// All of 0 ..< symbolCount alike, up to rounding; symbolCount 1...65536. // bitstream-spec 5.2
package struct UniformModel: EntropyModel {
  package let symbolCount: Int
  package var precision: Int { 16 }

  package init(symbolCount: Int) {
    precondition((1...65536).contains(symbolCount))
    self.symbolCount = symbolCount
  }

  private func start(_ symbol: Int) -> UInt32 { UInt32((symbol << 16) / symbolCount) }

  package func interval(of symbol: Int) -> Interval? {
    guard symbol >= 0, symbol < symbolCount else { return nil }
    return Interval(start: start(symbol), width: start(symbol + 1) - start(symbol))
  }

  package func symbol(at quantile: UInt32) -> (symbol: Int, interval: Interval) {
    precondition(quantile < 65536)
    // start(s) <= q  <=>  s << 16 < (q + 1) * n, so the symbol is ceil((q + 1) * n / 2^16) - 1.
    let s = ((Int(quantile) + 1) * symbolCount + 65535) >> 16 - 1
    return (s, interval(of: s)!)
  }
}
