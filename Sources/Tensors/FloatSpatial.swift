import CKernels

/// A 3x3 convolution in float, zero outside the picture. `FixedPointConv3x3` is its fixed-point twin.
package struct FloatConv3x3: Sendable {
  let weights: FloatWeights
  /// 1 or 2; the output is [ceil(H / stride), ceil(W / stride), out].
  package let stride: Int

  package var inChannels: Int { weights.inChannels }
  package var outChannels: Int { weights.outChannels }

  /// - Parameters:
  ///   - weights: [out][dy][dx][in]
  ///   - bias: [out]
  /// - Throws: `TensorError` (channelCount, length)
  package init(
    inChannels: Int, outChannels: Int, stride: Int = 1, weights: [Float], bias: [Float], name: String = "float conv3x3"
  ) throws(TensorError) {
    precondition(stride == 1 || stride == 2, "stride")
    self.stride = stride
    self.weights = try FloatWeights(
      inChannels: inChannels, outChannels: outChannels, taps: 9, weights: weights, bias: bias, packing: .convolution,
      place: name)
  }

  package func outputShape(for x: Shape) -> Shape {
    Shape((x.height + stride - 1) / stride, (x.width + stride - 1) / stride, outChannels)
  }

  /// `x` is [H, W, in]; `y` becomes the output shape and must be another tensor. `residual`, of the output shape, is
  /// added after the sum; it excludes the leaky epilogue and must not be `y`.
  package func apply(
    _ x: Tensor<Float>, into y: Tensor<Float>, epilogue: Epilogue = .none, addingTo residual: Tensor<Float>? = nil,
    threads: Int, kernels: Kernels = .current
  ) {
    precondition(x !== y && x.shape.channels == inChannels, "\(x.shape) into \(inChannels) channels")
    y.reshape(to: outputShape(for: x.shape))
    if let residual {
      precondition(residual !== y && residual.shape == y.shape && epilogue == .none, "residual's shape or epilogue")
    }
    let code = residual == nil ? epilogue.code : Int32(NC_EPILOGUE_ADD)
    let bands = Bands.rows(y.shape.height, width: y.shape.width)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      var conv = weights.convolution
      nc_conv3x3_f32(
        kernels.table, &conv, x.pointer, x.shape.height, x.shape.width, stride, y.pointer, residual?.pointer,
        range.lowerBound, range.upperBound, code)
    }
  }
}

/// A depthwise 3x3 convolution in float, zero outside the picture. `FixedPointDepthwise3x3` is its fixed-point twin.
package struct FloatDepthwise3x3: Sendable {
  let weights: FloatWeights

  package var channels: Int { weights.outChannels }

  /// - Parameters:
  ///   - weights: [channel][dy][dx]
  ///   - bias: [channel]
  /// - Throws: `TensorError` (channelCount, length)
  package init(
    channels: Int, weights: [Float], bias: [Float], name: String = "float depthwise3x3"
  ) throws(TensorError) {
    self.weights = try FloatWeights(
      inChannels: 1, outChannels: channels, taps: 9, weights: weights, bias: bias, packing: .depthwise, place: name)
  }

  /// `x` is [H, W, C]; `y` becomes the same shape and must be another tensor.
  package func apply(
    _ x: Tensor<Float>, into y: Tensor<Float>, epilogue: Epilogue = .none, threads: Int, kernels: Kernels = .current
  ) {
    precondition(x !== y && x.shape.channels == channels, "\(x.shape) into \(channels) channels")
    y.reshape(to: x.shape)
    let bands = Bands.rows(x.shape.height, width: x.shape.width)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      var conv = weights.depthwise
      kernels.table.pointee.depthwise_f32(
        &conv, x.pointer, x.shape.height, x.shape.width, y.pointer, range.lowerBound, range.upperBound, epilogue.code)
    }
  }
}

extension Tensor where Element == Float {
  /// `self = max(self, self / 4)`, elementwise.
  package func applyLeaky(kernels: Kernels = .current) {
    kernels.table.pointee.leaky_f32(pointer, pointer, shape.count)
  }
}
