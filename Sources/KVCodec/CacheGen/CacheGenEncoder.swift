import Bitstream
import CKernels
import EntropyCoding
import Glibc
import Media
import Tensors

extension CacheGenBlock {
  /// Quantises a tensor by `rule` and codes it. The inverse is `restore(_:into:)`.
  static func write(_ tensor: KVTensor, rule: CacheGenRule) throws -> [UInt8] {
    let quantised = CacheGenQuantised(tensor, rule: rule)
    let counts = counts(tokens: tensor.tokens, group: rule.group)
    var bytes: [UInt8] = []
    Varint.append(UInt64(rule.group), to: &bytes)
    bytes.append(UInt8(rule.limit))
    bytes += quantised.maxima

    var side = RangeEncoder()
    var runs: [(table: BlockRANS.Table, count: Int)] = [], ordered: [UInt8] = []
    ordered.reserveCapacity(tensor.elementCount)
    for (number, symbols) in quantised.symbols.enumerated() {
      let tokens = number == 0 ? counts.anchors : counts.others
      guard tokens > 0 else { continue }
      let kind = try CacheGenSymbols(
        fitting: symbols.values, steps: number == 0 ? [] : quantised.steps, shifts: symbols.shifts, tokens: tokens)
      kind.encode(into: &side)
      let order = kind.order
      runs += zip(kind.tables, order.counts).map { ($0, $1 * tokens) }
      for column in order.columns { ordered += symbols.values[column * tokens..<(column + 1) * tokens] }
    }
    for part in [side.finish(), try ordered.withUnsafeBufferPointer { try BlockRANS.encode($0, with: runs) }] {
      Varint.append(UInt64(part.count), to: &bytes)
      bytes += part
    }
    return bytes + quantised.escapes
  }
}

/// A tensor's symbols in CacheGen's scheme.
private struct CacheGenQuantised {
  /// Of anchors, then of the other tokens; values: [head and channel, token]; shifts by head and channel.
  private(set) var symbols: [(values: [UInt8], shifts: [Int])] = []
  /// Of the others, by column.
  private(set) var steps: [CacheGenStep]
  /// Elements.
  private(set) var maxima: [UInt8] = []
  /// Elements, [token, head, channel].
  private(set) var escapes: [UInt8] = []

  init(_ tensor: KVTensor, rule: CacheGenRule) {
    let (channels, size) = (tensor.channels, tensor.element.bytes)
    let columns = tensor.heads * channels
    let counts = CacheGenBlock.counts(tokens: tensor.tokens, group: rule.group)
    var anchors = [Int32](repeating: Self.none, count: columns * counts.anchors)
    // As they are decoded: what the others differ from.
    var decoded: [Float] = []
    for number in 0..<counts.anchors {
      let row = Self.read(tensor, number * rule.group)
      // The largest of what is finite: it is an element, so nothing is lost in storing it.
      let largest = row.reduce(Float(0)) { $1.isFinite ? max($0, $1.magnitude) : $0 }
      maxima += Self.elements([largest], tensor.element)
      let limit = Float(rule.limit)
      var anchor = [Float](repeating: 0, count: columns)
      for c in 0..<columns where row[c].isFinite {
        let level = largest > 0 ? (row[c] / largest * limit).rounded(.toNearestOrEven) : 0
        anchors[c * counts.anchors + number] = Int32(level)
        anchor[c] = level / limit * largest
      }
      let bytes = Self.elements(anchor, tensor.element)
      kvKernels().to_float(bytes, tensor.element.kernel, &anchor, columns)
      decoded += anchor
    }
    /// Calls `body` with each other token's number among them and its differences from its anchor.
    func others(_ body: (Int, [Float]) -> Void) {
      for token in 0..<tensor.tokens where token % rule.group > 0 {
        let number = token / rule.group
        body(token - number - 1, zip(Self.read(tensor, token), decoded[number * columns..<(number + 1) * columns]).map { $0 - $1 })
      }
    }
    var deviations = [CacheGenDeviation](repeating: CacheGenDeviation(), count: columns)
    others { _, row in
      for c in 0..<columns where row[c].isFinite { deviations[c].add(Double(row[c])) }
    }
    steps = deviations.map { CacheGenStep(nearest: rule.coarseness * Float($0.value)) }
    let units = steps.map(\.value)
    var differences = [Int32](repeating: Self.none, count: columns * counts.others)
    others { index, row in
      for c in 0..<columns {
        let level = (row[c] / units[c]).rounded(.toNearestOrEven)
        // False of what is not finite.
        if level.magnitude <= 254 { differences[c * counts.others + index] = Int32(level) }
      }
    }
    for (levels, tokens) in [(anchors, counts.anchors), (differences, counts.others)] {
      symbols.append(Self.symbols(levels, tokens: tokens, columns: columns))
    }
    for token in 0..<tensor.tokens {
      let (number, within) = token.quotientAndRemainder(dividingBy: rule.group)
      let (kind, index, tokens) = within == 0 ? (0, number, counts.anchors) : (1, token - number - 1, counts.others)
      for c in 0..<columns where symbols[kind].values[c * tokens + index] == KVBlock.escape {
        tensor.withRow(head: c / channels, token: token) { escapes += $0[c % channels * size..<(c % channels + 1) * size] }
      }
    }
  }

