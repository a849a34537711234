import Autograd
import Tensors

/// HNeRV's encoder, which makes a frame's embedding while a video is fitted and is not kept: in each stage cells become channels, then one
/// ConvNeXt block (Liu et al. 2022).
struct HNeRVEncoderNetwork {
  private static let side = 7
  private static let expansion = 4

  private struct Stage {
    let factor, inputs, outputs: Int
    /// The norm before the patches, but in the first stage behind them.
    let norm: (gain: Parameter, bias: Parameter)
    let patches, depthwise, up, down: (weights: Parameter, bias: Parameter)
    let inner: (gain: Parameter, bias: Parameter)
    let scale: Parameter
  }

  private let stages: [Stage]
  let parameters: [Parameter]

  /// `width`: channels of all stages but the last; 64 in the authors' code.
  init(channels: Int, strides: [Int], width: Int, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var parameters: [Parameter] = []
    func keep(_ parameter: Parameter) -> Parameter {
      parameters.append(parameter)
      return parameter
    }
    func layer(_ name: String, _ rows: Int, _ columns: Int) -> (weights: Parameter, bias: Parameter) {
      let values = (0..<rows * columns).map { _ in random.nextNormal(deviation: 0.02) }
      return (keep(Parameter(name, rows: rows, columns: columns, values: values)), keep(Parameter(name, rows: 1, columns: rows)))
    }
    func norm(_ count: Int) -> (gain: Parameter, bias: Parameter) {
      (
        keep(Parameter("gain", rows: 1, columns: count, values: [Float](repeating: 1, count: count))),
        keep(Parameter("bias", rows: 1, columns: count))
      )
    }
    var stages: [Stage] = []
    for (i, factor) in strides.enumerated() {
      let inputs = i == 0 ? 3 : width, outputs = i == strides.count - 1 ? channels : width
      stages.append(
        Stage(
          factor: factor, inputs: inputs, outputs: outputs, norm: norm(i == 0 ? outputs : inputs),
          patches: layer("patches\(i)", outputs, inputs * factor * factor),
          depthwise: layer("depthwise\(i)", outputs, Self.side * Self.side),
          up: layer("up\(i)", Self.expansion * outputs, outputs),
          down: layer("down\(i)", outputs, Self.expansion * outputs), inner: norm(outputs),
          scale: keep(Parameter("scale\(i)", rows: 1, columns: outputs, values: [Float](repeating: 1e-6, count: outputs)))))
    }
    self.stages = stages
    self.parameters = parameters
  }

  /// Appends what makes the embedding of `frame` [3, h, w].
  func append(to tape: Tape, _ frame: Variable) -> Variable {
    var x = frame
    for (i, stage) in stages.enumerated() {
      if i > 0 { x = normalised(tape, x, stage.norm) }
      let cells = Variable(
        "cells\(i)", channels: x.channels * stage.factor * stage.factor, height: x.height / stage.factor, width: x.width / stage.factor,
        hasGradient: i > 0)
      tape.append(PixelUnshuffle(x, into: cells, factor: stage.factor))
      x = pointwise(tape, cells, stage.patches, outputs: stage.outputs)
      if i == 0 { x = normalised(tape, x, stage.norm) }
      let y = Variable("depthwise\(i)", channels: x.channels, height: x.height, width: x.width)
      tape.append(
        DepthwiseConvolution(x, into: y, weights: stage.depthwise.weights, bias: stage.depthwise.bias, side: Self.side))
      let up = pointwise(tape, normalised(tape, y, stage.inner), stage.up, outputs: Self.expansion * stage.outputs, .gelu)
      let down = pointwise(tape, up, stage.down, outputs: stage.outputs)
      let sum = Variable("block\(i)", channels: x.channels, height: x.height, width: x.width)
      tape.append(ScaledSum(x, down, into: sum, factors: stage.scale))
      x = sum
    }
    return x
  }

  private func normalised(_ tape: Tape, _ x: Variable, _ norm: (gain: Parameter, bias: Parameter)) -> Variable {
    let y = Variable("norm", channels: x.channels, height: x.height, width: x.width)
    tape.append(ChannelNorm(x, into: y, gain: norm.gain, bias: norm.bias))
    return y
  }

  private func pointwise(
    _ tape: Tape, _ x: Variable, _ layer: (weights: Parameter, bias: Parameter), outputs: Int, _ activation: Activation = .none
  ) -> Variable {
    let y = Variable("pointwise", channels: outputs, height: x.height, width: x.width)
    tape.append(Convolution(x, into: y, weights: layer.weights, bias: layer.bias, side: 1, activation: activation))
    return y
  }
}
