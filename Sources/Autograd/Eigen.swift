/// Eigenvectors of a symmetric matrix by cyclic Jacobi rotations.
/// - Parameters:
///   - matrix: [n, n]
///   - n: 1 or more
/// - Returns: the eigenvectors as rows, [n, n], by descending eigenvalue.
func eigenvectors(_ matrix: [Double], n: Int) -> [Double] {
  precondition(matrix.count == n * n, "a square matrix")
  var a = matrix
  var rows = [Double](repeating: 0, count: n * n)
  for i in 0..<n { rows[i * n + i] = 1 }
  a.withUnsafeMutableBufferPointer { a in
    rows.withUnsafeMutableBufferPointer { rows in
      for _ in 0..<30 {
        var off = 0.0, diagonal = 0.0
        for i in 0..<n {
          diagonal += a[i * n + i] * a[i * n + i]
          for j in 0..<i { off += a[i * n + j] * a[i * n + j] }
        }
        if !(off > 1e-22 * diagonal) { return }
        for p in 0..<n - 1 {
          for q in p + 1..<n { rotate(a, rows, n, p, q) }
        }
      }
    }
  }
  let order = (0..<n).sorted { a[$0 * n + $0] == a[$1 * n + $1] ? $0 < $1 : a[$0 * n + $0] > a[$1 * n + $1] }
  return order.flatMap { rows[$0 * n..<($0 + 1) * n] }
}

/// Makes element (p, q) zero with a rotation of rows and columns p and q.
private func rotate(
  _ a: UnsafeMutableBufferPointer<Double>, _ rows: UnsafeMutableBufferPointer<Double>, _ n: Int, _ p: Int, _ q: Int
) {
  let apq = a[p * n + q]
  if apq == 0 { return }
  let theta = (a[q * n + q] - a[p * n + p]) / (2 * apq)
  let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
  let c = 1 / (t * t + 1).squareRoot(), s = t * c
  for k in 0..<n {
    let x = a[k * n + p], y = a[k * n + q]
    a[k * n + p] = c * x - s * y
    a[k * n + q] = s * x + c * y
  }
  for k in 0..<n {
    let x = a[p * n + k], y = a[q * n + k]
    a[p * n + k] = c * x - s * y
    a[q * n + k] = s * x + c * y
    let u = rows[p * n + k], v = rows[q * n + k]
    rows[p * n + k] = c * u - s * v
    rows[q * n + k] = s * u + c * v
  }
}
