import CKernels
import Tensors

/// y = conv3x3(x) + bias (+ x), then relu if wanted; replicate padding, 1 to 16 channels, as many out as in.
package final class ResidualConv3x3: Operation {
  package let x: Variable
  package let y: Variable
  /// [channels, channels * 9], column = input * 9 + dy * 3 + dx.
  package let weights: Parameter
  /// [1, channels]
  package let bias: Parameter
  package let residual: Bool
  package let relu: Bool
  private let bands: RowBands
  private let sums: PartialSums

  /// - Parameter y: shaped as x; not x itself, whose values the gradient needs.
  package init(
    _ x: Variable, into y: Variable, weights: Parameter, bias: Parameter, residual: Bool = true, relu: Bool = false
  ) {
    precondition(y.hasShape(of: x) && y.value != x.value, "a filter keeps the shape, and its input")
    precondition((1...16).contains(x.channels), "1 to 16 channels")
    precondition(weights.rows == x.channels && weights.columns == x.channels * 9, "weights are [c, c * 9]")
    precondition(bias.count == x.channels, "one bias a channel")
    self.x = x
    self.y = y
    self.weights = weights
    self.bias = bias
    self.residual = residual
    self.relu = relu
    // All channels go together, so a band is rows of all of them.
    bands = RowBands(channels: 1, height: x.height, width: x.width, minimumRows: 8)
    sums = PartialSums(bands: bands.number, width: weights.count + bias.count)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }
  package var parameters: [Parameter] { [weights, bias] }

  package func forward(_ pass: Pass) {
    bands.forEach(threads: pass.threads) { _, _, rows in
      pass.kernels.pointee.conv3(
        weights.value, bias.value, x.channels, x.value, x.planeStride, y.value, y.planeStride, x.height, x.width,
        x.pitch, rows.lowerBound, rows.upperBound, residual, relu)
    }
  }

  package func backward(_ pass: Pass) {
    let adds = x.gradient != nil && pass.accumulates(0)
    sums.clear()
    bands.forEach(threads: pass.threads) { i, _, rows in
      pass.kernels.pointee.conv3_back(
        weights.value, x.channels, x.value, x.gradient, x.planeStride, y.value, y.gradient!, y.planeStride, x.height,
        x.width, x.pitch, rows.lowerBound, rows.upperBound, residual, relu, sums[i], sums[i] + weights.count, adds)
    }
    sums.add(to: weights)
    sums.add(to: bias, from: weights.count)
  }
}
