import EntropyCoding

/// Learned distributions of symbols by scale index, each symmetric about 0.
///
/// A row of a model's table tensor is the width of 0, those of +-1, +-2, ... (each of the two), zeros from where the table
/// stops, and in the last column the width of the escape; the sum of all intervals is 65536.
// bitstream-spec 8.1
package struct SymmetricTables: Sendable {
  package static let count = 64
  package let set: TableSet

  /// `widths` is [64, columns], columns at least 3. Throws `EntropyError` (badModel) for what is no table.
  package init(widths: [Int32], columns: Int) throws {
    guard columns >= 3, columns <= 16386, widths.count == Self.count * columns else {
      throw EntropyError(.badModel, in: "learned tables", "\(widths.count) widths in \(columns) columns")
    }
    set = try TableSet(
      tables: (0..<Self.count).map { index in
        let row = widths[index * columns..<(index + 1) * columns]
        guard row.allSatisfy({ (0...65536).contains($0) }) else {
          throw EntropyError(.badModel, in: "learned table \(index)", "a width is outside 0...65536")
        }
        var order: [Int16] = [0]
        var each = [UInt32(row.first!)]
        for (k, width) in row.dropFirst().dropLast().prefix(while: { $0 > 0 }).enumerated() {
          order += [-Int16(k + 1), Int16(k + 1)]
          each += [UInt32(width), UInt32(width)]
        }
        return (order, each, UInt32(row.last!))
      })
    // Every value can be coded, through the escape if need be.
    guard set.outlines.allSatisfy({ $0.escapeStart < 65536 }) else {
      throw EntropyError(.badModel, in: "learned tables", "a table has no escape")
    }
  }
}
