import CKernels
import Tensors

/// What is done to each output of a convolution.
package enum Activation: Int32, Sendable, CaseIterable {
  case none = 0
  /// x times the normal distribution's integral.
  case gelu = 1
  /// x / (1 + e^-x)
  case swish = 2
  /// (1 + tanh x) / 2
  case unit = 3
}

/// y = activation(pixel shuffle(convolution(x) + bias)): zero padding, odd kernels, for few channels at high resolution. The stage
/// of NeRV-type networks (HNeRV, Chen et al. 2023, 3.2), whose middle is never a variable.
package final class Convolution: Operation {
  /// [in, h, w]
  package let x: Variable
  /// [out, h * factor, w * factor]
  package let y: Variable
  /// [out * factor * factor, in * k * k], row = channel * factor * factor + dy * factor + dx, column = (input * k + ky) * k + kx.
  package let weights: Parameter
  /// [1, out * factor * factor]
  package let bias: Parameter
  /// k
  package let side: Int
  package let factor: Int
  package let activation: Activation
  /// Before shuffle and activation; in the backward pass its gradient.
  private let middle: Variable
  private let isPlain: Bool
  private let packed: UnsafeMutablePointer<Float>
  private let adjoint: UnsafeMutablePointer<Float>
  private let bands: RowBands
  private let sums: PartialSums

  package init(
    _ x: Variable, into y: Variable, weights: Parameter, bias: Parameter, side: Int, factor: Int = 1, activation: Activation = .none
  ) {
    let outputs = y.channels * factor * factor
    precondition(side % 2 == 1 && (1...Int(NC_MAX_CONVOLVE)).contains(side), "odd kernels up to 9")
    precondition((1...Int(NC_MAX_SHUFFLE)).contains(factor), "factors up to 5")
    precondition(y.height == x.height * factor && y.width == x.width * factor, "y is x, times the factor")
    precondition(weights.rows == outputs && weights.columns == x.channels * side * side, "weights are [out f f, in k k]")
    precondition(bias.count == outputs, "one bias a channel")
    self.x = x
    self.y = y
    self.weights = weights
    self.bias = bias
    self.side = side
    self.factor = factor
    self.activation = activation
    isPlain = factor == 1 && activation == .none
    middle = Variable("middle", channels: outputs, height: x.height, width: x.width, hasGradient: false)
    packed = alignedZeros(nc_convolve_packed_count(x.channels, outputs, side)).assumingMemoryBound(to: Float.self)
    adjoint = alignedZeros(nc_convolve_packed_count(outputs, x.channels, side)).assumingMemoryBound(to: Float.self)
    // Enough bands for many threads, few enough that their sums stay small.
    bands = RowBands(channels: 1, height: x.height, width: 1, elements: max(1, (x.height + 11) / 12))
    sums = PartialSums(bands: bands.number, width: weights.count + bias.count)
  }

  deinit {
    packed.deallocate()
    adjoint.deallocate()
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }
  package var parameters: [Parameter] { [weights, bias] }

  package func forward(_ pass: Pass) {
    let kernels = pass.kernels.pointee
    kernels.convolve_pack(weights.value, x.channels, middle.channels, side, false, packed)
    let out = isPlain ? y : middle
    bands.forEach(threads: pass.threads) { _, _, rows in
      // A few rows at a time, so that what the convolution wrote is still near when it is shuffled.
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: 4) {
        let end = min(first + 4, rows.upperBound)
        kernels.convolve(
          packed, bias.value, x.channels, middle.channels, side, x.value, x.planeStride, out.value, out.planeStride, x.width, x.pitch,
          first, end, false)
        if isPlain { continue }
        kernels.shuffle(
          factor, activation.rawValue, middle.value, middle.planeStride, middle.pitch, y.value, y.planeStride, y.pitch, y.channels,
          x.width, first, end)
      }
    }
  }

  package func backward(_ pass: Pass) {
    let kernels = pass.kernels.pointee
    sums.clear()
    bands.forEach(threads: pass.threads) { i, _, rows in
      kernels.shuffle_back(
        factor, activation.rawValue, middle.value, middle.planeStride, middle.pitch, y.gradient!, y.planeStride, y.pitch, y.channels,
        x.width, rows.lowerBound, rows.upperBound)
      kernels.convolve_weights(
        x.channels, middle.channels, side, x.value, x.planeStride, middle.value, middle.planeStride, x.width, x.pitch, rows.lowerBound,
        rows.upperBound, sums[i], sums[i] + weights.count)
    }
    sums.add(to: weights)
    sums.add(to: bias, from: weights.count)
    guard let gx = x.gradient else { return }
    let adds = pass.accumulates(0)
    kernels.convolve_pack(weights.value, x.channels, middle.channels, side, true, adjoint)
    bands.forEach(threads: pass.threads) { _, _, rows in
      kernels.convolve(
        adjoint, nil, middle.channels, x.channels, side, middle.value, middle.planeStride, gx, x.planeStride, x.width, x.pitch,
        rows.lowerBound, rows.upperBound, adds)
    }
  }
}

