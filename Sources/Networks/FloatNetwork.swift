import Tensors

/// The layers of an encoder's analysis, in float; the same shapes as `FixedPointNetwork.swift`. No file depends on
/// their rounding: what they say is quantised and then coded.

extension WeightsFile {
  package func floatPointwise(_ name: String, in inChannels: Int?, out outChannels: Int?) throws -> FloatPointwise {
    let shape = try shape("\(name).weight")
    let weights = try float("\(name).weight", outChannels, inChannels)
    return try FloatPointwise(
      inChannels: shape[1], outChannels: shape[0], weights: weights, bias: float("\(name).bias", shape[0]), name: name)
  }

  package func floatBlocks(_ stage: String, channels: Int) throws -> FloatBlocks {
    var blocks: [FloatBlock] = []
    while contains("\(stage).\(blocks.count).a.weight") {
      let name = "\(stage).\(blocks.count)"
      let first = try floatPointwise("\(name).a", in: channels, out: nil)
      blocks.append(
        FloatBlock(
          depthwise: try FloatDepthwise3x3(
            channels: channels, weights: float("\(name).depthwise.weight", channels, 9),
            bias: float("\(name).depthwise.bias", channels), name: name),
          pair: FloatPair(first, try floatPointwise("\(name).b", in: first.outChannels, out: channels))))
    }
    return FloatBlocks(blocks: blocks)
  }
}

struct FloatBlock: Sendable {
  let depthwise: FloatDepthwise3x3
  let pair: FloatPair
}

package struct FloatBlocks: Sendable {
  let blocks: [FloatBlock]

  /// Runs the stage on `x` in place.
  package func apply(_ x: Tensor<Float>, scratch: FloatScratch, threads: Int) {
    for block in blocks {
      block.depthwise.apply(x, into: scratch.spatial, threads: threads)
      block.pair.apply(scratch.spatial, into: x, addingTo: x, threads: threads)
    }
  }
}

/// Memory that the stages of one encoding share.
package final class FloatScratch: Sendable {
  let spatial = Tensor<Float>(uninitialized: Shape(0, 0, 0))

  package init() {}
}
