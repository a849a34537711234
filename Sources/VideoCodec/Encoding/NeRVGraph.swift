import Autograd
import Glibc

/// What a batch of frames costs: encoder or stem, decoder and squared error of each frame, with parameters in common, and the bits of what is kept.
/// Frames of a group are the batch, and have one decoder's pass in common.
package final class NeRVGraph {
  package struct Frame {
    /// Samples of 0...1, [3, height, width] of what the stages make, of which the frame's own count.
    package let target: Variable
    /// Of HNeRV, as its encoder makes it; of NeRV the frame's waves, which `setNumber` puts there; of groups those of the places.
    package let source: Variable
    /// Of HNeRV: makes `stageInput` of the source, and codes it as the difference to `reference`.
    package let rounding: LearnedRounding?
    let reference: Variable?
    /// What the first stage takes: the rounded embedding, what the stem makes, or the places' waves.
    package let stageInput: Variable
    /// What `NeRVArchitecture.layers` make, before and after each sum; the stem's second a single place, the last one the frame, or all of a group.
    let layers: [[Variable]]
    package let error: SquaredError
    /// [3, height, width]
    package let output: Variable

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

  /// Whether bits of biases cost, which is so where they are changes of those of a group before.
  var chargesBiases = false

  package var pixels: Int { architecture.width * architecture.height }

  /// Of HNeRV, with an encoder so wide, of NeRV where the architecture has a stem, or of a group, which is the batch.
  package init(_ architecture: NeRVArchitecture, batch: Int, encoderWidth: Int, seed: UInt64) {
    self.architecture = architecture
    decoder = NeRVParameters(architecture, appendingTo: tape)
    let encoder =
      architecture.hasEmbeddings
      ? HNeRVEncoderNetwork(
        channels: architecture.embedding.channels, strides: architecture.stages.map(\.factor).filter { $0 > 1 }, width: encoderWidth, seed: seed) : nil
    encoderParameters = encoder?.parameters ?? []
    let scale = architecture.factor, shape = architecture.embedding
    if architecture.groupFrames != nil {
      precondition(batch == architecture.passFrames, "a batch is a group")
      frames = Self.group(architecture, tape, decoder)
      return
    }
    var frames: [Frame] = []
    for _ in 0..<batch {
      let target = Variable("frame", channels: 3, height: shape.height * scale, width: shape.width * scale, hasGradient: false)
      let input = Variable("stage input", channels: shape.channels, height: shape.height, width: shape.width)
      let source: Variable, rounding: LearnedRounding?, reference: Variable?
      var layers: [[Variable]] = []
      if let encoder {
        source = encoder.append(to: tape, target)
        reference = Variable("frame before", channels: shape.channels, height: shape.height, width: shape.width, hasGradient: false)
        rounding = tape.append(LearnedRounding(source, into: input, reference: reference, logStep: embeddingStep))
      } else {
        source = Variable("waves", channels: architecture.layers[0].inputs, height: 1, width: 1, hasGradient: false)
        (rounding, reference) = (nil, nil)
        layers = Self.append(architecture.stemLayers, to: tape, on: source, architecture, decoder)
        tape.append(Reshape(layers[1][0], into: input))
      }
      layers += Self.append(architecture.stages, to: tape, on: input, architecture, decoder, first: layers.count)
      let output = layers[layers.count - 1][0]
      let error = tape.append(
        SquaredError(
          output, target: target, height: architecture.height, width: architecture.width,
          weight: 1 / Double(3 * architecture.width * architecture.height * batch)))
      frames.append(
        Frame(
          target: target, source: source, rounding: rounding, reference: reference, stageInput: input, layers: layers, error: error,
          output: output))
    }
    self.frames = frames
  }

  /// One pass, whose output's planes are the frames.
  private static func group(_ architecture: NeRVArchitecture, _ tape: Tape, _ parameters: NeRVParameters) -> [Frame] {
    let shape = architecture.embedding, count = architecture.passFrames
    let waves = Variable("waves of places", channels: shape.channels, height: shape.height, width: shape.width, hasGradient: false)
    waves.load(waves: NeRVInputs.places(shape))
    let layers = append(architecture.stages, to: tape, on: waves, architecture, parameters), output = layers[layers.count - 1][0]
    return (0..<count).map { i in
      let target = Variable("frame", channels: 3, height: output.height, width: output.width, hasGradient: false)
      let own = output.view(3 * i..<3 * i + 3)
      let error = tape.append(SquaredError(own, target: target, height: architecture.height, width: architecture.width, weight: 0))
      return Frame(target: target, source: waves, rounding: nil, reference: nil, stageInput: waves, layers: layers, error: error, output: own)
    }
  }

  /// Lets the first so many frames of a group count, as much as if they were all.
  func setCounting(_ count: Int) {
    for (i, frame) in frames.enumerated() { frame.error.weight = i < count ? 1 / Double(3 * pixels * count) : 0 }
  }

  /// Layers on x, the first of which has the parameters of number `first`; what each makes.
  private static func append(
    _ layers: [NeRVArchitecture.Stage], to tape: Tape, on x: Variable, _ architecture: NeRVArchitecture, _ parameters: NeRVParameters, first: Int = 0
  ) -> [[Variable]] {
    var (x, made): (Variable, [[Variable]]) = (x, [])
    let activation: Activation = architecture.activation == .gelu ? .gelu : .swish
    for (i, layer) in layers.enumerated() {
      func variable(_ name: String) -> Variable {
        Variable("\(name)\(first + i)", channels: layer.outputs, height: x.height * layer.factor, width: x.width * layer.factor)
      }
      var y = variable("layer")
      let weights = parameters.weights[first + i].used, bias = parameters.biases[first + i].used
      let isLast = first + i == parameters.weights.count - 1
      if layer.isDepthwise {
        precondition(layer.isLinear, "no fit has depthwise stages with an activation")
        tape.append(DepthwiseConvolution(x, into: y, weights: weights, bias: bias, side: layer.side))
      } else {
        tape.append(
          Convolution(
            x, into: y, weights: weights, bias: bias, side: layer.side, factor: layer.factor,
            activation: isLast ? .unit : layer.isLinear ? .none : activation))
      }
      var steps = [y]
      for back in layer.sums {
        let source = made[i - back - 1].last!, sum = variable("sum")
        tape.append(Sum(y, source.height == y.height ? source : enlarged(source, to: y, tape), into: sum))
        steps.append(sum)
        y = sum
      }
      made.append(steps)
      x = y
    }
    return made
  }

  private static func enlarged(_ x: Variable, to size: Variable, _ tape: Tape) -> Variable {
    let y = Variable("enlarged", channels: x.channels, height: size.height, width: size.width)
    tape.append(BilinearUpsample(x, into: y))
    return y
  }

  /// Says which frame of `count` one is, where a stem wants to know.
  func setNumber(_ number: Int, of count: Int, in frame: Frame) {
    guard let stem = architecture.stem else { return }
    frame.source.load(waves: NeRVStem.waves(frame: number, of: count, levels: stem.levels))
  }

  /// Sets the output's biases to the mean colour of these frames, which `load` puts into variables.
  func beginAtMean(of numbers: some Sequence<Int>, _ load: (Int, Variable) -> Void) {
    let target = frames[0].target, (width, height) = (architecture.width, architecture.height)
    var (sums, count) = ([0.0, 0, 0], 0)
    for number in numbers {
      load(number, target)
      for channel in 0..<3 {
        for y in 0..<height {
          let row = target.value + target.offset(channel: channel, row: y)
          sums[channel] += Double((0..<width).reduce(Float(0)) { $0 + row[$1] })
        }
      }
      count += width * height
    }
    decoder.begin(mean: sums.map { $0 / Double(count) })
  }

  /// Rounds from now on, to steps by the numbers at hand.
  package func beginRounding(frames count: Int) {
    decoder.beginRounding()
    if architecture.hasEmbeddings {
      let values = frames.flatMap(\.source.elements)
      embeddingStep.value[0] = log2f(max(values.reduce(0) { $0 + $1.magnitude } / Float(values.count), 1e-6) / 8)
    }
    isRounding(cost: 0, frames: count)
  }

  /// Rounds to the steps that are there.
  func isRounding(cost lambda: Double, frames count: Int) {
    setRounding(true)
    setCost(lambda, frames: count)
  }

  func setRounding(_ isOn: Bool) {
    for part in decoder.weights + decoder.biases { part.rounding.isOn = isOn }
    for frame in frames { frame.rounding?.isOn = isOn }
  }

  /// A bit of the weights of `count` frames adds `lambda` / (pixels of them all) to the loss, a bit of an embedding as much for each frame.
  func setCost(_ lambda: Double, frames count: Int) {
    for part in decoder.weights + (chargesBiases ? decoder.biases : []) { part.rounding.weight = lambda / Double(pixels * count) }
    for frame in frames { frame.rounding?.weight = lambda / Double(pixels * frames.count) }
  }
}

extension Variable {
  /// In 2^-`NeRVStem.waveFraction`.
  fileprivate func load(waves: [Int16]) { load(waves.map { Float($0) * exp2f(-Float(NeRVStem.waveFraction)) }) }
}