/// y = convolution of each channel by itself, plus bias; zero padding, odd kernels.
package final class DepthwiseConvolution: Operation {
  package let x: Variable
  package let y: Variable
  /// [channels, k * k]
  package let weights: Parameter
  /// [1, channels]
  package let bias: Parameter
  package let side: Int
  /// The gradient of y with zeros around.
  private let gradient: Variable
  private let packed: UnsafeMutablePointer<Float>
  private let stride: Int
  private let sums: PartialSums

  /// - Parameter y: shaped as x; not x itself.
  package init(_ x: Variable, into y: Variable, weights: Parameter, bias: Parameter, side: Int) {
    precondition(side % 2 == 1 && (1...Int(NC_MAX_CONVOLVE)).contains(side), "odd kernels up to 9")
    precondition(y.hasShape(of: x) && y.value != x.value, "it keeps the shape, and its input")
    precondition(weights.rows == x.channels && weights.columns == side * side && bias.count == x.channels, "weights are [c, k k]")
    self.x = x
    self.y = y
    self.weights = weights
    self.bias = bias
    self.side = side
    gradient = Variable("gradient", channels: x.channels, height: x.height, width: x.width, hasGradient: false)
    stride = nc_convolve_packed_count(1, 1, side)
    packed = alignedZeros(2 * x.channels * stride).assumingMemoryBound(to: Float.self)
    sums = PartialSums(bands: x.channels, width: side * side + 1)
  }

  deinit { packed.deallocate() }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }
  package var parameters: [Parameter] { [weights, bias] }

  package func forward(_ pass: Pass) {
    let kernels = pass.kernels.pointee
    parallelFor(x.channels, threads: pass.threads) { c in
      kernels.convolve_pack(weights.value + c * side * side, 1, 1, side, false, packed + 2 * c * stride)
      let at = c * x.planeStride
      kernels.convolve(
        packed + 2 * c * stride, bias.value + c, 1, 1, side, x.value + at, 0, y.value + at, 0, x.width, x.pitch, 0, x.height, false)
    }
  }

  package func backward(_ pass: Pass) {
    let kernels = pass.kernels.pointee
    let adds = x.gradient != nil && pass.accumulates(0)
    sums.clear()
    parallelFor(x.channels, threads: pass.threads) { c in
      let at = c * x.planeStride
      kernels.shuffle_back(
        1, Activation.none.rawValue, gradient.value + at, 0, x.pitch, y.gradient! + at, 0, x.pitch, 1, x.width, 0, x.height)
      kernels.convolve_weights(
        1, 1, side, x.value + at, 0, gradient.value + at, 0, x.width, x.pitch, 0, x.height, sums[c], sums[c] + side * side)
      guard let gx = x.gradient else { return }
      let adjoint = packed + (2 * c + 1) * stride
      kernels.convolve_pack(weights.value + c * side * side, 1, 1, side, true, adjoint)
      kernels.convolve(adjoint, nil, 1, 1, side, gradient.value + at, 0, gx + at, 0, x.width, x.pitch, 0, x.height, adds)
    }
    for c in 0..<x.channels {
      for t in 0..<side * side { weights.gradient[c * side * side + t] += Float(sums[c][t]) }
      bias.gradient[c] += Float(sums[c][side * side])
    }
  }
}

/// y [channels * factor * factor, h, w] = x [channels, h * factor, w * factor], channel c * factor * factor + dy * factor + dx being
/// what lies at offset (dy, dx) of each cell: the inverse of the pixel shuffle.
package final class PixelUnshuffle: Operation {
  package let x: Variable
  package let y: Variable
  private let factor: Int
  private let bands: RowBands

  package init(_ x: Variable, into y: Variable, factor: Int) {
    precondition((1...Int(NC_MAX_SHUFFLE)).contains(factor), "factors up to 5")
    precondition(
      x.height == y.height * factor && x.width == y.width * factor && y.channels == x.channels * factor * factor,
      "cells of factor x factor")
    self.x = x
    self.y = y
    self.factor = factor
    bands = RowBands(channels: 1, height: y.height, width: y.width * y.channels)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }

  package func forward(_ pass: Pass) {
    bands.forEach(threads: pass.threads) { _, _, rows in
      pass.kernels.pointee.unshuffle(
        factor, x.value, x.planeStride, x.pitch, y.value, y.planeStride, y.pitch, x.channels, y.width, rows.lowerBound, rows.upperBound,
        false)
    }
  }

  package func backward(_ pass: Pass) {
    guard let gx = x.gradient, let gy = y.gradient else { return }
    precondition(!pass.accumulates(0), "what is unshuffled has no other use")
    bands.forEach(threads: pass.threads) { _, _, rows in
      pass.kernels.pointee.shuffle(
        factor, Activation.none.rawValue, gy, y.planeStride, y.pitch, gx, x.planeStride, x.pitch, x.channels, y.width, rows.lowerBound,
        rows.upperBound)
    }
  }
}
