import Autograd
import Glibc

/// What a batch of frames costs: encoder or stem, decoder and squared error of each frame, with parameters in common, and the bits of what is kept.
package final class NeRVGraph {
  package struct Frame {
    /// Samples of 0...1, [3, height, width] of what the stages make, of which the frame's own count.
    package let target: Variable
    /// Of HNeRV, as its encoder makes it; of NeRV the frame's waves, which `setNumber` puts there.
    package let source: Variable
    /// Of HNeRV: makes `stageInput` of the source, and codes it as the difference to `reference`.
    package let rounding: LearnedRounding?
    let reference: Variable?
    /// What the first stage takes: the rounded embedding, or what the stem makes.
    package let stageInput: Variable
    /// What `NeRVArchitecture.layers` make, the stem's second a single place; the last one is the frame.
    package let layers: [Variable]
    package let error: SquaredError

    package var output: Variable { layers[layers.count - 1] }
    /// In dB, of samples 0...1.
    package func psnr(pixels: Int) -> Double { -10 * log10(max(error.squares / Double(3 * pixels), 1e-10)) }
  }

  package let architecture: NeRVArchitecture
  package let decoder: NeRVParameters
  package let tape = Tape()
  package let frames: [Frame]
  /// Of HNeRV's encoder.
  package let encoderParameters: [Parameter]
  /// [1, 1]: log2 of the step of embeddings.
  package let embeddingStep = Parameter("step of embeddings", rows: 1, columns: 1)

  package var pixels: Int { architecture.width * architecture.height }

  /// Of HNeRV, with an encoder so wide, or of NeRV where the architecture has a stem.
  package init(_ architecture: NeRVArchitecture, batch: Int, encoderWidth: Int, seed: UInt64) {
    self.architecture = architecture
    decoder = NeRVParameters(architecture, appendingTo: tape)
    let encoder =
      architecture.stem == nil
      ? HNeRVEncoderNetwork(
        channels: architecture.embedding.channels, strides: architecture.stages.map(\.factor).filter { $0 > 1 }, width: encoderWidth, seed: seed) : nil
    encoderParameters = encoder?.parameters ?? []
    let scale = architecture.factor, shape = architecture.embedding
    var frames: [Frame] = []
    for _ in 0..<batch {
      let target = Variable("frame", channels: 3, height: shape.height * scale, width: shape.width * scale, hasGradient: false)
      let input = Variable("stage input", channels: shape.channels, height: shape.height, width: shape.width)
      let source: Variable, rounding: LearnedRounding?, reference: Variable?
      var layers: [Variable] = []
      if let encoder {
        source = encoder.append(to: tape, target)
        reference = Variable("frame before", channels: shape.channels, height: shape.height, width: shape.width, hasGradient: false)
        rounding = tape.append(LearnedRounding(source, into: input, reference: reference, logStep: embeddingStep))
      } else {
        source = Variable("waves", channels: architecture.layers[0].inputs, height: 1, width: 1, hasGradient: false)
        (rounding, reference) = (nil, nil)
        layers = Self.append(architecture.stemLayers, to: tape, on: source, architecture, decoder)
        tape.append(Reshape(layers[1], into: input))
      }
      layers += Self.append(architecture.stages, to: tape, on: input, architecture, decoder, first: layers.count)
      let error = tape.append(
        SquaredError(
          layers[layers.count - 1], target: target, height: architecture.height, width: architecture.width,
          weight: 1 / Double(3 * architecture.width * architecture.height * batch)))
      frames.append(Frame(target: target, source: source, rounding: rounding, reference: reference, stageInput: input, layers: layers, error: error))
    }
    self.frames = frames
  }

  /// Layers on x, the first of which has the parameters of number `first`; what each makes.
  private static func append(
    _ layers: [NeRVArchitecture.Stage], to tape: Tape, on x: Variable, _ architecture: NeRVArchitecture, _ parameters: NeRVParameters, first: Int = 0
  ) -> [Variable] {
    var (x, made): (Variable, [Variable]) = (x, [])
    let activation: Activation = architecture.activation == .gelu ? .gelu : .swish
    for (i, layer) in layers.enumerated() {
      let y = Variable("layer\(first + i)", channels: layer.outputs, height: x.height * layer.factor, width: x.width * layer.factor)
      let isLast = first + i == parameters.weights.count - 1
      tape.append(
        Convolution(
          x, into: y, weights: parameters.weights[first + i].used, bias: parameters.biases[first + i].used, side: layer.side, factor: layer.factor,
          activation: isLast ? .unit : activation))
      made.append(y)
      x = y
    }
    return made
  }

  /// Says which frame of `count` one is, where a stem wants to know.
  func setNumber(_ number: Int, of count: Int, in frame: Frame) {
    guard let stem = architecture.stem else { return }
    frame.source.load(NeRVStem.waves(frame: number, of: count, levels: stem.levels).map { Float($0) * exp2f(-Float(NeRVStem.waveFraction)) })
  }

  /// Rounds from now on, to steps by the numbers at hand.
  package func beginRounding(frames count: Int) {
    decoder.beginRounding()
    if architecture.stem == nil {
      let values = frames.flatMap(\.source.elements)
      embeddingStep.value[0] = log2f(max(values.reduce(0) { $0 + $1.magnitude } / Float(values.count), 1e-6) / 8)
    }
    isRounding(cost: 0, frames: count)
  }

  /// Rounds to the steps that are there.
  func isRounding(cost lambda: Double, frames count: Int) {
    for part in decoder.weights + decoder.biases { part.rounding.isOn = true }
    for frame in frames { frame.rounding?.isOn = true }
    setCost(lambda, frames: count)
  }

  /// A bit of the weights of `count` frames adds `lambda` / (pixels of them all) to the loss, a bit of an embedding as much for each frame.
  func setCost(_ lambda: Double, frames count: Int) {
    for part in decoder.weights { part.rounding.weight = lambda / Double(pixels * count) }
    for frame in frames { frame.rounding?.weight = lambda / Double(pixels * frames.count) }
  }
}
