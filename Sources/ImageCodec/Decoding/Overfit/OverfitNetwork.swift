import CKernels
import Coding

/// A picture's integer networks, made from its parameters and formats and checked.
// bitstream-spec 9.4
package final class OverfitNetwork: Sendable {
  package let architecture: OverfitArchitecture
  package let formats: OverfitFormats

  /// Fraction bits of the entropy model's activations.
  static let contextBits = 8

  /// The entropy model: hidden layers, then mean (1/32) and scale index.
  let context: [OverfitLayer]
  /// By place in coding order; nil for grids without features.
  let features: [OverfitLayer?]

  struct Stage {
    let across, even, odd, filter: OverfitLayer
    var view: nc_overfit_stage {
      nc_overfit_stage(across: across.view, even: even.view, odd: odd.view, filter: filter.view)
    }
  }
  /// By level: from level + 1 to level, for levels below the coarsest latents'.
  let stages: [Stage]
  let first, second, stabiliser: OverfitLayer
  let convolutions: [OverfitLayer]

  /// Throws `CodecError` (malformed) where a sum could overflow or a format cannot be.
  package init(_ parameters: OverfitParameters, formats: OverfitFormats) throws(CodecError) {
    let architecture = parameters.architecture
    self.architecture = architecture
    self.formats = formats
    let numbers = Numbers(parameters)
    context = try Self.context(numbers)
    var features: [OverfitLayer?] = []
    for number in architecture.grids.indices { features.append(try Self.features(numbers, grid: number)) }
    self.features = features
    var stages: [Stage] = []
    for level in 0..<architecture.coarsest { stages.append(try Self.stage(numbers, level: level)) }
    self.stages = stages

    let (planes, hidden, outputs) = (formats.planes, formats.hidden, formats.outputs)
    first = try numbers.layer(.synthesisFirst, from: planes, to: hidden, "synthesis 1x1")
    second = try numbers.layer(.synthesisSecond, from: hidden, to: outputs, "synthesis output")
    stabiliser = try numbers.layer(.synthesisStabiliser, from: planes, to: outputs, "synthesis stabiliser")
    var convolutions: [OverfitLayer] = []
    for layer in 0..<architecture.convolutions {
      convolutions.append(
        try numbers.layer(.synthesisConvolution(layer), from: outputs, to: outputs, "synthesis 3x3") { o, k in
          (index: 9 * o + 4, weight: 1 << k)
        })
    }
    self.convolutions = convolutions
  }

  /// The parameters as integers, by tensor.
  private struct Numbers {
    let architecture: OverfitArchitecture
    let values: [Int]
    let tensors: [OverfitTensor]
    /// k by group kind.
    var steps: [OverfitGroupKind: Int] = [:]

    init(_ parameters: OverfitParameters) {
      architecture = parameters.architecture
      values = parameters.values
      tensors = architecture.tensors
      for (group, step) in zip(architecture.groups, parameters.steps) { steps[group.kind] = step }
    }

    func find(_ role: OverfitTensor.Role, isBias: Bool = false) -> (tensor: OverfitTensor, step: Int)? {
      tensors.first { $0.role == role && $0.isBias == isBias }.map { ($0, steps[$0.group]!) }
    }

    func row(_ tensor: OverfitTensor, _ o: Int) -> [Int] {
      Array(values[tensor.offset + o * tensor.columns..<tensor.offset + (o + 1) * tensor.columns])
    }

    /// The bias of output `o`, 0 where the role has none, in `unit` fraction bits.
    func bias(_ role: OverfitTensor.Role, _ o: Int, unit: Int) -> Int {
      guard let (tensor, step) = find(role, isBias: true) else { return 0 }
      return OverfitLayer.align(values[tensor.offset + o], step: step, unit: unit)
    }

    /// A layer from `from` to `to` fraction bits. `identity` gives the weight that a residual layer adds.
    func layer(
      _ role: OverfitTensor.Role, from: Int, to: Int, _ name: String,
      identity: ((_ o: Int, _ k: Int) -> (index: Int, weight: Int))? = nil
    ) throws(CodecError) -> OverfitLayer {
      let (tensor, k) = find(role)!
      let outputs = (0..<tensor.rows).map { o in
        var weights = row(tensor, o)
        if let extra = identity?(o, k) { weights[extra.index] += extra.weight }
        return OverfitLayer.Output(weights: weights, bias: bias(role, o, unit: from + k), shift: from + k - to)
      }
      return try OverfitLayer(outputs, name: name)
    }
  }

  private static func context(_ numbers: Numbers) throws(CodecError) -> [OverfitLayer] {
    let bits = contextBits
    var layers: [OverfitLayer] = []
    for layer in 0..<numbers.architecture.hiddenLayers {
      layers.append(
        try numbers.layer(.contextHidden(layer), from: bits, to: bits, "entropy model") { o, k in
          (index: o, weight: 1 << k)
        })
    }
    let (output, k) = numbers.find(.contextOutput)!
    let (stabiliser, _) = numbers.find(.contextStabiliser)!
    let outputs = (0..<2).map { o in
      // Mean in 1/32; scale in 1/16, and index 0 is a scale of 1/2.
      let shift = bits + k - (o == 0 ? 5 : 4)
      let bias = numbers.bias(.contextOutput, o, unit: bits + k) - (o == 0 ? 0 : 8 << shift)
      return OverfitLayer.Output(weights: numbers.row(output, o) + numbers.row(stabiliser, o), bias: bias, shift: shift)
    }
    layers.append(try OverfitLayer(outputs, name: "entropy model output"))
    return layers
  }

  private static func features(_ numbers: Numbers, grid: Int) throws(CodecError) -> OverfitLayer? {
    guard numbers.find(.features(grid: grid)) != nil else { return nil }
    return try numbers.layer(.features(grid: grid), from: contextBits, to: contextBits, "features")
  }

  // bitstream-spec 9.7
  private static func stage(_ numbers: Numbers, level: Int) throws(CodecError) -> Stage {
    let (tensor, k) = numbers.find(.doubling(level: level))!
    let w = numbers.values[tensor.range]
    let (a, b, c, d) = (w[w.startIndex], w[w.startIndex + 1], w[w.startIndex + 2], w[w.startIndex + 3])
    func one(_ weights: [Int]) -> OverfitLayer.Output { .init(weights: weights, bias: 0, shift: k) }
    var filter = [Int](repeating: 0, count: 7)
    if let (tensor, _) = numbers.find(.filter(level: level)) {
      let f = Array(numbers.values[tensor.range])
      filter = [f[0], f[1], f[2], f[3], f[2], f[1], f[0]]
    }
    return Stage(
      across: try OverfitLayer([one([a, c, d, b, 0]), one([0, b, d, c, a])], name: "upsampling"),
      even: try OverfitLayer([one([a, c, d, b])], name: "upsampling"),
      odd: try OverfitLayer([one([b, d, c, a])], name: "upsampling"),
      filter: try OverfitLayer([one(filter)], name: "upsampling"))
  }
}
