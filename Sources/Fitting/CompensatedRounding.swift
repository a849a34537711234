/// Rounds numbers one after another so that those that come later make up for the errors of those before: about the point
/// where they minimise a loss, which rises by d^T H d / 2 with an error d. With H = R R^T, R upper triangular, this is the sum
/// of (R[i][i] d[i] + sum over j < i of R[j][i] d[j])^2 / 2, so number i is best off by -(that sum) / R[i][i], and an
/// error beyond costs R[i][i]^2 / 2 times its square. (Babai 1986, nearest plane; GPTQ, Frantar et al. 2022, does the same with
/// the inverse.)
package struct CompensatedRounding {
  package let count: Int
  /// Row i has R[j][i] at j <= i.
  private var rows: [Double]

  /// - Parameters:
  ///   - count: n
  ///   - curvature: H's element (i, j), j <= i
  ///   - damping: what a diagonal element is raised by, as a share of itself
  package init(count n: Int, damping: Double, curvature: (Int, Int) -> Double) {
    count = n
    rows = [Double](repeating: 0, count: n * n)
    rows.withUnsafeMutableBufferPointer { rows in
      let rows = rows.baseAddress!
      var mean = 0.0
      for i in 0..<n {
        for j in 0...i { rows[i * n + j] = curvature(i, j) }
        mean += rows[i * n + i]
      }
      // Numbers that change nothing still need a curvature.
      let least = max(mean / Double(max(n, 1)) * 1e-7, 1e-300)
      for i in 0..<n { rows[i * n + i] = rows[i * n + i] * (1 + damping) + least }
      for k in stride(from: n - 1, through: 0, by: -1) {
        let row = rows + k * n
        let root = max(row[k], least).squareRoot()
        for j in 0..<k { row[j] /= root }
        row[k] = root
        for i in 0..<k {
          let factor = row[i], other = rows + i * n
          for j in 0...i { other[j] -= factor * row[j] }
        }
      }
    }
  }

  /// How fast the loss rises with an error of number i for which the later ones make up: the second derivative.
  package func curvature(_ i: Int) -> Double { rows[i * count + i] * rows[i * count + i] }

  /// `round` gets a number's place, what it had best be, and how much the square of an error costs; it returns what the number becomes.
  package func round(_ values: [Double], _ round: (Int, Double, Double) -> Double) -> [Double] {
    precondition(values.count == count)
    var errors = [Double](repeating: 0, count: count)
    for i in 0..<count {
      let row = i * count
      var sum = 0.0
      for j in 0..<i { sum += rows[row + j] * errors[j] }
      let diagonal = rows[row + i]
      errors[i] = round(i, values[i] - sum / diagonal, diagonal * diagonal / 2) - values[i]
    }
    return zip(values, errors).map { $0 + $1 }
  }
}
