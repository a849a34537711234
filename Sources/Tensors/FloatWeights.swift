import CKernels
import COpenBLAS

/// What multiplies matrices for the float layers. Both give the same values for any thread count; they agree with each
/// other to rounding.
package enum FloatBackend: Sendable {
  /// OpenBLAS `sgemm` over fixed tiles, one thread each.
  case blas
  /// The kernel table's own register-blocked loop.
  case kernels
}

/// Validated weights of a float layer, as given and packed.
struct FloatWeights: Sendable {
  let inChannels: Int
  let outChannels: Int
  let taps: Int
  /// [out][tap][in]; for a depthwise layer [tap][channel].
  let plain: Constants<Float>
  /// In the kernels' order; empty for a depthwise layer.
  let packed: Constants<Float>
  let bias: Constants<Float>

  init(
    inChannels: Int, outChannels: Int, taps: Int, weights: [Float], bias: [Float],
    packing: FixedPointWeights.Packing, place: String
  ) throws(TensorError) {
    try checkLengths(
      inChannels, outChannels, taps, weights: weights.count, bias: bias.count, shifts: nil, place: place)
    (self.inChannels, self.outChannels, self.taps) = (inChannels, outChannels, taps)
    switch packing {
    case .convolution:
      plain = Constants(weights, paddedTo: weights.count, with: 0)
      packed = Constants(count: nc_conv_f32_packed_count(inChannels, outChannels, taps)) { pointer in
        nc_conv_f32_pack(weights, inChannels, outChannels, taps, pointer)
      }
    case .depthwise:
      plain = Constants(count: weights.count) { pointer in
        for c in 0..<outChannels { for t in 0..<taps { pointer[t * outChannels + c] = weights[c * taps + t] } }
      }
      packed = Constants(count: 0) { _ in }
    }
    self.bias = Constants(bias, paddedTo: paddedChannels(outChannels), with: 0)
  }

  /// Valid while `self` lives.
  var convolution: nc_conv_f32 {
    nc_conv_f32(
      in_channels: Int32(inChannels), out_channels: Int32(outChannels), taps: Int32(taps), weights: packed.pointer,
      bias: bias.pointer)
  }

  /// Valid while `self` lives.
  var depthwise: nc_depthwise_f32 {
    nc_depthwise_f32(channels: Int32(outChannels), weights: plain.pointer, bias: bias.pointer)
  }

  /// y[rows, out] = epilogue(x[rows, taps * in] * weights transposed + bias), dense rows of y, through OpenBLAS.
  func multiply(
    _ x: UnsafePointer<Float>, rows: Int, into y: UnsafeMutablePointer<Float>, residual: UnsafePointer<Float>?,
    epilogue: Int32, kernels: Kernels
  ) {
    _ = OpenBLAS.singleThreaded
    let depth = Int32(taps * inChannels)
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, Int32(rows), Int32(outChannels), depth, 1, x, depth, plain.pointer,
      depth, 0, y, Int32(outChannels))
    kernels.table.pointee.bias_f32(
      y, outChannels, bias.pointer, residual, outChannels, rows, outChannels, epilogue)
  }
}

enum OpenBLAS {
  /// Tiles are our unit of parallelism, so the library itself stays on its caller's thread. Set once per process.
  static let singleThreaded: Void = openblas_set_num_threads(1)
}

extension FloatBackend {
  /// What layers use unless told otherwise.
  package static let standard = FloatBackend.kernels
}
