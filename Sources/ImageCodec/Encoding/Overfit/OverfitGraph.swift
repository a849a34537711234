import Autograd
import Glibc
import Media
import Tensors

/// The overfitted codec in float, ready to be fitted: latents, networks and the loss of one picture on a tape.
///
///     loss = mean squared error (samples 0...1) + lambda * (bits of the grids + pull * bits of the parameters) / pixels
///
/// Parameters are those of `OverfitArchitecture.tensors`, in that order. What it computes is what the integer decoder does,
/// but for rounding.
package final class OverfitGraph {
  package struct Grid {
    /// What is fitted: values divided by `latentGain`. [1, H, W]
    package let latents: Variable
    package let rounding: SoftRound
    /// What the decoder would have.
    var values: Variable { rounding.y }
  }

  /// Latents are kept divided by this, so that one learning rate suits them and the networks. (Cool-chic)
  static let latentGain: Float = 16

  package let architecture: OverfitArchitecture
  /// What a bit per pixel adds to the loss; may change between iterations.
  package var lambda: Double {
    didSet {
      rate.weight = Float(perBit)
      network.weight = pull * rate.weight
    }
  }
  /// How much a parameter's bit counts in the fit beside a latent's. Against 0.5, 1 makes the loss of kodim15 at lambda 0.004 2.0 %
  /// lower, of kodim23 at 0.02 2.4 %, of kodim05 at 0.001 0.4 %; 2 is better for some pictures and worse for others.
  package var pull: Float = 1 { didSet { network.weight = pull * rate.weight } }
  package let tape = Tape()
  /// In coding order.
  package private(set) var grids: [Grid] = []
  /// In the order of `architecture.tensors`.
  package private(set) var parameters: [Parameter] = []
  package private(set) var rate: ContextRate!
  package private(set) var error: SquaredError!
  package private(set) var network: ParameterRate!

  /// Of so many bands of rows one gives the networks' gradients: 4 at most, and eight bands in all at least. At equal time
  /// losses are 0.1 to 2.9 % lower than with all bands at effort 1.
  static func sampling(bands: Int) -> Int { min(4, max(1, bands / 8)) }

  /// What suits `FitSchedule.latentEps`, about a third of what a bit adds to the loss.
  package var latentEps: Float { Float(0.3 * lambda / pixels) }

  /// What a bit adds to the loss.
  package var perBit: Double { lambda / pixels }
  private var pixels: Double { Double(architecture.width) * Double(architecture.height) }

  /// - Parameters:
  ///   - target: samples 0...1, [outputs, H, W], without gradient
  ///   - initial: numbers in the order of `architecture.tensors`
  ///   - prior: where moving away from costs bits
  package init(
    _ architecture: OverfitArchitecture, target: Variable, initial: [Float], prior: OverfitPrior, lambda: Double,
    seed: UInt64 = 1
  ) {
    precondition(target.channels == architecture.outputs && initial.count == architecture.parameterCount)
    self.architecture = architecture
    self.lambda = lambda
    for tensor in architecture.tensors {
      let isVector = tensor.columns == 1
      parameters.append(
        Parameter(
          "\(tensor.role)\(tensor.isBias ? " bias" : "")", rows: isVector ? 1 : tensor.rows,
          columns: isVector ? tensor.rows : tensor.columns, rate: Self.rate(tensor.role),
          values: Array(initial[tensor.range])))
    }
    let stacks = addGrids(seed: seed)
    addRate(stacks)
    addNetworkRate(prior)
    addError(synthesis(of: upsampled(stacks)), target)
  }

  package var floats: [Float] {
    get { parameters.flatMap(\.elements) }
    set {
      for (tensor, parameter) in zip(architecture.tensors, parameters) { parameter.load(Array(newValue[tensor.range])) }
    }
  }

  /// How fast a tensor is fitted beside others. At effort 3 these rates make the loss of kodim05, 13, 15 and 23 0.65 % smaller
  /// than 1 for all, and at effort 1 they change nothing.
  private static func rate(_ role: OverfitTensor.Role) -> Float {
    switch role {
    case .contextHidden, .contextOutput, .contextStabiliser: 2
    case .features: 3
    default: 1
    }
  }

  private func parameter(_ role: OverfitTensor.Role, isBias: Bool = false) -> Parameter {
    parameters[architecture.tensors.firstIndex { $0.role == role && $0.isBias == isBias }!]
  }

  /// Rounded grids, and at each level above which features look up a stack: the level's latents, its hyper-latents, then
  /// the next level's stack at this one's size.
  private func addGrids(seed: UInt64) -> [Int: Variable] {
    let a = architecture
    var stacks: [Int: Variable] = [:]
    var doublings: [NearestStack] = []
    var above: Variable?
    for level in stride(from: OverfitArchitecture.levels - 1, through: 0, by: -1) {
      let (height, width) = a.size(level: level)
      let kinds = [(a.latentMask, false), (a.hyperMask, true)].filter { $0.0 >> level & 1 == 1 }
      let isSeenBelow = a.features > 0 && a.featureMask & ((1 << level) - 1) & a.latentMask != 0
      let inherited = isSeenBelow ? above?.channels ?? 0 : 0
      guard kinds.count + inherited > 0 else { continue }
      let stack = Variable("stack \(level)", channels: kinds.count + inherited, height: height, width: width)
      if inherited > 0 { doublings.append(NearestStack(above!, into: stack.view(kinds.count..<stack.channels))) }
      // Hyper-latents are coded first but stand second.
      for (channel, isHyper) in kinds.map(\.1).enumerated().reversed() {
        let latents = Variable("latents \(level)", channels: 1, height: height, width: width)
        let rounding = SoftRound(
          latents, into: stack.view(channel..<channel + 1), gain: Self.latentGain,
          seed: seed &* 64 &+ UInt64(2 * level + (isHyper ? 1 : 0)))
        grids.append(Grid(latents: latents, rounding: tape.append(rounding)))
      }
      stacks[level] = stack
      above = stack
    }
    for doubling in doublings { tape.append(doubling) }
    return stacks
  }

  private func addRate(_ stacks: [Int: Variable]) {
    let a = architecture
    let described = a.grids
    let entries = described.indices.map { number in
      var layer: ContextRate.FeatureLayer?
      if described[number].hasFeatures {
        guard let stack = stacks[described[number].level + 1] else { preconditionFailure("features need a coarser grid") }
        layer = ContextRate.FeatureLayer(
          stack: stack, isMirrored: a.hasLatents(level: described[number].level + 1),
          weights: parameter(.features(grid: number)), bias: parameter(.features(grid: number), isBias: true))
      }
      return ContextRate.Grid(values: grids[number].values, layer: layer)
    }
    let hidden = (0..<a.hiddenLayers).map {
      (weights: parameter(.contextHidden($0)), bias: parameter(.contextHidden($0), isBias: true))
    }
    rate = tape.append(
      ContextRate(
        grids: entries, neighbours: Array(OverfitArchitecture.neighbours[..<a.spatial]), features: a.features,
        network: .init(
          hidden: hidden, output: parameter(.contextOutput), stabiliser: parameter(.contextStabiliser),
          bias: parameter(.contextOutput, isBias: true)),
        weight: Float(perBit)))
    rate.sampling = Self.sampling(bands: rate.bandCount)
  }

  private func addNetworkRate(_ prior: OverfitPrior) {
    let centre = prior.values.map { Float($0) / 65536 }
    let groups = architecture.groups.map { group in
      var members: [(parameter: Parameter, centre: [Float])] = []
      for (tensor, parameter) in zip(architecture.tensors, parameters) where tensor.group == group.kind {
        members.append((parameter, Array(centre[tensor.range])))
      }
      return ParameterRate.Group(
        members: members, step: 1 / Float(1 << OverfitNetworkSearch.usualStep(group.kind)))
    }
    network = tape.append(ParameterRate(groups, weight: pull * Float(perBit)))
  }

  /// All planes at full size, the finest level's first.
  private func upsampled(_ stacks: [Int: Variable]) -> Variable {
    let a = architecture
    var planes: Variable?
    for level in stride(from: a.coarsest, through: 0, by: -1) {
      let own = a.planeGrids(level: level)
      guard let below = planes else {
        // A level's stack begins with its latents and its hyper-latents.
        planes = stacks[level]!.view(0..<own.count)
        continue
      }
      let (height, width) = a.size(level: level)
      let joined = Variable("planes \(level)", channels: own.count + below.channels, height: height, width: width)
      tape.append(
        UpsampleByTwo(below, into: joined.view(own.count..<joined.channels), weights: parameter(.doubling(level: level))))
      for (plane, number) in own.enumerated() {
        tape.append(
          SymmetricFilter(
            grids[number].values, into: joined.view(plane..<plane + 1), weights: parameter(.filter(level: level))))
      }
      planes = joined
    }
    return planes!
  }

  /// The network's output before and beside the stabiliser.
  private func synthesis(of planes: Variable) -> (Variable, Variable) {
    let a = architecture
    let pointwise = tape.append(
      Perceptron(
        planes, first: (parameter(.synthesisFirst), parameter(.synthesisFirst, isBias: true)),
        second: (parameter(.synthesisSecond), parameter(.synthesisSecond, isBias: true)),
        linear: parameter(.synthesisStabiliser)))
    pointwise.sampling = Self.sampling(bands: pointwise.bandCount)
    var y = pointwise.output
    for layer in 0..<a.convolutions {
      let next = Variable("convolved \(layer)", channels: a.outputs, height: a.height, width: a.width)
      tape.append(
        ResidualConv3x3(
          y, into: next, weights: parameter(.synthesisConvolution(layer)),
          bias: parameter(.synthesisConvolution(layer), isBias: true), residual: true, relu: layer < a.convolutions - 1))
      y = next
    }
    return (y, pointwise.linear)
  }

  private func addError(_ parts: (Variable, Variable), _ target: Variable) {
    let (y, linear) = parts
    let count = y.channels * y.height * y.width
    error = tape.append(SquaredError(y, plus: linear, target: target, range: 0...1, weight: 1 / Double(count)))
  }

  /// The grids as they would be coded, after a run with plain rounding.
  package var roundedGrids: [[Int8]] {
    let limit = Float(OverfitArchitecture.maximumMagnitude)
    return grids.map { grid in grid.values.elements.map { Int8(min(max($0.rounded(), -limit), limit)) } }
  }

  func setRounding(_ mode: SoftRound.Mode, temperature: Float = 0.3, sigma: Float = 0) {
    for grid in grids { (grid.rounding.mode, grid.rounding.temperature, grid.rounding.sigma) = (mode, temperature, sigma) }
  }

  /// What the picture would cost as it is: loss, bits of the grids, PSNR of unrounded samples.
  package func evaluate(threads: Int) -> (loss: Double, bits: Double, psnr: Double) {
    setRounding(.plain)
    let loss = tape.forward(threads: threads, iteration: 0)
    return (loss, rate.bits.reduce(0, +), -10 * log10(error.squares / (pixels * Double(architecture.outputs))))
  }
}

