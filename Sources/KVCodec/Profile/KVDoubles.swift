import Glibc

/// A matrix of binary64 numbers, for what is learned; nothing that decoding computes.
struct KVDoubles: Sendable {
  let rows: Int
  let columns: Int
  private(set) var numbers: [Double]

  init(rows: Int, columns: Int) {
    (self.rows, self.columns) = (rows, columns)
    numbers = [Double](repeating: 0, count: rows * columns)
  }

  static func identity(_ n: Int) -> KVDoubles {
    var matrix = KVDoubles(rows: n, columns: n)
    for i in 0..<n { matrix[i, i] = 1 }
    return matrix
  }

  subscript(i: Int, j: Int) -> Double {
    @inline(__always) get { numbers[i * columns + j] }
    @inline(__always) set { numbers[i * columns + j] = newValue }
  }

  var transposed: KVDoubles {
    var result = KVDoubles(rows: columns, columns: rows)
    for i in 0..<rows { for j in 0..<columns { result[j, i] = self[i, j] } }
    return result
  }

  /// Rows `rows` of it.
  func rows(_ range: Range<Int>) -> KVDoubles {
    var result = KVDoubles(rows: range.count, columns: columns)
    result.numbers = Array(numbers[range.lowerBound * columns..<range.upperBound * columns])
    return result
  }

  func columns(_ range: Range<Int>) -> KVDoubles {
    var result = KVDoubles(rows: rows, columns: range.count)
    for i in 0..<rows { for j in range { result[i, j - range.lowerBound] = self[i, j] } }
    return result
  }

  /// Calls `body` on each row and its number.
  mutating func withRows(_ body: (Int, UnsafeMutableBufferPointer<Double>) -> Void) {
    numbers.withUnsafeMutableBufferPointer { all in
      for i in 0..<rows { body(i, UnsafeMutableBufferPointer(rebasing: all[i * columns..<(i + 1) * columns])) }
    }
  }

  static func * (a: KVDoubles, b: KVDoubles) -> KVDoubles {
    precondition(a.columns == b.rows, "as many columns as rows")
    var result = KVDoubles(rows: a.rows, columns: b.columns)
    b.numbers.withUnsafeBufferPointer { b2 in
      result.withRows { i, row in
        for k in 0..<a.columns {
          let factor = a[i, k]
          guard factor != 0 else { continue }
          let from = b2.baseAddress! + k * b.columns
          for j in 0..<row.count { row[j] += factor * from[j] }
        }
      }
    }
    return result
  }

  /// By Gauss and Jordan with the largest pivots; a singular matrix gives large numbers, but finite ones.
  func inverse() -> KVDoubles {
    precondition(rows == columns, "only square matrices have inverses")
    let n = rows
    var a = self
    // In place: column k of the inverse grows where column k of the matrix was.
    var exchanged: [(Int, Int)] = []
    a.numbers.withUnsafeMutableBufferPointer { a in
      let base = a.baseAddress!
      for k in 0..<n {
        var best = k
        for i in k + 1..<max(k + 1, n) where abs(base[i * n + k]) > abs(base[best * n + k]) { best = i }
        let row = base + k * n
        if best != k {
          exchanged.append((k, best))
          for j in 0..<n { (row[j], base[best * n + j]) = (base[best * n + j], row[j]) }
        }
        let scale = 1 / (abs(row[k]) > 1e-12 ? row[k] : 1e-12)
        row[k] = 1
        for j in 0..<n { row[j] *= scale }
        for i in 0..<n where i != k {
          let other = base + i * n, factor = other[k]
          other[k] = 0
          for j in 0..<n { other[j] -= factor * row[j] }
        }
      }
      for (k, best) in exchanged.reversed() {
        for i in 0..<n { (base[i * n + k], base[i * n + best]) = (base[i * n + best], base[i * n + k]) }
      }
    }
    return a
  }

