/// y [channels, h, w] = x [channels * h * w, 1, 1], numbers in their order.
package final class Reshape: Operation {
  package let x: Variable
  package let y: Variable

  package init(_ x: Variable, into y: Variable) {
    precondition(x.height == 1 && x.width == 1 && x.channels == y.count, "as many numbers")
    (self.x, self.y) = (x, y)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }

  package func forward(_ pass: Pass) {
    forEachRow { from, to in for i in 0..<y.width { y.value[to + i] = x.value[from + i * x.planeStride] } }
  }

  package func backward(_ pass: Pass) {
    guard let gx = x.gradient, let gy = y.gradient else { return }
    let adds = pass.accumulates(0)
    forEachRow { from, to in
      for i in 0..<y.width { gx[from + i * x.planeStride] = adds ? gx[from + i * x.planeStride] + gy[to + i] : gy[to + i] }
    }
  }

  /// `body` gets where a row's numbers begin in x, and in y.
  private func forEachRow(_ body: (Int, Int) -> Void) {
    for c in 0..<y.channels {
      for row in 0..<y.height { body((c * y.height + row) * y.width * x.planeStride, y.offset(channel: c, row: row)) }
    }
  }
}
