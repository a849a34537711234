import Bitstream
import EntropyCoding
import Glibc
import Media

extension KVPlanes {
  /// The inverse of `read(_:)`. `elements`: [rows, columns], each little-endian.
  func write(_ elements: [UInt8]) throws -> [UInt8] {
    var elements = elements
    if movesSign { turn(&elements, left: true) }
    let count = rows * columns
    func plane(_ b: Int) -> [UInt8] { (0..<count).map { elements[$0 * elementBytes + b] } }
    var bytes: [UInt8] = []
    func append(_ part: [UInt8]) {
      Varint.append(UInt64(part.count), to: &bytes)
      bytes += part
    }
    let leading = plane(elementBytes - 1)
    let (classes, ofColumn) = self.classes(leading)
    var members = [[UInt8]](repeating: [], count: classes)
    for number in 0..<classes {
      let columnsOf = (0..<columns).filter { ofColumn[$0] == number }
      for row in 0..<rows {
        for column in columnsOf { members[number].append(leading[row * columns + column]) }
      }
    }
    let tables = try members.map(Self.table)
    var side = RangeEncoder()
    if classes > 1 {
      var model = AdaptiveModel(symbolCount: classes)
      for number in ofColumn { try side.encode(number, adapting: &model) }
    }
    for table in tables { KVTable.encode(table, into: &side) }
    bytes.append(UInt8(classes))
    append(side.finish())
    for (table, symbols) in zip(tables, members) { append(try BlockRANS.encode(symbols, with: table)) }
    for b in stride(from: elementBytes - 2, through: 0, by: -1) {
      let symbols = plane(b)
      let table = try Self.table(symbols)
      var side = RangeEncoder()
      KVTable.encode(table, into: &side)
      let tableBytes = side.finish()
      let coded = try BlockRANS.encode(symbols, with: table)
      let isWorth = coded.count + tableBytes.count + 8 < count
      bytes.append(isWorth ? 1 : 0)
      if isWorth {
        append(tableBytes)
        append(coded)
      } else {
        bytes += symbols
      }
    }
    return bytes
  }

  /// Columns whose leading bytes are distributed alike: from an order by their mean, each moves to the class in which it
  /// costs least, some times over.
  private func classes(_ leading: [UInt8]) -> (count: Int, ofColumn: [Int]) {
    // A class pays where it has a few thousand elements.
    let count = min(Self.maximumClasses, columns, max(1, rows * columns / 3072))
    guard count > 1 else { return (1, [Int](repeating: 0, count: columns)) }
    var histograms = [Float](repeating: 0, count: 256 * columns)
    for row in 0..<rows {
      for column in 0..<columns { histograms[256 * column + Int(leading[row * columns + column])] += 1 }
    }
    let means = (0..<columns).map { column in
      (0..<256).reduce(Float(0)) { $0 + histograms[256 * column + $1] * Float($1 & (movesSign ? 255 : 127)) }
    }
    let order = (0..<columns).sorted { (means[$0], $0) < (means[$1], $1) }
    var ofColumn = [Int](repeating: 0, count: columns)
    for (place, column) in order.enumerated() { ofColumn[column] = place * count / columns }
    for _ in 0..<6 {
      var costs = [Float](repeating: 0.02, count: 256 * count)
      for (column, number) in ofColumn.enumerated() {
        for s in 0..<256 { costs[256 * number + s] += histograms[256 * column + s] }
      }
      for number in 0..<count {
        let range = 256 * number..<256 * (number + 1)
        let total = log2f(costs[range].reduce(0, +))
        for i in range { costs[i] = total - log2f(costs[i]) }
      }
      var hasMoved = false
      for column in 0..<columns {
        var best = (cost: Float.infinity, number: 0)
        for number in 0..<count {
          var cost: Float = 0
          for s in 0..<256 { cost += histograms[256 * column + s] * costs[256 * number + s] }
          if cost < best.cost { best = (cost, number) }
        }
        hasMoved = hasMoved || best.number != ofColumn[column]
        ofColumn[column] = best.number
      }
      if !hasMoved { break }
    }
    return (count, ofColumn)
  }

  private static func table(_ symbols: [UInt8]) throws -> BlockRANS.Table {
    var counts = [UInt32](repeating: 0, count: 256)
    for s in symbols { counts[Int(s)] += 1 }
    if symbols.isEmpty { counts[0] = 1 }
    return try BlockRANS.Table(CategoricalModel(counts: counts, precision: 12))
  }

  /// A tensor's elements, [tokens, heads and channels].
  static func elements(of tensor: KVTensor) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(tensor.byteCount)
    for token in 0..<tensor.tokens {
      for head in 0..<tensor.heads { tensor.withRow(head: head, token: token) { bytes += $0 } }
    }
    return bytes
  }
}