  /// Eigenvalues of a symmetric matrix, falling, and eigenvectors as rows. By Householder's reflections to three diagonals and
  /// implicit QL steps (Golub and Van Loan, Matrix Computations, 8.3).
  func eigen() -> (values: [Double], vectors: KVDoubles) {
    precondition(rows == columns, "only square matrices are symmetric")
    let n = rows
    // Row i of q becomes what maps to the i-th new direction.
    var a = self, q = Self.identity(n)
    var diagonal = [Double](repeating: 0, count: n), off = [Double](repeating: 0, count: n)
    a.numbers.withUnsafeMutableBufferPointer { a in
      q.numbers.withUnsafeMutableBufferPointer { q in
        var v = [Double](repeating: 0, count: n), p = v
        for k in 0..<max(n - 2, 0) {
          var norm = 0.0
          for i in k + 1..<n { norm += a[k * n + i] * a[k * n + i] }
          norm = norm.squareRoot()
          guard norm > 0 else { continue }
          for i in k + 1..<n { v[i] = a[k * n + i] }
          v[k + 1] += v[k + 1] < 0 ? -norm : norm
          var square = 0.0
          for i in k + 1..<n { square += v[i] * v[i] }
          let beta = 2 / square
          // A - v w' - w v' on what is left, and Q's rows reflected.
          var dot = 0.0
          for i in k + 1..<n {
            var sum = 0.0
            for j in k + 1..<n { sum += a[i * n + j] * v[j] }
            p[i] = beta * sum
            dot += p[i] * v[i]
          }
          for i in k + 1..<n { p[i] -= beta / 2 * dot * v[i] }
          for i in k + 1..<n {
            let (x, y) = (v[i], p[i])
            for j in k + 1..<n { a[i * n + j] -= x * p[j] + y * v[j] }
          }
          let sign = v[k + 1] - a[k * n + k + 1]
          a[k * n + k + 1] = -sign
          a[(k + 1) * n + k] = -sign
          var sums = [Double](repeating: 0, count: n)
          for i in k + 1..<n {
            let x = v[i]
            for j in 0..<n { sums[j] += x * q[i * n + j] }
          }
          for i in k + 1..<n {
            let x = beta * v[i]
            for j in 0..<n { q[i * n + j] -= x * sums[j] }
          }
        }
        for i in 0..<n { diagonal[i] = a[i * n + i] }
        for i in 0..<max(n - 1, 0) { off[i] = a[i * n + i + 1] }
        for l in 0..<n {
          var rounds = 0
          while rounds < 60 {
            var m = l
            while m < n - 1, abs(off[m]) > 1e-15 * (abs(diagonal[m]) + abs(diagonal[m + 1])) { m += 1 }
            guard m > l else { break }
            rounds += 1
            var g = (diagonal[l + 1] - diagonal[l]) / (2 * off[l])
            let r = (g * g + 1).squareRoot()
            g = diagonal[m] - diagonal[l] + off[l] / (g + (g < 0 ? -r : r))
            var (s, c, shift) = (1.0, 1.0, 0.0)
            var i = m - 1
            while i >= l {
              let f = s * off[i], b = c * off[i]
              let r = (f * f + g * g).squareRoot()
              off[i + 1] = r
              guard r > 0 else {
                diagonal[i + 1] -= shift
                off[m] = 0
                break
              }
              (s, c) = (f / r, g / r)
              g = diagonal[i + 1] - shift
              let t = (diagonal[i] - g) * s + 2 * c * b
              shift = s * t
              diagonal[i + 1] = g + shift
              g = c * t - b
              let (x, y) = (q.baseAddress! + i * n, q.baseAddress! + (i + 1) * n)
              for j in 0..<n { (x[j], y[j]) = (c * x[j] - s * y[j], s * x[j] + c * y[j]) }
              i -= 1
            }
            guard i < l else { continue }
            diagonal[l] -= shift
            off[l] = g
            off[m] = 0
          }
        }
      }
    }
    let order = (0..<n).sorted { diagonal[$0] > diagonal[$1] }
    var vectors = KVDoubles(rows: n, columns: n)
    for (to, from) in order.enumerated() { for j in 0..<n { vectors[to, j] = q[from, j] } }
    return (order.map { diagonal[$0] }, vectors)
  }
}
