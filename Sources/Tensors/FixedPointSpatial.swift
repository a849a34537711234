import CKernels

/// A 3x3 convolution in fixed point, zero outside the picture; bitstream-spec 6.2. Its float twin is `FloatConv3x3`.
package struct FixedPointConv3x3: Sendable {
  let weights: FixedPointWeights
  /// 1 or 2; the output is [ceil(H / stride), ceil(W / stride), out].
  package let stride: Int

  package var inChannels: Int { weights.inChannels }
  package var outChannels: Int { weights.outChannels }

  /// - Parameters:
  ///   - weights: [out][dy][dx][in]
  ///   - bias: [out], the rounding term included
  ///   - shifts: [out], 0...31
  /// - Throws: `TensorError` (channelCount, length, shift, accumulatorBound)
  package init(
    inChannels: Int, outChannels: Int, stride: Int = 1, weights: [Int16], bias: [Int32], shifts: [UInt8],
    name: String = "conv3x3"
  ) throws(TensorError) {
    precondition(stride == 1 || stride == 2, "stride")
    self.stride = stride
    self.weights = try FixedPointWeights(
      inChannels: inChannels, outChannels: outChannels, taps: 9, weights: weights, bias: bias, shifts: shifts,
      packing: .convolution, place: name)
  }

  package func outputShape(for x: Shape) -> Shape {
    Shape((x.height + stride - 1) / stride, (x.width + stride - 1) / stride, outChannels)
  }

  /// `x` is [H, W, in]; `y` becomes the output shape and must be another tensor.
  package func apply(
    _ x: Tensor<Int16>, into y: Tensor<Int16>, epilogue: Epilogue = .none, threads: Int, kernels: Kernels = .current
  ) {
    y.reshape(to: outputShape(for: x.shape))
    run(x, y, residual: nil, epilogue.code, threads, kernels)
  }

  /// The same, then `y = sat16(residual + y)`; `residual` has the output shape and may be `y` itself.
  package func apply(
    _ x: Tensor<Int16>, into y: Tensor<Int16>, addingTo residual: Tensor<Int16>, threads: Int,
    kernels: Kernels = .current
  ) {
    precondition(residual.shape == outputShape(for: x.shape), "residual's shape")
    if y !== residual { y.reshape(to: residual.shape) }
    run(x, y, residual: residual, Int32(NC_EPILOGUE_ADD), threads, kernels)
  }

  private func run(
    _ x: Tensor<Int16>, _ y: Tensor<Int16>, residual: Tensor<Int16>?, _ epilogue: Int32, _ threads: Int,
    _ kernels: Kernels
  ) {
    precondition(x !== y && x.shape.channels == inChannels, "\(x.shape) into \(inChannels) channels")
    let bands = Bands.rows(y.shape.height, width: y.shape.width)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      var conv = weights.convolution
      nc_conv3x3_i16(
        kernels.table, &conv, x.pointer, x.shape.height, x.shape.width, stride, y.pointer, residual?.pointer,
        range.lowerBound, range.upperBound, epilogue)
    }
  }
}

/// A depthwise 3x3 convolution in fixed point, zero outside the picture; bitstream-spec 6.3. Its float twin is
/// `FloatDepthwise3x3`.
package struct FixedPointDepthwise3x3: Sendable {
  let weights: FixedPointWeights

  package var channels: Int { weights.outChannels }

  /// - Parameters:
  ///   - weights: [channel][dy][dx]
  ///   - bias: [channel], the rounding term included
  ///   - shifts: [channel], 0...31
  /// - Throws: `TensorError` (channelCount, length, shift, accumulatorBound)
  package init(
    channels: Int, weights: [Int16], bias: [Int32], shifts: [UInt8], name: String = "depthwise3x3"
  ) throws(TensorError) {
    self.weights = try FixedPointWeights(
      inChannels: 1, outChannels: channels, taps: 9, weights: weights, bias: bias, shifts: shifts,
      packing: .depthwise, place: name)
  }

  /// `x` is [H, W, C]; `y` becomes the same shape and must be another tensor.
  package func apply(
    _ x: Tensor<Int16>, into y: Tensor<Int16>, epilogue: Epilogue = .none, threads: Int, kernels: Kernels = .current
  ) {
    precondition(x !== y && x.shape.channels == channels, "\(x.shape) into \(channels) channels")
    y.reshape(to: x.shape)
    let bands = Bands.rows(x.shape.height, width: x.shape.width)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      var conv = weights.depthwise
      kernels.table.pointee.depthwise_i16(
        &conv, x.pointer, x.shape.height, x.shape.width, y.pointer, range.lowerBound, range.upperBound, epilogue.code)
    }
  }
}
