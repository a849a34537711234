/// Up to 256 tables of precision 16 for the bulk coder, addressed by an index per symbol: quantised distributions by
/// scale, or one table per channel. // bitstream-spec 5.3
///
/// A table codes a contiguous range of values, each with an interval, and optionally an escape for all others.
package struct TableSet: Sendable {
  /// One table's outline.
  package struct Outline: Sendable {
    /// Values with an interval of their own.
    package let values: ClosedRange<Int>
    /// Start of the escape's interval, which reaches to 65536; 65536 where there is none.
    package let escapeStart: UInt32
    /// Index in `steps` of the lowest value's interval.
    let firstStep: Int
    /// Index in `entries` of the first interval in order of start.
    let firstEntry: Int
    let entryCount: Int
  }

  /// One entry per interval in order of start: start (bits 0-31), width - 1 (32-47), value (48-63). Each table ends in
  /// three sentinels that start at 65536, so that the search may look ahead without a bound.
  let entries: [UInt64]
  /// One per table: index of its first entry (bits 0-31), escapeStart (32-63).
  let heads: [UInt64]
  /// 512 per table: the table-relative entry holding the quantile `bucket * 128`.
  let buckets: [UInt16]
  /// Intervals by table and value: start (bits 0-15), width - 1 (16-31).
  let steps: [UInt32]
  package let outlines: [Outline]

  package var count: Int { outlines.count }

  static let bucketBits = 9

  /// Tables as (interval order of values, width of each, width of the escape or 0). Throws `badModel` unless each
  /// table's values are distinct, contiguous and in Int16, its widths at least 1 with the sum 65536.
  package init(tables: [(order: [Int16], widths: [UInt32], escape: UInt32)]) throws {
    guard (1...256).contains(tables.count) else {
      throw EntropyError(.badModel, in: "table set", "\(tables.count) tables, not 1...256")
    }
    var entries: [UInt64] = []
    var heads: [UInt64] = []
    var buckets: [UInt16] = []
    var steps: [UInt32] = []
    var outlines: [Outline] = []
    let values = tables.reduce(0) { $0 + $1.order.count }
    entries.reserveCapacity(values + 4 * tables.count)
    steps.reserveCapacity(values)
    buckets.reserveCapacity(tables.count << Self.bucketBits)
    for (number, (order, widths, escape)) in tables.enumerated() {
      let place = "table \(number)"
      guard let lowest = order.min(), let highest = order.max(), order.count == widths.count,
        Int(highest) - Int(lowest) + 1 == order.count, order.count < 65535
      else { throw EntropyError(.badModel, in: place, "values are not a contiguous range") }
      let firstStep = steps.count
      let firstEntry = entries.count
      steps.append(contentsOf: repeatElement(0, count: order.count))
      var taken = [Bool](repeating: false, count: order.count)
      var start: UInt64 = 0
      for (value, width) in zip(order, widths) {
        let slot = Int(value) - Int(lowest)
        guard width >= 1, start + UInt64(width) <= 65536, !taken[slot] else {
          throw EntropyError(.badModel, in: place, "bad width \(width) of value \(value)")
        }
        taken[slot] = true
        steps[firstStep + slot] = UInt32(start) | (width - 1) << 16
        entries.append(start | UInt64(width - 1) << 32 | UInt64(UInt16(bitPattern: value)) << 48)
        start += UInt64(width)
      }
      guard start + UInt64(escape) == 65536 else {
        throw EntropyError(.badModel, in: place, "widths do not sum to 65536")
      }
      let escapeStart = UInt32(start)
      if escape > 0 { entries.append(start | UInt64(escape - 1) << 32) }
      let entryCount = entries.count - firstEntry
      heads.append(UInt64(firstEntry) | UInt64(escapeStart) << 32)
      // Each entry fills the buckets from its start up to the next one's.
      for e in 0..<entryCount {
        let end = e + 1 < entryCount ? entries[firstEntry + e + 1] & 0xffff_ffff : 65536
        let last = (number << Self.bucketBits) + Int((end + 127) >> 7)
        while buckets.count < last { buckets.append(UInt16(e)) }
      }
      entries.append(contentsOf: repeatElement(65536, count: 3))
      outlines.append(
        Outline(
          values: Int(lowest)...Int(highest), escapeStart: escapeStart, firstStep: firstStep, firstEntry: firstEntry,
          entryCount: entryCount))
    }
    self.entries = entries
    self.heads = heads
    self.buckets = buckets
    self.steps = steps
    self.outlines = outlines
  }

  /// One table per channel, each as a categorical table of precision 16 over `lowest[c]...`, in rising order; the last
  /// symbol of each is its escape. Throws `badModel`. // bitstream-spec 5.3
  package init(factorised models: [CategoricalModel], lowest: [Int16]) throws {
    guard models.count == lowest.count else {
      throw EntropyError(.badModel, in: "factorised tables", "\(models.count) tables, \(lowest.count) lowest values")
    }
    try self.init(
      tables: zip(models, lowest).enumerated().map { number, pair in
        let (model, low) = pair
        let values = model.symbolCount - 1
        guard model.precision == 16, values >= 1, Int(low) + values - 1 <= Int(Int16.max) else {
          throw EntropyError(.badModel, in: "table \(number)", "precision or values out of range")
        }
        return (
          (0..<values).map { Int16(Int(low) + $0) }, Array(model.widths.dropLast()), model.widths[values]
        )
      })
  }

  /// Symmetric tables from the upper tails (2^-32) at 1/2, 3/2, ... of each scale. // bitstream-spec 5.3
  init(scaleTables tails: (UInt32) -> [Int64]) {
    let tables = Scale.sigmas.map { Self.symmetric(tails: tails($0)) }
    // The construction meets every condition; a throw here would be a fault of this file.
    try! self.init(tables: tables)
  }

  private static func symmetric(tails: [Int64]) -> (order: [Int16], widths: [UInt32], escape: UInt32) {
    // beyond[k]: slots given to the values above k and half the escape. From the outside in, each value gets at
    // least one slot, and what was lifted is made up for as soon as the true tail has caught up.
    let last = tails.count - 1
    var beyond = tails.map { UInt32(($0 + 32768) >> 16) }
    beyond[last] = max(1, beyond[last])
    for k in stride(from: last - 1, through: 0, by: -1) { beyond[k] = max(beyond[k + 1] + 1, beyond[k]) }
    var order: [Int16] = [0]
    var widths = [65536 - 2 * beyond[0]]
    // Zero first: a run of zeros at a small scale leaves an idle coder state at 0, so it costs nothing at all.
    for k in 1...last {
      order += [Int16(-k), Int16(k)]
      widths += [beyond[k - 1] - beyond[k], beyond[k - 1] - beyond[k]]
    }
    return (order, widths, 2 * beyond[last])
  }

  /// Width of `value`'s interval in table `index`, in 2^-16: the measure of its cost. Nil where it needs the escape.
  @inline(__always)
  package func width(of value: Int, in index: Int) -> UInt32? {
    let outline = outlines[index]
    guard outline.values.contains(value) else { return nil }
    return steps[outline.firstStep + value - outline.values.lowerBound] >> 16 + 1
  }

  /// Table `index` as a model of its own, for the range coder. Symbols outside `outlines[index].values` are nil; the
  /// escape is symbol `escapeSymbol`.
  package subscript(index: Int) -> Table { Table(set: self, outline: outlines[index]) }

  package struct Table: EntropyModel {
    let set: TableSet
    package let outline: Outline

    /// Stands for "a value outside `values`": one above any Int16.
    package static let escapeSymbol = 32768
    package var precision: Int { 16 }

    package func interval(of symbol: Int) -> Interval? {
      if symbol == Self.escapeSymbol {
        return outline.escapeStart < 65536
          ? Interval(start: outline.escapeStart, width: 65536 - outline.escapeStart) : nil
      }
      guard outline.values.contains(symbol) else { return nil }
      let step = set.steps[outline.firstStep + symbol - outline.values.lowerBound]
      return Interval(start: step & 0xffff, width: step >> 16 + 1)
    }

    package func symbol(at quantile: UInt32) -> (symbol: Int, interval: Interval) {
      precondition(quantile < 65536)
      var low = 0
      var high = outline.entryCount
      while high - low > 1 {
        let middle = (low + high) / 2
        let start = set.entries[outline.firstEntry + middle] & 0xffff_ffff
        if start <= UInt64(quantile) { low = middle } else { high = middle }
      }
      let entry = set.entries[outline.firstEntry + low]
      let interval = Interval(start: UInt32(entry & 0xffff), width: UInt32(entry >> 32 & 0xffff) + 1)
      let value = quantile >= outline.escapeStart ? Self.escapeSymbol : Int(Int16(truncatingIfNeeded: entry >> 48))
      return (value, interval)
    }
  }
}
