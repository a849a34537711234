import CKernels
import Tensors

/// A term of the loss: weight * sum of (x - target)^2. Its gradient is made in the forward pass.
package final class SquaredError: Operation {
  package let x: Variable
  /// A constant, shaped as x.
  package let target: Variable
  /// May change between runs.
  package var weight: Double
  /// The sum of squares in the last run, without the weight.
  package private(set) var squares = 0.0
  private let bands: RowBands
  private let sums: PartialSums

  package init(_ x: Variable, target: Variable, weight: Double) {
    precondition(x.hasShape(of: target), "a target for every element")
    self.x = x
    self.target = target
    self.weight = weight
    bands = RowBands(x)
    sums = PartialSums(bands: bands.number, width: 1)
  }

  package var targets: [Variable] { [] }
  package var forwardTargets: [Variable] { x.gradient == nil ? [] : [x] }

  package func forward(_ pass: Pass) {
    let gradient = pass.trains ? x.gradient : nil
    let adds = gradient != nil && pass.accumulates(0)
    let scale = Float(2 * weight)
    sums.clear()
    bands.forEach(threads: pass.threads) { i, c, rows in
      let at = x.offset(channel: c, row: rows.lowerBound)
      sums[i][0] = pass.kernels.pointee.squared_error(
        x.value + at, target.value + at, gradient.map { $0 + at }, scale, x.pitch, x.width, rows.count, adds)
    }
    squares = sums.total(0)
    pass.addLoss(weight * squares)
  }

  package func backward(_ pass: Pass) {}
}

/// y = a + b.
package final class Sum: Operation {
  package let a: Variable
  package let b: Variable
  package let y: Variable
  private let bands: RowBands

  /// All three have one shape.
  package init(_ a: Variable, _ b: Variable, into y: Variable) {
    precondition(a.hasShape(of: b) && y.hasShape(of: a), "summands have one shape")
    self.a = a
    self.b = b
    self.y = y
    bands = RowBands(a, elements: 32768)
  }

  package var targets: [Variable] { [a, b].filter { $0.gradient != nil } }

  package func forward(_ pass: Pass) {
    bands.forEach(threads: pass.threads) { _, c, rows in
      let at = a.offset(channel: c, row: rows.lowerBound)
      pass.kernels.pointee.add(a.value + at, b.value + at, y.value + at, a.pitch, a.width, rows.count)
    }
  }

  package func backward(_ pass: Pass) {
    guard let gy = y.gradient else { return }
    var i = 0
    for part in [a, b] {
      guard let g = part.gradient else { continue }
      let adds = pass.accumulates(i)
      i += 1
      bands.forEach(threads: pass.threads) { _, c, rows in
        let at = a.offset(channel: c, row: rows.lowerBound)
        pass.kernels.pointee.pass_on(gy + at, g + at, a.pitch, a.width, rows.count, adds)
      }
    }
  }
}
