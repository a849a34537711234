import CKernels

/// Validated and packed weights of a fixed-point layer; bitstream-spec 6.1.
struct FixedPointWeights: Sendable {
  let inChannels: Int
  let outChannels: Int
  let taps: Int
  let packed: Constants<Int16>
  let bias: Constants<Int32>
  let shift: Constants<Int32>

  enum Packing { case convolution, depthwise }

  /// `weights` are [out][tap][in] (a depthwise layer has one input), `bias` and `shifts` [out].
  init(
    inChannels: Int, outChannels: Int, taps: Int, weights: [Int16], bias: [Int32], shifts: [UInt8], packing: Packing,
    place: String
  ) throws(TensorError) {
    try checkLengths(
      inChannels, outChannels, taps, weights: weights.count, bias: bias.count, shifts: shifts.count, place: place)
    let reach = taps * inChannels
    for o in 0..<outChannels {
      guard shifts[o] <= 31 else {
        throw TensorError(.shift, in: place, "output \(o) shifts by \(shifts[o]) bits, 31 is the most")
      }
      var sum: Int64 = 0
      for w in weights[o * reach..<(o + 1) * reach] { sum += Int64(w.magnitude) }
      let bound = Int64(bias[o].magnitude) + 32768 * sum
      guard bound <= Int64(Int32.max) else {
        throw TensorError(.accumulatorBound, in: place, "output \(o) may reach \(bound), above 2^31 - 1")
      }
    }
    (self.inChannels, self.outChannels, self.taps) = (inChannels, outChannels, taps)
    switch packing {
    case .convolution:
      packed = Constants(count: nc_conv_i16_packed_count(inChannels, outChannels, taps)) { pointer in
        nc_conv_i16_pack(weights, inChannels, outChannels, taps, pointer)
      }
    case .depthwise:
      packed = Constants(count: weights.count) { pointer in
        for c in 0..<outChannels { for t in 0..<taps { pointer[t * outChannels + c] = weights[c * taps + t] } }
      }
    }
    self.bias = Constants(bias, paddedTo: paddedChannels(outChannels), with: 0)
    shift = Constants(shifts.map(Int32.init), paddedTo: paddedChannels(outChannels), with: 0)
  }

  /// Valid while `self` lives.
  var convolution: nc_conv_i16 {
    nc_conv_i16(
      in_channels: Int32(inChannels), out_channels: Int32(outChannels), taps: Int32(taps), weights: packed.pointer,
      bias: bias.pointer, shift: shift.pointer)
  }

  /// Valid while `self` lives.
  var depthwise: nc_depthwise_i16 {
    nc_depthwise_i16(
      channels: Int32(outChannels), weights: packed.pointer, bias: bias.pointer, shift: shift.pointer)
  }
}

func paddedChannels(_ channels: Int) -> Int {
  let block = Int(NC_CHANNEL_BLOCK)
  return (channels + block - 1) / block * block
}

func checkLengths(
  _ inChannels: Int, _ outChannels: Int, _ taps: Int, weights: Int, bias: Int, shifts: Int?, place: String
) throws(TensorError) {
  for channels in [inChannels, outChannels] where channels < 1 || channels > Shape.maximumChannels {
    throw TensorError(.channelCount, in: place, "\(channels) channels, not 1...\(Shape.maximumChannels)")
  }
  guard weights == inChannels * outChannels * taps else {
    throw TensorError(.length, in: place, "\(weights) weights for \(inChannels) x \(outChannels) x \(taps)")
  }
  guard bias == outChannels, shifts ?? outChannels == outChannels else {
    throw TensorError(.length, in: place, "\(bias) biases, \(shifts ?? 0) shifts for \(outChannels) outputs")
  }
}

extension Epilogue {
  var code: Int32 { Int32(self == .leaky ? NC_EPILOGUE_LEAKY : NC_EPILOGUE_NONE) }
}