  /// What no symbol reaches.
  private static let none = Int32.min

  /// A token's elements, [head, channel].
  private static func read(_ tensor: KVTensor, _ token: Int) -> [Float] {
    let kernels = kvKernels()
    let count = tensor.heads * tensor.channels
    return [Float](unsafeUninitializedCapacity: count) { row, initialised in
      for head in 0..<tensor.heads {
        tensor.withRow(head: head, token: token) {
          kernels.to_float($0.baseAddress!, tensor.element.kernel, row.baseAddress! + head * tensor.channels, tensor.channels)
        }
      }
      initialised = count
    }
  }

  private static func elements(_ row: [Float], _ element: KVElement) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: row.count * element.bytes) { bytes, initialised in
      kvKernels().from_float(row, bytes.baseAddress!, element.kernel, row.count)
      initialised = row.count * element.bytes
    }
  }

  /// Each column's levels about their mean, which is the shift as far as all levels have a symbol; what has none becomes an
  /// escape. All finite anchors have one: they reach from -127 to 127 at most.
  private static func symbols(_ levels: [Int32], tokens: Int, columns: Int) -> (values: [UInt8], shifts: [Int]) {
    var values = [UInt8](repeating: KVBlock.escape, count: levels.count), shifts = [Int](repeating: 0, count: columns)
    for column in 0..<columns where tokens > 0 {
      let range = column * tokens..<(column + 1) * tokens
      let known = levels[range].filter { $0 != none }
      guard let least = known.min(), let most = known.max() else { continue }
      var shift = Int((Double(known.reduce(0) { $0 + Int($1) }) / Double(known.count)).rounded())
      if most - least <= 254 { shift = min(max(shift, Int(most) - 127), Int(least) + 127) }
      shifts[column] = min(max(shift, -CacheGenSymbols.maximumShift), CacheGenSymbols.maximumShift)
      for i in range where levels[i] != none {
        let symbol = Int(levels[i]) - shifts[column] + 128
        if (1...255).contains(symbol) { values[i] = UInt8(symbol) }
      }
    }
    return (values, shifts)
  }
}

/// The standard deviation of what was added.
private struct CacheGenDeviation {
  private var (count, sum, squares) = (0.0, 0.0, 0.0)

  mutating func add(_ x: Double) {
    count += 1
    sum += x
    squares += x * x
  }

  /// 0 of nothing.
  var value: Double { count > 0 ? max(squares / count - sum / count * (sum / count), 0).squareRoot() : 0 }
}

