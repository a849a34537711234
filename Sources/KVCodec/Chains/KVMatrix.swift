import CKernels
import Glibc
import Tensors

/// Numbers in rows, whose sums are the same bits on every machine. Rows begin at multiples of 64 bytes, so that kernels read
/// whole vectors; what lies behind a row's columns is zeros.
///
/// Whoever shares one between threads sees to it that no two write it at once.
package final class KVGrid<Element: BitwiseCopyable>: @unchecked Sendable {
  package let rows: Int
  package let columns: Int
  /// Elements from one row to the next.
  let pitch: Int
  let base: UnsafeMutablePointer<Element>
  private let allocation: UnsafeMutableRawPointer

  /// Zeros. The sizes are known to be small.
  package convenience init(rows: Int, columns: Int) {
    // An odd number of lines of the cache, so that a column's numbers do not all fall into the same few places of it.
    let line = 64 / MemoryLayout<Element>.stride
    self.init(rows: rows, columns: columns, pitch: ((columns + line - 1) / line | 1) * line)
  }

  fileprivate init(rows: Int, columns: Int, pitch: Int) {
    (self.rows, self.columns, self.pitch) = (rows, columns, pitch)
    let count = max(1, rows) * pitch
    // Pages that nobody writes take no memory.
    guard let start = calloc(count * MemoryLayout<Element>.stride + 64, 1) else {
      preconditionFailure("no memory for \(rows) rows of \(columns)")
    }
    allocation = start
    base = start.alignedUp(toMultipleOf: 64).bindMemory(to: Element.self, capacity: count)
  }

  deinit { free(allocation) }

  @inline(__always)
  func row(_ row: Int) -> UnsafeMutablePointer<Element> { base + row * pitch }

  package subscript(row: Int, column: Int) -> Element {
    @inline(__always) get { base[row * pitch + column] }
    @inline(__always) set { base[row * pitch + column] = newValue }
  }

  func clear() {
    UnsafeMutableRawPointer(base).initializeMemory(
      as: UInt8.self, repeating: 0, count: rows * pitch * MemoryLayout<Element>.stride)
  }

  /// `other` has these rows and columns at least.
  package func copy(from other: KVGrid) { base.update(from: other.base, count: rows * pitch) }
}

package typealias KVMatrix = KVGrid<Float>

extension KVMatrix {
  /// `self` += a * b, or -= with `subtract`; the sums run over a's columns in rising order.
  package func add(_ a: KVMatrix, times b: KVMatrix, subtract: Bool = false) {
    add(rows: 0..<a.rows, inner: a.columns, a.base, row: a.pitch, inner: 1, times: b, subtract: subtract)
  }

  /// Of rows `rows` and the columns from `column` on: += the products of a's numbers, at `a + i * aRow + k * aInner` for row
  /// `rows.lowerBound + i`, and of b's rows from `bRow` on, upwards or downwards.
  func add(
    rows: Range<Int>, column: Int = 0, inner: Int, _ a: UnsafePointer<Float>, row aRow: Int, inner aInner: Int,
    times b: KVMatrix, from bRow: Int = 0, down: Bool = false, subtract: Bool = false
  ) {
    guard !rows.isEmpty else { return }
    // Vectors begin at whole lines; what is added before the wanted column is wanted by nobody.
    let first = column / 16 * 16
    var product = nc_kv_product(
      rows: rows.count, inner: inner, columns: columns - first, a: a, a_row: aRow, a_inner: aInner, b: b.row(bRow) + first,
      b_pitch: down ? -b.pitch : b.pitch, c: row(rows.lowerBound) + first, c_pitch: pitch, subtract: subtract ? 1 : 0)
    kvKernels().product(&product)
  }

  package func transpose(into other: KVMatrix) {
    precondition(other.rows == columns && other.columns == rows, "a transposed matrix has as many columns as this has rows")
    // Tiles that stay in the cache.
    for top in stride(from: 0, to: rows, by: 16) {
      for left in stride(from: 0, to: columns, by: 16) {
        for i in top..<min(top + 16, rows) {
          let from = row(i)
          for j in left..<min(left + 16, columns) { other.base[j * other.pitch + i] = from[j] }
        }
      }
    }
  }

