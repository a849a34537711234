import Autograd
import Glibc

/// What a batch of frames costs: encoder, decoder and squared error of each frame, with parameters in common, and the bits of what is kept.
package final class NeRVGraph {
  package struct Frame {
    /// Samples of 0...1, [3, height, width] of what the stages make, of which the frame's own count.
    package let target: Variable
    /// As the encoder makes it, and rounded.
    package let embedding, stageInput: Variable
    package let rounding: LearnedRounding
    /// What stages make; the last one is the frame.
    package let stages: [Variable]
    package let error: SquaredError

    package var output: Variable { stages[stages.count - 1] }
    /// In dB, of samples 0...1.
    package func psnr(pixels: Int) -> Double { -10 * log10(max(error.squares / Double(3 * pixels), 1e-10)) }
  }

  package let architecture: NeRVArchitecture
  package let decoder: NeRVParameters
  package let tape = Tape()
  package let frames: [Frame]
  /// Of the encoder.
  package let encoderParameters: [Parameter]
  /// [1, 1]: log2 of the step of embeddings.
  package let embeddingStep = Parameter("step of embeddings", rows: 1, columns: 1)

  package var pixels: Int { architecture.width * architecture.height }

  /// HNeRV.
  package init(_ architecture: NeRVArchitecture, batch: Int, seed: UInt64) {
    self.architecture = architecture
    decoder = NeRVParameters(architecture, appendingTo: tape)
    let encoder = HNeRVEncoderNetwork(
      channels: architecture.embedding.channels, strides: architecture.stages.map(\.factor).filter { $0 > 1 }, seed: seed)
    encoderParameters = encoder.parameters
    let scale = architecture.stages.reduce(1) { $0 * $1.factor }
    let (height, width) = (architecture.embedding.height * scale, architecture.embedding.width * scale)
    var frames: [Frame] = []
    for _ in 0..<batch {
      let target = Variable("frame", channels: 3, height: height, width: width, hasGradient: false)
      let embedding = encoder.append(to: tape, target)
      let rounded = Variable("embedding", channels: embedding.channels, height: embedding.height, width: embedding.width)
      let rounding = tape.append(LearnedRounding(embedding, into: rounded, logStep: embeddingStep))
      let stages = Self.decode(tape, rounded, architecture, decoder)
      let error = tape.append(
        SquaredError(
          stages[stages.count - 1], target: target, height: architecture.height, width: architecture.width,
          weight: 1 / Double(3 * architecture.width * architecture.height * batch)))
      frames.append(Frame(target: target, embedding: embedding, stageInput: rounded, rounding: rounding, stages: stages, error: error))
    }
    self.frames = frames
  }

  private static func decode(
    _ tape: Tape, _ embedding: Variable, _ architecture: NeRVArchitecture, _ parameters: NeRVParameters
  ) -> [Variable] {
    var (x, stages): (Variable, [Variable]) = (embedding, [])
    let activation: Activation = architecture.activation == .gelu ? .gelu : .swish
    for (i, stage) in architecture.stages.enumerated() {
      let y = Variable("stage\(i)", channels: stage.outputs, height: x.height * stage.factor, width: x.width * stage.factor)
      tape.append(
        Convolution(
          x, into: y, weights: parameters.weights[i].used, bias: parameters.biases[i].used, side: stage.side, factor: stage.factor,
          activation: i == architecture.stages.count - 1 ? .unit : activation))
      stages.append(y)
      x = y
    }
    return stages
  }

  /// Rounds from now on, to steps by the numbers at hand.
  package func beginRounding(frames count: Int) {
    decoder.beginRounding()
    let values = frames.flatMap(\.embedding.elements)
    embeddingStep.value[0] = log2f(max(values.reduce(0) { $0 + $1.magnitude } / Float(values.count), 1e-6) / 8)
    isRounding(cost: 0, frames: count)
  }

  /// Rounds to the steps that are there.
  func isRounding(cost lambda: Double, frames count: Int) {
    for part in decoder.weights + decoder.biases { part.rounding.isOn = true }
    for frame in frames { frame.rounding.isOn = true }
    setCost(lambda, frames: count)
  }

  /// A bit of the weights of `count` frames adds `lambda` / (pixels of them all) to the loss, a bit of an embedding as much for each frame.
  func setCost(_ lambda: Double, frames count: Int) {
    for part in decoder.weights { part.rounding.weight = lambda / Double(pixels * count) }
    for frame in frames { frame.rounding.weight = lambda / Double(pixels * frames.count) }
  }
}
