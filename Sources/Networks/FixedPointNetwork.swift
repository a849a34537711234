import Tensors

/// The layers of a decoder, in the integer arithmetic of the specification, loaded from a weights file by name.
/// `FloatNetwork.swift` has the encoder's twins.
// bitstream-spec 6

extension WeightsFile {
  /// The pointwise convolution `name`: tensors `.weight` [out, in], `.bias` [out], `.shift` [out]; nil matches any
  /// number of channels. Throws `WeightsError`, or `TensorError` where the bound of spec 6.1 is broken.
  package func pointwise(_ name: String, in inChannels: Int?, out outChannels: Int?) throws -> FixedPointPointwise {
    let shape = try shape("\(name).weight")
    let weights = try int16("\(name).weight", outChannels, inChannels)
    return try FixedPointPointwise(
      inChannels: shape[1], outChannels: shape[0], weights: weights, bias: int32("\(name).bias", shape[0]),
      shifts: uint8("\(name).shift", shape[0]), name: name)
  }

  /// The depthwise convolution `name`: `.weight` [channels, 9], taps row by row.
  package func depthwise(_ name: String, channels: Int) throws -> FixedPointDepthwise3x3 {
    try FixedPointDepthwise3x3(
      channels: channels, weights: int16("\(name).weight", channels, 9), bias: int32("\(name).bias", channels),
      shifts: uint8("\(name).shift", channels), name: name)
  }

  /// Blocks `stage.0`, `stage.1`, ... as far as there are any.
  package func fixedPointBlocks(_ stage: String, channels: Int) throws -> FixedPointBlocks {
    var blocks: [FixedPointBlock] = []
    while contains("\(stage).\(blocks.count).a.weight") {
      let name = "\(stage).\(blocks.count)"
      let first = try pointwise("\(name).a", in: channels, out: nil)
      blocks.append(
        FixedPointBlock(
          depthwise: try depthwise("\(name).depthwise", channels: channels),
          pair: FixedPointPair(first, try pointwise("\(name).b", in: first.outChannels, out: channels))))
    }
    return FixedPointBlocks(blocks: blocks)
  }
}

/// `x + second(leaky(first(depthwise(x))))`, the one residual block of the image codec. [H, W, C] -> same.
// bitstream-spec 8.2
package struct FixedPointBlock: Sendable {
  let depthwise: FixedPointDepthwise3x3
  /// `first` and `second`.
  let pair: FixedPointPair
}

/// A stage: blocks one after the other.
package struct FixedPointBlocks: Sendable {
  let blocks: [FixedPointBlock]

  /// Runs the stage on `x` in place.
  package func apply(_ x: Tensor<Int16>, scratch: FixedPointScratch, threads: Int) {
    for block in blocks {
      block.depthwise.apply(x, into: scratch.spatial, threads: threads)
      block.pair.apply(scratch.spatial, into: x, addingTo: x, threads: threads)
    }
  }
}

/// Memory that the stages of one decoding share.
package final class FixedPointScratch: Sendable {
  let spatial = Tensor<Int16>(uninitialized: Shape(0, 0, 0))

  package init() {}
}