  /// Copies what is above the diagonal to below it.
  func mirror() {
    for top in stride(from: 0, to: rows, by: 16) {
      for left in stride(from: top, to: columns, by: 16) {
        for i in top..<min(top + 16, rows) {
          for j in max(i + 1, left)..<max(i + 1, min(left + 16, columns)) { base[j * pitch + i] = base[i * pitch + j] }
        }
      }
    }
  }

  func scaleRow(_ i: Int, by factor: Float) {
    let row = row(i)
    for j in 0..<columns { row[j] *= factor }
  }
}

/// A matrix in strips of columns, each from its first to its last row in one piece: what is multiplied by again and again comes from
/// memory in order.
final class KVStrips: Sendable {
  fileprivate static let width = 32

  fileprivate let rows: Int
  fileprivate let columns: Int
  /// [strip, row][column of the strip]
  fileprivate let numbers: KVMatrix

  init(_ matrix: KVMatrix) {
    (rows, columns) = (matrix.rows, matrix.columns)
    let strips = (columns + Self.width - 1) / Self.width
    numbers = KVMatrix(rows: strips * rows, columns: Self.width, pitch: Self.width)
    for strip in 0..<strips {
      let first = strip * Self.width, count = min(Self.width, columns - first)
      for i in 0..<rows { numbers.row(strip * rows + i).update(from: matrix.row(i) + first, count: count) }
    }
  }
}

extension KVMatrix {
  /// Of rows `rows`: += the products of a's numbers, at `a + i * aRow + k` for row `rows.lowerBound + i`, and of strips' rows from
  /// `bRow` on, k rising.
  func add(rows: Range<Int>, inner: Int, _ a: UnsafePointer<Float>, row aRow: Int, times strips: KVStrips, from bRow: Int = 0) {
    for first in stride(from: 0, to: strips.columns, by: KVStrips.width) {
      var product = nc_kv_product(
        rows: rows.count, inner: inner, columns: min(KVStrips.width, strips.columns - first), a: a, a_row: aRow, a_inner: 1,
        b: strips.numbers.row(first / KVStrips.width * strips.rows + bRow), b_pitch: KVStrips.width,
        c: row(rows.lowerBound) + first, c_pitch: pitch, subtract: 0)
      kvKernels().product(&product)
    }
  }
}

extension KVMatrix {
  /// Rows of a band of a symmetric matrix.
  private static var band: Int { 32 }
  /// Rows that are done one by one; of more, the halves are, which changes the order of work but not of any sum.
  private static var fewRows: Int { 4 }
  private static var leastPivot: Float { 1e-6 }

  /// Cholesky's factor of a symmetric matrix given above and on its diagonal: R above and on the diagonal, with R' R = self.
  /// Returns the reciprocals of R's diagonal. What is below the diagonal is unspecified.
  ///
  /// Row k, in rising order: pivot = max(its diagonal, 1e-6); r = the root of it; the row times 1 / r; then, of each later
  /// row i, R[k, i] times the row is subtracted.
  // bitstream-spec 10.10.5
  package func factorise() -> [Float] {
    var inverses: [Float] = []
    factorise(0..<rows, &inverses)
    return inverses
  }

  private func factorise(_ range: Range<Int>, _ inverses: inout [Float]) {
    guard range.count > Self.fewRows else {
      for k in range {
        let row = row(k)
        let root = max(row[k], Self.leastPivot).squareRoot()
        let inverse = 1 / root
        inverses.append(inverse)
        for j in k + 1..<max(k + 1, columns) { row[j] *= inverse }
        row[k] = root
        eliminate(k..<k + 1, from: k + 1..<range.upperBound)
      }
      return
    }
    let middle = (range.lowerBound + range.upperBound) / 2
    factorise(range.lowerBound..<middle, &inverses)
    eliminate(range.lowerBound..<middle, from: middle..<range.upperBound)
    factorise(middle..<range.upperBound, &inverses)
  }

