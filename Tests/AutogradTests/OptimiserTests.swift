import Autograd
import Tensors
import Testing

/// Plain matrices for the references.
private typealias Matrix = [[Double]]

private func times(_ a: Matrix, _ b: Matrix) -> Matrix {
  a.map { row in b[0].indices.map { j in row.indices.reduce(0) { $0 + row[$1] * b[$1][j] } } }
}

private func transposed(_ a: Matrix) -> Matrix { a[0].indices.map { j in a.map { $0[j] } } }

private func matrix(_ values: [Float], columns: Int) -> Matrix {
  stride(from: 0, to: values.count, by: columns).map { values[$0..<$0 + columns].map(Double.init) }
}

struct OptimiserTests {
  @Test func adamFollowsItsFormula() {
    var stream = Stream(3)
    let p = Parameter("p", rows: 3, columns: 7, values: stream.array(21))
    let v = Variable("v", channels: 2, height: 5, width: 19)
    v.load(stream.array(v.count))
    let view = v.view(1..<2)
    let adam = Adam(beta1: 0.8, beta2: 0.9, eps: 1e-3)
    adam.add(p, rate: 0.5, decay: 0.1)
    adam.add(view)
    var expectedP = p.elements.map(Double.init), expectedV = view.elements.map(Double.init)
    let untouched = v.view(0..<1).elements
    var moments = [[Double]](repeating: [], count: 4)
    moments[0] = [Double](repeating: 0, count: 21)
    moments[1] = moments[0]
    moments[2] = [Double](repeating: 0, count: view.count)
    moments[3] = moments[2]
    for t in 1...5 {
      let gp = stream.array(21), gv = stream.array(view.count)
      for (i, g) in gp.enumerated() { p.gradient[i] = g }
      for r in -1..<view.height {
        for x in -16..<view.pitch - 16 {
          let inside = r >= 0 && x >= 0 && x < view.width
          view.gradient![r * view.pitch + x] = inside ? gv[r * view.width + x] : .nan
        }
      }
      adam.step(rate: 0.01, threads: 2)
      func reference(_ w: inout [Double], _ g: [Float], _ k: Int, rate: Double, decay: Double) {
        let b1 = (0..<t).reduce(1.0) { x, _ in x * 0.8 }, b2 = (0..<t).reduce(1.0) { x, _ in x * 0.9 }
        for i in w.indices {
          moments[k][i] = 0.8 * moments[k][i] + 0.2 * Double(g[i])
          moments[k + 1][i] = 0.9 * moments[k + 1][i] + 0.1 * Double(g[i]) * Double(g[i])
          let step = moments[k][i] / (1 - b1) / ((moments[k + 1][i] / (1 - b2)).squareRoot() + 1e-3)
          w[i] = w[i] * (1 - rate * decay) - rate * step
        }
      }
      reference(&expectedP, gp, 0, rate: 0.005, decay: 0.1)
      reference(&expectedV, gv, 2, rate: 0.01, decay: 0)
    }
    #expect(zip(expectedP, p.elements).allSatisfy { abs($0 - Double($1)) < 2e-6 })
    #expect(zip(expectedV, view.elements).allSatisfy { abs($0 - Double($1)) < 2e-6 })
    #expect(v.view(0..<1).elements == untouched)
    #expect(marginsAreZero(v))
  }

