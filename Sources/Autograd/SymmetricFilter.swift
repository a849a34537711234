import CKernels
import Tensors

/// y = x + (kernel along rows and across them) * x, zero padding, every plane alike; Cool-chic's pre-concatenation
/// filter. The kernel is (w[0] ... w[q - 2], w[q - 1], w[q - 2] ... w[0]), w being the parameter.
package final class SymmetricFilter: Operation {
  package let x: Variable
  package let y: Variable
  /// [1, q] with q in 1...5.
  package let weights: Parameter
  private let forwardBands: RowBands
  private let backwardBands: RowBands
  private let sums: PartialSums

  /// - Parameter y: shaped as x.
  package init(_ x: Variable, into y: Variable, weights: Parameter) {
    precondition(y.hasShape(of: x), "a filter keeps the shape")
    precondition(weights.rows == 1 && (1...5).contains(weights.columns), "1 to 5 numbers make the kernel")
    self.x = x
    self.y = y
    self.weights = weights
    forwardBands = RowBands(x)
    backwardBands = RowBands(x, minimumRows: 16)
    sums = PartialSums(bands: backwardBands.number, width: weights.columns)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }
  package var parameters: [Parameter] { [weights] }

  package func forward(_ pass: Pass) {
    forwardBands.forEach(threads: pass.threads) { _, c, rows in
      pass.kernels.pointee.symmetric(
        weights.value, weights.columns, x.value + x.offset(channel: c, row: 0), y.value + y.offset(channel: c, row: 0),
        x.height, x.width, x.pitch, rows.lowerBound, rows.upperBound)
    }
  }

  package func backward(_ pass: Pass) {
    let adds = x.gradient != nil && pass.accumulates(0)
    sums.clear()
    backwardBands.forEach(threads: pass.threads) { i, c, rows in
      let at = x.offset(channel: c, row: 0)
      pass.kernels.pointee.symmetric_back(
        weights.value, weights.columns, x.value + at, x.gradient.map { $0 + at },
        y.gradient! + y.offset(channel: c, row: 0), x.height, x.width, x.pitch, rows.lowerBound, rows.upperBound,
        sums[i], adds)
    }
    sums.add(to: weights)
  }
}