extension CacheGenSymbols {
  /// Columns whose symbols are distributed alike share a table. `symbols`: [column, token].
  init(fitting symbols: [UInt8], steps: [CacheGenStep], shifts: [Int], tokens: Int) throws {
    let columns = shifts.count
    let first = Int(symbols.min() ?? 128), span = Int(symbols.max() ?? 128) - first + 1
    var histograms = [Float](repeating: 0, count: columns * span)
    for (i, symbol) in symbols.enumerated() { histograms[i / tokens * span + Int(symbol) - first] += 1 }
    var best: (bits: Float, classes: [Int])?
    for count in [1, 2, 4, 8, 16, 32, 64] where count <= columns {
      let found = CacheGenClasses(histograms, columns: columns, span: span, count: count)
      if found.bits < best?.bits ?? .infinity { best = (found.bits, found.ofColumn) }
    }
    let classes = best?.classes ?? [Int](repeating: 0, count: columns)
    // Classes that no column is in go.
    let used = Set(classes).sorted()
    var numbers = [Int: Int]()
    for (number, old) in used.enumerated() { numbers[old] = number }
    var counts = [[UInt32]](repeating: [UInt32](repeating: 0, count: 256), count: used.count)
    for (i, symbol) in symbols.enumerated() { counts[numbers[classes[i / tokens]]!][Int(symbol)] += 1 }
    self.init(
      steps: steps, shifts: shifts, classes: classes.map { numbers[$0]! },
      tables: try counts.map { try BlockRANS.Table(CategoricalModel(counts: $0, precision: 12)) })
  }
}

/// Classes of columns by their histograms: from an order by spread, each column moves to the class in which it costs least,
/// some times over.
private struct CacheGenClasses {
  private(set) var ofColumn: [Int]
  /// About what symbols, classes and tables take.
  private(set) var bits: Float = 0

  /// `histograms`: [column, symbol].
  init(_ histograms: [Float], columns: Int, span: Int, count: Int) {
    // The entropy of each column orders them.
    let entropies = (0..<columns).map { column in
      let own = histograms[column * span..<(column + 1) * span]
      let total = own.reduce(0, +)
      return own.reduce(Float(0)) { $1 > 0 ? $0 - $1 * logarithm(Double($1 / total)) : $0 }
    }
    let order = (0..<columns).sorted { (entropies[$0], $0) < (entropies[$1], $1) }
    ofColumn = [Int](repeating: 0, count: columns)
    for (place, column) in order.enumerated() { ofColumn[column] = place * count / columns }
    for round in 0..<8 {
      var costs = [Float](repeating: 0.02, count: count * span)
      for (column, number) in ofColumn.enumerated() {
        for s in 0..<span { costs[number * span + s] += histograms[column * span + s] }
      }
      var tables: Float = 0
      for number in 0..<count {
        let range = number * span..<(number + 1) * span
        let total = costs[range].reduce(0, +)
        for i in range {
          if costs[i] >= 1 { tables += 3 + max(0, 12 + logarithm(Double(costs[i] / total))) }
          costs[i] = logarithm(Double(total / costs[i]))
        }
      }
      bits = tables + Float(columns) * logarithm(Double(count))
      var hasMoved = false
      for column in 0..<columns {
        var best = (cost: Float.infinity, number: 0)
        for number in 0..<count {
          var cost: Float = 0
          for s in 0..<span { cost += histograms[column * span + s] * costs[number * span + s] }
          if cost < best.cost { best = (cost, number) }
        }
        bits += best.cost
        hasMoved = hasMoved || best.number != ofColumn[column]
        // The last round's classes are those that its bits were counted with.
        ofColumn[column] = best.number
      }
      if !hasMoved || round == 7 { break }
    }
  }
}

private func logarithm(_ x: Double) -> Float { Float(log2(x)) }