  /// Subtracts R[k, i] times row k from row i, for k in `done` and i in `later`.
  private func eliminate(_ done: Range<Int>, from later: Range<Int>) {
    for first in stride(from: later.lowerBound, to: later.upperBound, by: Self.band) {
      add(
        rows: first..<min(first + Self.band, later.upperBound), column: first, inner: done.count, row(done.lowerBound) + first,
        row: 1, inner: pitch, times: self, from: done.lowerBound, subtract: true)
    }
  }

  /// Solves R' X = self in place, R as `factorise` left it: row k, in rising order, times R's inverse of k; then of each later
  /// row i, R[k, i] times row k is subtracted.
  package func solveForward(_ factor: KVMatrix, _ inverses: [Float]) { solveForward(factor, inverses, 0..<rows) }

  private func solveForward(_ factor: KVMatrix, _ inverses: [Float], _ range: Range<Int>) {
    func eliminate(_ done: Range<Int>, from later: Range<Int>) {
      add(
        rows: later, inner: done.count, factor.row(done.lowerBound) + later.lowerBound, row: 1, inner: factor.pitch, times: self,
        from: done.lowerBound, subtract: true)
    }
    guard range.count > Self.fewRows else {
      for k in range {
        scaleRow(k, by: inverses[k])
        eliminate(k..<k + 1, from: k + 1..<range.upperBound)
      }
      return
    }
    let middle = (range.lowerBound + range.upperBound) / 2
    solveForward(factor, inverses, range.lowerBound..<middle)
    eliminate(range.lowerBound..<middle, from: middle..<range.upperBound)
    solveForward(factor, inverses, middle..<range.upperBound)
  }

  /// Solves R X = self in place: row k, in falling order, times R's inverse of k; then of each earlier row i, R[i, k] times
  /// row k is subtracted.
  package func solveBackward(_ factor: KVMatrix, _ inverses: [Float]) { solveBackward(factor, inverses, 0..<rows) }

  private func solveBackward(_ factor: KVMatrix, _ inverses: [Float], _ range: Range<Int>) {
    func eliminate(_ done: Range<Int>, from earlier: Range<Int>) {
      let last = done.upperBound - 1
      add(
        rows: earlier, inner: done.count, factor.row(earlier.lowerBound) + last, row: factor.pitch, inner: -1, times: self, from: last,
        down: true, subtract: true)
    }
    guard range.count > Self.fewRows else {
      for k in range.reversed() {
        scaleRow(k, by: inverses[k])
        eliminate(k..<k + 1, from: range.lowerBound..<k)
      }
      return
    }
    let middle = (range.lowerBound + range.upperBound) / 2
    solveBackward(factor, inverses, middle..<range.upperBound)
    eliminate(middle..<range.upperBound, from: range.lowerBound..<middle)
    solveBackward(factor, inverses, range.lowerBound..<middle)
  }

  /// Makes the rows orthonormal, about: as many as have something of their own. Returns the diagonal of R in
  /// rows = R' * orthonormal rows, which after a product with a symmetric matrix estimates its eigenvalues.
  ///
  /// `gram`: [rows, rows], `transposed`: [columns, rows]; their contents are lost.
  // bitstream-spec 10.10.5
  @discardableResult
  package func orthonormalise(gram: KVMatrix, transposed: KVMatrix) -> [Float] {
    transpose(into: transposed)
    gram.clear()
    for top in stride(from: 0, to: rows, by: Self.band) {
      gram.add(
        rows: top..<min(top + Self.band, rows), column: top, inner: columns, row(top), row: pitch, inner: 1, times: transposed)
    }
    let norms = (0..<rows).map { max(gram[$0, $0].squareRoot(), 1e-20) }
    let scales = norms.map { 1 / $0 }
    for i in 0..<rows {
      let row = gram.row(i)
      for j in i..<rows { row[j] = row[j] * scales[i] * scales[j] }
      row[i] += 1e-4
      scaleRow(i, by: scales[i])
    }
    let inverses = gram.factorise()
    solveForward(gram, inverses)
    return (0..<rows).map { norms[$0] * gram[$0, $0] }
  }
}
