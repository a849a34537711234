import CKernels

/// Validated weights of a float layer, as given and packed.
struct FloatWeights: Sendable {
  let inChannels: Int
  let outChannels: Int
  let taps: Int
  /// In the kernels' order; for a depthwise layer [tap][channel].
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
      packed = Constants(count: nc_conv_f32_packed_count(inChannels, outChannels, taps)) { pointer in
        nc_conv_f32_pack(weights, inChannels, outChannels, taps, pointer)
      }
    case .depthwise:
      packed = Constants(count: weights.count) { pointer in
        for c in 0..<outChannels { for t in 0..<taps { pointer[t * outChannels + c] = weights[c * taps + t] } }
      }
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
    nc_depthwise_f32(channels: Int32(outChannels), weights: packed.pointer, bias: bias.pointer)
  }
}
