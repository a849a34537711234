import CKernels

/// A 1x1 convolution in float, for encoders. `FixedPointPointwise` is its fixed-point twin.
package struct FloatPointwise: Sendable {
  let weights: FloatWeights

  package var inChannels: Int { weights.inChannels }
  package var outChannels: Int { weights.outChannels }

  /// - Parameters:
  ///   - weights: [out][in]
  ///   - bias: [out]
  /// - Throws: `TensorError` (channelCount, length)
  package init(
    inChannels: Int, outChannels: Int, weights: [Float], bias: [Float], name: String = "float pointwise"
  ) throws(TensorError) {
    self.weights = try FloatWeights(
      inChannels: inChannels, outChannels: outChannels, taps: 1, weights: weights, bias: bias, packing: .convolution,
      place: name)
  }

  /// Applies the layer at every position. `x` is [H, W, in], `y` becomes [H, W, out]; they must be two tensors.
  package func apply(
    _ x: Tensor<Float>, into y: Tensor<Float>, epilogue: Epilogue = .none, threads: Int, kernels: Kernels = .current
  ) {
    y.reshape(to: x.shape.with(channels: outChannels))
    run(x, y, residual: nil, epilogue.code, threads, kernels)
  }

  /// The same, then `y = residual + y`; `residual` is [H, W, out] and must not be `y`.
  package func apply(
    _ x: Tensor<Float>, into y: Tensor<Float>, addingTo residual: Tensor<Float>, threads: Int,
    kernels: Kernels = .current
  ) {
    precondition(residual !== y && residual.shape == x.shape.with(channels: outChannels), "residual's shape")
    y.reshape(to: residual.shape)
    run(x, y, residual: residual, Int32(NC_EPILOGUE_ADD), threads, kernels)
  }

  private func run(
    _ x: Tensor<Float>, _ y: Tensor<Float>, residual: Tensor<Float>?, _ epilogue: Int32, _ threads: Int,
    _ kernels: Kernels
  ) {
    precondition(x !== y && x.shape.channels == inChannels, "\(x.shape) into \(inChannels) channels")
    let bands = Bands.positions(x.shape.positions)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      let from = x.pointer + range.lowerBound * inChannels
      let to = y.pointer + range.lowerBound * outChannels
      let trunk = residual.map { UnsafePointer($0.pointer + range.lowerBound * outChannels) }
      var conv = weights.convolution
      nc_conv1x1_f32(
        kernels.table, &conv, from, inChannels, to, outChannels, trunk, outChannels, range.count, epilogue)
    }
  }
}

/// `y = residual + second(leaky(first(x)))`, C -> kC -> C, over tiles of positions. `FixedPointPair` is its fixed-point twin.
package struct FloatPair: Sendable {
  package let first: FloatPointwise
  package let second: FloatPointwise

  package init(_ first: FloatPointwise, _ second: FloatPointwise) {
    precondition(
      first.outChannels == second.inChannels && second.outChannels == first.inChannels, "the pair must return to its channels")
    (self.first, self.second) = (first, second)
  }

  /// `x` and `residual` are [H, W, C]; `y` becomes the same shape and may be either.
  package func apply(
    _ x: Tensor<Float>, into y: Tensor<Float>, addingTo residual: Tensor<Float>, threads: Int,
    kernels: Kernels = .current
  ) {
    let channels = first.inChannels
    precondition(x.shape.channels == channels && residual.shape == x.shape, "\(x.shape) into \(channels) channels")
    if y !== x && y !== residual { y.reshape(to: x.shape) }
    let bands = Bands(count: x.shape.positions, size: 192)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      let from = x.pointer + range.lowerBound * channels
      let to = y.pointer + range.lowerBound * channels
      let trunk = residual.pointer + range.lowerBound * channels
      var a = first.weights.convolution
      var b = second.weights.convolution
      nc_pair1x1_f32(kernels.table, &a, &b, from, channels, trunk, channels, to, channels, range.count)
    }
  }
}
