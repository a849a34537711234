import Autograd

/// What a batch of frames costs: encoder, decoder and squared error of each frame, with parameters in common.
package final class NeRVGraph {
  package struct Frame {
    /// Samples of 0...1, [3, height, width].
    package let target: Variable
    package let output: Variable
    package let error: SquaredError
  }

  package let architecture: NeRVArchitecture
  package let decoder: NeRVParameters
  package let tape = Tape()
  package let frames: [Frame]
  /// Of the encoder.
  package let encoderParameters: [Parameter]

  /// HNeRV.
  package init(_ architecture: NeRVArchitecture, strides: [Int], batch: Int, seed: UInt64) {
    self.architecture = architecture
    decoder = NeRVParameters(architecture, seed: seed)
    let encoder = HNeRVEncoderNetwork(channels: architecture.embedding.channels, strides: strides, seed: seed &+ 1)
    encoderParameters = encoder.parameters
    var frames: [Frame] = []
    for _ in 0..<batch {
      let target = Variable("frame", channels: 3, height: architecture.height, width: architecture.width, hasGradient: false)
      let embedding = encoder.append(to: tape, target)
      let output = Self.decode(tape, embedding, architecture, decoder)
      let error = tape.append(SquaredError(output, target: target, weight: 1 / Double(target.count * batch)))
      frames.append(Frame(target: target, output: output, error: error))
    }
    self.frames = frames
  }

  private static func decode(
    _ tape: Tape, _ embedding: Variable, _ architecture: NeRVArchitecture, _ parameters: NeRVParameters
  ) -> Variable {
    var x = embedding
    for (i, stage) in architecture.stages.enumerated() {
      let y = Variable("stage\(i)", channels: stage.outputs, height: x.height * stage.factor, width: x.width * stage.factor)
      tape.append(
        Convolution(
          x, into: y, weights: parameters.weights[i], bias: parameters.biases[i], side: stage.side, factor: stage.factor,
          activation: i == architecture.stages.count - 1 ? .unit : .gelu))
      x = y
    }
    return x
  }
}