  /// The step in terms of plain matrices, with the bases that the optimiser shows; a refreshed basis against the power
  /// iteration of the one before.
  @Test(arguments: [(6, 6), (5, 9), (20, 3), (48, 7)]) func soapFollowsItsFormula(rows: Int, columns: Int) {
    var stream = Stream(UInt64(rows))
    let p = Parameter("p", rows: rows, columns: columns, values: stream.array(rows * columns))
    let b = Parameter("b", rows: 1, columns: rows, values: stream.array(rows))
    let soap = SOAP(beta1: 0.9, beta2: 0.8, shampooBeta: 0.7, eps: 1e-4, frequency: 3)
    soap.add(p, decay: 0.1)
    soap.add(b)
    let startB = b.elements
    var w = matrix(p.elements, columns: columns)
    let zero = Matrix(repeating: [Double](repeating: 0, count: columns), count: rows)
    var m = zero, v = zero
    var left = Matrix(), right = Matrix()
    var meanL = Matrix(repeating: [Double](repeating: 0, count: rows), count: rows)
    var meanR = Matrix(repeating: [Double](repeating: 0, count: columns), count: columns)
    func blend(_ mean: inout Matrix, _ new: Matrix) {
      for i in mean.indices { for j in mean.indices { mean[i][j] = 0.7 * mean[i][j] + 0.3 * new[i][j] } }
    }
    for t in 0...8 {
      let gradient = stream.array(rows * columns)
      for (i, g) in gradient.enumerated() { p.gradient[i] = g }
      for i in 0..<rows { b.gradient[i] = 1 }
      let g = matrix(gradient, columns: columns)
      soap.step(rate: 0.01)
      let bases = soap.bases(0)
      let newLeft = matrix(bases.left, columns: rows), newRight = matrix(bases.right, columns: columns)
      expectOrthonormal(newLeft)
      expectOrthonormal(newRight)
      if t > 0 {
        let rotated = times(times(left, g), transposed(right))
        let b1 = (0..<t).reduce(1.0) { x, _ in x * 0.9 }, b2 = (0..<t).reduce(1.0) { x, _ in x * 0.8 }
        var step = zero
        for i in 0..<rows {
          for j in 0..<columns {
            m[i][j] = 0.9 * m[i][j] + 0.1 * rotated[i][j]
            v[i][j] = 0.8 * v[i][j] + 0.2 * rotated[i][j] * rotated[i][j]
            step[i][j] = m[i][j] / (v[i][j].squareRoot() + 1e-4) * (1 - b2).squareRoot() / (1 - b1)
          }
        }
        let back = times(times(transposed(left), step), right)
        for i in 0..<rows { for j in 0..<columns { w[i][j] = (w[i][j] - 0.01 * back[i][j]) * (1 - 0.001) } }
      }
      blend(&meanL, times(g, transposed(g)))
      blend(&meanR, times(transposed(g), g))
      if t == 0 {
        // The first bases diagonalise the means.
        expectDiagonal(times(times(newLeft, meanL), transposed(newLeft)))
        expectDiagonal(times(times(newRight, meanR), transposed(newRight)))
      } else if t % 3 == 0 {
        let (orderL, expectedL) = refreshed(left, meanL), (orderR, expectedR) = refreshed(right, meanR)
        // Beyond the means' rank a basis is anyone's choice; it is shown to be orthonormal above.
        let rank = min(rows, columns, t + 1)
        for i in 0..<min(rank, 3) {
          #expect(abs(zip(expectedL[i], newLeft[i]).reduce(0) { $0 + $1.0 * $1.1 }) > 0.999)
          #expect(abs(zip(expectedR[i], newRight[i]).reduce(0) { $0 + $1.0 * $1.1 }) > 0.999)
        }
        m = times(times(newLeft, times(times(transposed(left), m), right)), transposed(newRight))
        v = (0..<rows).map { i in (0..<columns).map { v[orderL[i]][orderR[$0]] } }
      } else {
        #expect(newLeft == left && newRight == right)
      }
      left = newLeft
      right = newRight
      let worst = zip(p.elements, w.flatMap { $0 }).reduce(0.0) { max($0, abs(Double($1.0) - $1.1)) }
      #expect(worst < 2e-4, "step \(t)")
    }
    // A constant gradient moves a vector by the rate at each of the eight steps that count.
    for (before, after) in zip(startB, b.elements) { #expect(abs(before - 0.08 - after) < 1e-4) }
  }

  /// Sorted by estimated eigenvalue, then one power iteration and Gram-Schmidt.
  private func refreshed(_ basis: Matrix, _ mean: Matrix) -> (order: [Int], basis: Matrix) {
    let product = times(basis, mean)
    let values = basis.indices.map { i in zip(basis[i], product[i]).reduce(0) { $0 + $1.0 * $1.1 } }
    let order = basis.indices.sorted { values[$0] > values[$1] }
    var result = Matrix()
    for i in order {
      var row = product[i]
      for other in result {
        let dot = zip(row, other).reduce(0) { $0 + $1.0 * $1.1 }
        for k in row.indices { row[k] -= dot * other[k] }
      }
      let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
      result.append(row.map { $0 / max(norm, 1e-30) })
    }
    return (order, result)
  }

  private func expectOrthonormal(_ q: Matrix, sourceLocation: SourceLocation = #_sourceLocation) {
    let product = times(q, transposed(q))
    for i in q.indices {
      for j in q.indices {
        #expect(abs(product[i][j] - (i == j ? 1 : 0)) < 1e-5, sourceLocation: sourceLocation)
      }
    }
  }

  private func expectDiagonal(_ a: Matrix, sourceLocation: SourceLocation = #_sourceLocation) {
    for i in a.indices {
      for j in a.indices where i != j { #expect(abs(a[i][j]) < 1e-5 * a[0][0], sourceLocation: sourceLocation) }
      if i > 0 { #expect(a[i][i] <= a[i - 1][i - 1] + 1e-5 * a[0][0], sourceLocation: sourceLocation) }
    }
  }

  /// Gradients that vanish in some rows, or altogether, leave bases orthonormal and weights finite.
  @Test func soapSurvivesZeros() {
    var stream = Stream(5)
    let p = Parameter("p", rows: 6, columns: 4, values: stream.array(24))
    let soap = SOAP(frequency: 2)
    soap.add(p)
    for t in 0..<9 {
      for i in 0..<24 { p.gradient[i] = t < 4 || i % 4 == 1 || i / 4 == 2 ? 0 : stream.next() * 1e-6 }
      soap.step(rate: 0.01)
      expectOrthonormal(matrix(soap.bases(0).left, columns: 6))
      expectOrthonormal(matrix(soap.bases(0).right, columns: 4))
      #expect(p.elements.allSatisfy { $0.isFinite })
    }
  }

  /// On a badly scaled least-squares problem in a rotated basis SOAP gets further than Adam.
  @Test func soapBeatsAdamOnRotatedProblem() {
    func fit(_ step: (Parameter, Int) -> Void) -> Double {
      var stream = Stream(77)
      let n = 12
      let mix = matrix(stream.array(n * n), columns: n)
      let target = matrix(stream.array(n * n), columns: n)
      let p = Parameter("p", rows: n, columns: n)
      var loss = 0.0
      for t in 0..<300 {
        // loss = |mix^2 (P - target)|^2 / 2
        let error = zip(matrix(p.elements, columns: n), target).map { zip($0, $1).map { $0 - $1 } }
        let residual = times(mix, times(mix, error))
        loss = residual.reduce(0) { $0 + $1.reduce(0) { $0 + $1 * $1 } } / 2
        let gradient = times(transposed(mix), times(transposed(mix), residual)).flatMap { $0 }
        for i in 0..<n * n { p.gradient[i] = Float(gradient[i]) }
        step(p, t)
      }
      return loss
    }
    let adam = Adam(beta1: 0.95, beta2: 0.95), soap = SOAP()
    let byAdam = fit { p, t in
      if t == 0 { adam.add(p) }
      adam.step(rate: 0.05 * (1 - Float(t) / 300), threads: 1)
    }
    let bySOAP = fit { p, t in
      if t == 0 { soap.add(p) }
      soap.step(rate: 0.05 * (1 - Float(t) / 300))
    }
    #expect(bySOAP < 0.5 * byAdam, "\(bySOAP) against \(byAdam)")
  }

  @Test func clipping() {
    let a = Parameter("a", rows: 1, columns: 2), b = Parameter("b", rows: 2, columns: 1)
    a.gradient[0] = 1
    a.gradient[1] = 2
    b.gradient[0] = 4
    b.gradient[1] = 10
    #expect(clipGradients([a, b], norm: 20) == 11)
    #expect(a.gradientElements == [1, 2])
    #expect(clipGradients([a, b], norm: 0.11) == 11)
    #expect(zip(a.gradientElements + b.gradientElements, [0.01, 0.02, 0.04, 0.1]).allSatisfy { abs($0 - Float($1)) < 1e-7 })
  }
}
