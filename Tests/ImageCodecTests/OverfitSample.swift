import ImageCodec
import Media

/// xorshift64*: the same numbers on every machine.
struct Dice {
  var state: UInt64

  init(_ seed: Int) { state = UInt64(seed) &* 2_654_435_769 &+ 88_172_645_463_325_252 }

  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 2_685_821_657_736_338_717
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + Int((next() >> 11) % UInt64(range.count))
  }

  /// -1...1
  mutating func unit() -> Float { Float(int(-1_000_000...1_000_000)) * 1e-6 }

  /// About normal, of standard deviation 1.
  mutating func normal() -> Float { (unit() + unit() + unit() + unit()) * 0.866 }
}

/// A picture of codec 2 made up from chance: parameters like those of a fit, and grids with some structure.
struct OverfitSample {
  let architecture: OverfitArchitecture
  let parameters: OverfitParameters
  let formats: OverfitFormats
  let grids: [[Int8]]

  /// `activity` scales the latents: 0 makes nearly all of them zero.
  init(_ architecture: OverfitArchitecture, seed: Int = 1, activity: Float = 1) throws {
    self.architecture = architecture
    var dice = Dice(seed)
    var floats = [Float](repeating: 0, count: architecture.parameterCount)
    let prior = OverfitPrior(noneFor: architecture)
    for tensor in architecture.tensors {
      for i in tensor.range {
        let spread: Float
        var mean: Float = 0
        switch tensor.role {
        case .contextHidden: spread = tensor.isBias ? 0.3 : 0.15
        case .contextOutput:
          spread = 0.1
          // Scales around exp(-1), which is about what the grids below want.
          if tensor.isBias && i == tensor.range.lowerBound + 1 { mean = 3 }
        case .contextStabiliser: spread = 0.08
        case .features: spread = 0.2
        case .doubling, .filter:
          spread = 0.02
          mean = Float(prior.values[i]) / 65536
        case .synthesisFirst: spread = tensor.isBias ? 0.2 : 0.3
        case .synthesisSecond:
          spread = tensor.isBias ? 0.02 : 0.1
          if tensor.isBias { mean = 0.45 }
        case .synthesisConvolution: spread = 0.03
        case .synthesisStabiliser: spread = 0.03
        }
        floats[i] = mean + spread * dice.normal()
      }
    }
    let steps = architecture.groups.map { group in
      switch group.kind {
      case .contextBiases, .featureBiases, .synthesisBiases: 9
      default: 8
      }
    }
    parameters = try .quantised(floats, architecture: architecture, prior: prior, steps: steps)
    grids = architecture.grids.map { grid in
      let height = Float(grid.height), level = Float(grid.level)
      return (0..<grid.count).map { i in
        // Busier towards the bottom and on coarse levels.
        let busy = activity * (0.3 + level * 0.3) * Float(i / grid.width + 1) / height
        return Int8(min(max((busy * dice.normal() * 1.5).rounded(), -127), 127))
      }
    }
    formats = try .fitted(parameters, grids: grids, threads: 2)
  }

  func stream(threads: Int = 1) throws -> [UInt8] {
    try OverfitStream.write(parameters, formats: formats, grids: grids, threads: threads)
  }

  func file(threads: Int = 1, alpha: [UInt8]? = nil) throws -> [UInt8] {
    let a = architecture
    let image = try Image(
      width: a.width, height: a.height, colour: a.outputs == 1 ? .grey : .rgb,
      samples: [UInt8](repeating: 0, count: a.width * a.height * a.outputs), alpha: alpha)
    return try OverfitFile.bytes(try stream(threads: threads), image: image, modelID: 0, quality: 50)
  }

  /// The picture that a decoder shall make of it.
  func samples(threads: Int = 1) throws -> [UInt8] {
    OverfitSynthesis(try OverfitNetwork(parameters, formats: formats), threads: threads).samples(grids)
  }
}

/// Architectures worth a test: presets, odd sizes, and networks that no preset has.
let overfitArchitectures: [OverfitArchitecture] =
  OverfitArchitecture.Preset.allCases.map { OverfitArchitecture(preset: $0, width: 61, height: 45) }
  + [(1, 1), (17, 5), (1, 400), (400, 1), (40, 24)].map {
    OverfitArchitecture(preset: .medium, width: $0.0, height: $0.1)
  }
  + [
    OverfitArchitecture(preset: .high, width: 33, height: 50, outputs: 1),
    // One latent grid, at the finest level and at another; no features, no 3x3 layers.
    OverfitArchitecture(
      width: 20, height: 30, latentMask: 1, hyperMask: 0, spatial: 1, features: 0, hiddenLayers: 1, synthesisWidth: 1,
      convolutions: 0),
    OverfitArchitecture(
      width: 30, height: 20, latentMask: 0b1000, hyperMask: 0b110, spatial: 40, features: 3, featureMask: 0b1000,
      hiddenLayers: 4, synthesisWidth: 5, convolutions: 3),
    // No finest level, a gap, hyper-latents coarser and finer than latents.
    OverfitArchitecture(
      width: 75, height: 53, latentMask: 0b10110, hyperMask: 0b1_0000_0011, spatial: 27, features: 15,
      featureMask: 0b1_1111_1111, hiddenLayers: 3, synthesisWidth: 128, convolutions: 1),
  ] + joinedArchitectures

/// With hyper-latents that are planes: of a preset, at the coarsest level, at all levels but the finest.
private let joinedArchitectures: [OverfitArchitecture] = {
  var preset = OverfitArchitecture(preset: .high, width: 61, height: 45)
  preset.hyperMask = 0b11000
  let coarsest = OverfitArchitecture(
    width: 37, height: 22, latentMask: 0b1100, hyperMask: 0b1000, spatial: 3, features: 2, hiddenLayers: 1, synthesisWidth: 6,
    convolutions: 1)
  let all = OverfitArchitecture(
    width: 70, height: 41, latentMask: 0b1_1111_1111, hyperMask: 0b1_1111_1110, spatial: 5, features: 3,
    featureMask: 0b1_1111_1111, hiddenLayers: 1, synthesisWidth: 9, convolutions: 0)
  return [preset, coarsest, all].map {
    var joined = $0
    joined.areJoined = true
    return joined
  }
}()