extension OverfitPrior {
  /// Of models 1 to 5, and of 6 to 10 and 11 to 15, which have joined hyper-latents.
  package static let lambdas = [0.02, 0.004, 0.001, 0.0004, 0.0001]

  /// The trained priors whose lambda is nearest, the one that suits most pictures first; model 0 alone where there is none for these
  /// networks.
  package static func trained(for lambda: Double, _ architecture: OverfitArchitecture) -> [OverfitPrior] {
    let nearest = lambdas.indices.min { abs(log(lambdas[$0] / lambda)) < abs(log(lambdas[$1] / lambda)) }!
    let sets: [UInt32] = architecture.areJoined ? [6, 11] : [1]
    let priors = sets.compactMap { try? OverfitPrior(modelID: $0 + UInt32(nearest), for: architecture) }
    return priors.isEmpty ? [OverfitPrior(noneFor: architecture)] : priors
  }
}

extension OverfitGraph {
  /// Where a fit without a trained prior starts: the prior's numbers, and small random ones where zeros would give no
  /// gradient.
  package static func start(_ architecture: OverfitArchitecture, prior: OverfitPrior, seed: UInt64) -> [Float] {
    var values = prior.values.map { Float($0) / 65536 }
    guard prior.modelID == 0 else { return values }
    var random = SplitMix64(seed: seed)
    for tensor in architecture.tensors where !tensor.isBias {
      let range: Float? =
        switch tensor.role {
        case .contextOutput, .contextStabiliser: 0.4
        case .features: 0.05
        case .synthesisFirst: 0.1 / Float(tensor.columns).squareRoot()
        case .synthesisSecond, .synthesisStabiliser: 0.2 / Float(tensor.columns).squareRoot()
        default: nil
        }
      guard let range else { continue }
      for i in tensor.range { values[i] = range * random.nextSigned() }
    }
    return values
  }

  /// A picture's samples as 0...1, [outputs, H, W].
  package static func target(of image: Image) -> Variable {
    let target = Variable(
      "picture", channels: image.channels, height: image.height, width: image.width, hasGradient: false)
    image.withUnsafeSamples { samples in
      for c in 0..<image.channels {
        for y in 0..<image.height {
          let row = target.value + target.offset(channel: c, row: y)
          let from = samples.baseAddress! + y * image.width * image.channels + c
          for x in 0..<image.width { row[x] = Float(from[x * image.channels]) / 255 }
        }
      }
    }
    return target
  }
}
