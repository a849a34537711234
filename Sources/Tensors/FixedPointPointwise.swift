import CKernels

/// A 1x1 convolution in fixed point; bitstream-spec 6.1. Its float twin is `FloatPointwise`.
package struct FixedPointPointwise: Sendable {
  let weights: FixedPointWeights

  package var inChannels: Int { weights.inChannels }
  package var outChannels: Int { weights.outChannels }

  /// - Parameters:
  ///   - weights: [out][in]
  ///   - bias: [out], the rounding term 2^(shift-1) included
  ///   - shifts: [out], 0...31 bits to the right
  ///   - name: of the layer, for errors
  /// - Throws: `TensorError` (channelCount, length, shift, accumulatorBound)
  package init(
    inChannels: Int, outChannels: Int, weights: [Int16], bias: [Int32], shifts: [UInt8], name: String = "pointwise"
  ) throws(TensorError) {
    self.weights = try FixedPointWeights(
      inChannels: inChannels, outChannels: outChannels, taps: 1, weights: weights, bias: bias, shifts: shifts,
      packing: .convolution, place: name)
  }

  /// Applies the layer at every position. `x` is [H, W, in], `y` becomes [H, W, out]; they must be two tensors.
  package func apply(
    _ x: Tensor<Int16>, into y: Tensor<Int16>, epilogue: Epilogue = .none, threads: Int, kernels: Kernels = .current
  ) {
    y.reshape(to: x.shape.with(channels: outChannels))
    run(x, y, residual: nil, epilogue.code, threads, kernels)
  }

  /// The same, then `y = sat16(residual + y)`; `residual` is [H, W, out] and may be `y` itself.
  package func apply(
    _ x: Tensor<Int16>, into y: Tensor<Int16>, addingTo residual: Tensor<Int16>, threads: Int,
    kernels: Kernels = .current
  ) {
    precondition(residual.shape == x.shape.with(channels: outChannels), "residual's shape")
    if y !== residual { y.reshape(to: residual.shape) }
    run(x, y, residual: residual, Int32(NC_EPILOGUE_ADD), threads, kernels)
  }

  /// Reads the positions `input` of `x` and writes the positions `output` of `y`, row by row in order; both must name
  /// the same number of rows and of positions in each. Other positions of `y`, whose shape must be [., ., out], stay.
  package func apply(
    _ x: Tensor<Int16>, at input: Positions, into y: Tensor<Int16>, at output: Positions, epilogue: Epilogue = .none,
    threads: Int, kernels: Kernels = .current
  ) {
    precondition(x !== y && x.shape.channels == inChannels && y.shape.channels == outChannels, "channels")
    let rows = input.rowCount(in: x.shape)
    precondition(rows == output.rowCount(in: y.shape), "row counts differ")
    for row in 0..<min(rows, 2) {  // rows alternate at most
      precondition(input.run(row, in: x.shape).count == output.run(row, in: y.shape).count, "column counts differ")
    }
    let bands = Bands.rows(rows, width: rows == 0 ? 1 : input.run(0, in: x.shape).count)
    parallelFor(bands.number, threads: threads) { band in
      var conv = weights.convolution
      for row in bands.range(band) {
        let from = input.run(row, in: x.shape)
        let to = output.run(row, in: y.shape)
        if from.count == 0 { continue }
        nc_conv1x1_i16(
          kernels.table, &conv, x.row(from.row, column: from.column), from.step * inChannels,
          y.row(to.row, column: to.column), to.step * outChannels, nil, 0, from.count, epilogue.code)
      }
    }
  }

  private func run(
    _ x: Tensor<Int16>, _ y: Tensor<Int16>, residual: Tensor<Int16>?, _ epilogue: Int32, _ threads: Int,
    _ kernels: Kernels
  ) {
    precondition(x !== y, "x and y must be two tensors")
    precondition(x.shape.channels == inChannels, "\(x.shape) into \(inChannels) channels")
    let bands = Bands.positions(x.shape.positions)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      var conv = weights.convolution
      nc_conv1x1_i16(
        kernels.table, &conv, x.pointer + range.lowerBound * inChannels, inChannels,
        y.pointer + range.lowerBound * outChannels, outChannels,
        residual.map { UnsafePointer($0.pointer + range.lowerBound * outChannels) }, outChannels, range.count,
        epilogue)
    }
  }
}

/// `y = sat16(residual + second(leaky(first(x))))`, C -> kC -> C, over tiles of positions small enough that the hidden
/// channels stay in cache. The integers are those of the two layers applied one after the other.
package struct FixedPointPair: Sendable {
  package let first: FixedPointPointwise
  package let second: FixedPointPointwise

  package init(_ first: FixedPointPointwise, _ second: FixedPointPointwise) {
    precondition(
      first.outChannels == second.inChannels && second.outChannels == first.inChannels, "the pair must return to its channels")
    (self.first, self.second) = (first, second)
  }

  /// `x` and `residual` are [H, W, C], `y` becomes the same shape and may be either.
  package func apply(
    _ x: Tensor<Int16>, into y: Tensor<Int16>, addingTo residual: Tensor<Int16>, threads: Int,
    kernels: Kernels = .current
  ) {
    let channels = first.inChannels
    precondition(x.shape.channels == channels && residual.shape == x.shape, "\(x.shape) into \(channels) channels")
    if y !== x && y !== residual { y.reshape(to: x.shape) }
    let bands = Bands.positions(x.shape.positions)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      var a = first.weights.convolution
      var b = second.weights.convolution
      nc_pair1x1_i16(
        kernels.table, &a, &b, x.pointer + range.lowerBound * channels, channels,
        residual.pointer + range.lowerBound * channels, channels, y.pointer + range.lowerBound * channels, channels, range.count)
    }
  }
}
