import Coding

/// What grids and networks a picture of codec 2 has: everything that follows from the header but formats and numbers.
// bitstream-spec 9.1, 9.2
package struct OverfitArchitecture: Sendable, Equatable {
  package static let levels = 9
  package static let maximumMagnitude = 127

  /// In pixels, 1...65535.
  package var width: Int
  package var height: Int
  /// Samples of a pixel: 1 (grey) or 3 (red, green, blue).
  package var outputs: Int
  /// Bit k: there is a latent grid at level k. At least one bit of 0...8.
  package var latentMask: Int
  /// Bit k: there is a hyper-latent grid at level k: context for others, and if `areJoined` a plane too.
  package var hyperMask: Int
  /// Whether hyper-latents are planes of the synthesis beside their levels' latents. Then these levels have latents, and level 0 is
  /// not among them.
  package var areJoined = false
  /// N: causal neighbours that the entropy model sees, 1...40.
  package var spatial: Int
  /// F: features that it sees beside them, 0...15.
  package var features: Int
  /// Bit k: the latent grid at level k has a feature layer of its own.
  package var featureMask: Int
  /// Hidden layers of the entropy model, 1...4, each of `contextWidth`.
  package var hiddenLayers: Int
  /// Channels of the synthesis' hidden layer, 1...128.
  package var synthesisWidth: Int
  /// 3x3 layers at the synthesis' end, 0...3.
  package var convolutions: Int

  package init(
    width: Int, height: Int, outputs: Int = 3, latentMask: Int, hyperMask: Int, spatial: Int, features: Int,
    featureMask: Int = 0b111, hiddenLayers: Int = 2, synthesisWidth: Int, convolutions: Int
  ) {
    self.width = width
    self.height = height
    self.outputs = outputs
    self.latentMask = latentMask
    self.hyperMask = hyperMask
    self.spatial = spatial
    self.features = features
    self.featureMask = featureMask
    self.hiddenLayers = hiddenLayers
    self.synthesisWidth = synthesisWidth
    self.convolutions = convolutions
  }

  /// The usual networks by what decoding costs; the raw value is the header's.
  package enum Preset: Int, CaseIterable, Sendable {
    case low = 1
    case medium, high, veryHigh

    /// MAC/pixel, nominally.
    package var cost: Int {
      switch self {
      case .low: 500
      case .medium: 1000
      case .high: 2000
      case .veryHigh: 3000
      }
    }

    var numbers: (spatial: Int, features: Int, synthesis: Int, convolutions: Int) {
      switch self {
      case .low: (6, 2, 8, 1)
      case .medium: (10, 4, 16, 2)
      case .high: (14, 6, 48, 2)
      case .veryHigh: (20, 6, 64, 2)
      }
    }
  }

  /// The usual grids: latents at levels 0...last and hyper-latents at 4...last, or joined ones at 3 and 4, where last is 6, or 7
  /// from 2^20 and 8 from 3 * 2^20 pixels.
  package init(preset: Preset, width: Int, height: Int, outputs: Int = 3, joined: Bool = false) {
    let pixels = width * height
    let last = pixels >= 3 << 20 ? 8 : pixels >= 1 << 20 ? 7 : 6
    let numbers = preset.numbers
    self.init(
      width: width, height: height, outputs: outputs, latentMask: (2 << last) - 1,
      hyperMask: joined ? 0b11000 : (2 << last) - 16, spatial: numbers.spatial, features: numbers.features,
      synthesisWidth: numbers.synthesis, convolutions: numbers.convolutions)
    areJoined = joined
  }

  /// The preset that these networks are, whatever the grids; nil for others.
  package var preset: Preset? {
    Preset.allCases.first {
      let n = $0.numbers
      return n == (spatial, features, synthesisWidth, convolutions) && hiddenLayers == 2 && featureMask == 0b111
    }
  }

  /// Throws `CodecError` (malformed) unless every number is in its range.
  package func check() throws(CodecError) {
    let masks = 0..<(1 << Self.levels)
    guard (1...65535).contains(width), (1...65535).contains(height), outputs == 1 || outputs == 3,
      masks.contains(latentMask), latentMask != 0, masks.contains(hyperMask), masks.contains(featureMask),
      (1...40).contains(spatial), (0...15).contains(features), (1...4).contains(hiddenLayers),
      (1...128).contains(synthesisWidth), (0...3).contains(convolutions)
    else { throw CodecError(.malformed, "the overfitted picture's header describes no network: \(self)") }
    guard !areJoined || hyperMask & ~latentMask == 0 && hyperMask & 1 == 0 else {
      throw CodecError(.malformed, "the overfitted picture's header joins hyper-latents to levels that cannot have them: \(self)")
    }
  }

  /// Inputs of the entropy model: N + F.
  package var contextWidth: Int { spatial + features }
  /// P: latent grids, with hyper-latent ones if these are joined.
  package var planes: Int { latentMask.nonzeroBitCount + joinedMask.nonzeroBitCount }
  /// Levels where hyper-latents are planes.
  private var joinedMask: Int { areJoined ? hyperMask : 0 }
  /// The coarsest level that has a latent grid: where upsampling starts.
  package var coarsest: Int { Int.bitWidth - 1 - latentMask.leadingZeroBitCount }

  package func hasLatents(level: Int) -> Bool { latentMask >> level & 1 == 1 }

  /// Whether a grid is a plane of the synthesis.
  package func isPlane(_ grid: Grid) -> Bool { !grid.isHyper || areJoined }

  /// The grids of a level that are planes, by place in coding order: its latents, then its joined hyper-latents.
  package func planeGrids(level: Int) -> [Int] {
    let grids = grids
    return [false, true].compactMap { isHyper in
      isHyper && !areJoined ? nil : grids.firstIndex { $0.level == level && $0.isHyper == isHyper }
    }
  }

  /// Rows and columns of a level.
  package func size(level: Int) -> (height: Int, width: Int) {
    ((height + (1 << level) - 1) >> level, (width + (1 << level) - 1) >> level)
  }

  package struct Grid: Sendable, Equatable {
    package let level: Int
    package let isHyper: Bool
    /// Positions.
    package let height: Int
    package let width: Int
    /// Whether features are computed for it: F is not 0, the mask has its level, and a grid is coded before it.
    package let hasFeatures: Bool
    package var count: Int { height * width }
  }

  /// All grids in coding order: from the coarsest level to the finest, at each level the hyper-latents first.
  package var grids: [Grid] {
    var grids: [Grid] = []
    for level in stride(from: Self.levels - 1, through: 0, by: -1) {
      let (height, width) = size(level: level)
      for isHyper in [true, false] where (isHyper ? hyperMask : latentMask) >> level & 1 == 1 {
        let hasFeatures = !isHyper && features > 0 && featureMask >> level & 1 == 1 && !grids.isEmpty
        grids.append(Grid(level: level, isHyper: isHyper, height: height, width: width, hasFeatures: hasFeatures))
      }
    }
    return grids
  }

  /// One input of a grid's feature layer: a value of an earlier grid.
  package enum FeatureInput: Sendable, Equatable {
    /// Of the latent grid one level up, at the position's parent, moved to the child's side by one column, one row or
    /// both.
    case mirrored(grid: Int, right: Bool, down: Bool)
    /// Of another grid, at the position's place there.
    case nearest(grid: Int)
  }

  /// r: the inputs of the feature layer of the grid with this place in coding order.
  // bitstream-spec 9.5
  package func featureInputs(of number: Int) -> [FeatureInput] {
    let grids = grids
    guard grids[number].hasFeatures else { return [] }
    let parent = grids[..<number].firstIndex { !$0.isHyper && $0.level == grids[number].level + 1 }
    var inputs: [FeatureInput] = []
    if let parent {
      for (down, right) in [(false, false), (false, true), (true, false), (true, true)] {
        inputs.append(.mirrored(grid: parent, right: right, down: down))
      }
    }
    for other in (0..<number).reversed() where other != parent { inputs.append(.nearest(grid: other)) }
    return inputs
  }

  /// The neighbours, (dx, dy), of which the entropy model sees the first N: the priority order of Cool-chic's 9x9 mask.
  // bitstream-spec 9.5
  package static let neighbours: [(dx: Int, dy: Int)] = [
    (-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2), (0, -3), (-3, 0), (-2, -1), (1, -2),
    (-1, -2), (2, -1), (-2, -2), (-3, -1), (2, -2), (1, -3), (-4, 0), (3, -1), (-3, -2), (3, -2),
    (-1, -3), (-2, -3), (2, -3), (0, -4), (-4, -1), (-1, -4), (4, -1), (4, -2), (-3, -3), (3, -3),
    (-2, -4), (1, -4), (-4, -2), (-4, -3), (4, -3), (-3, -4), (2, -4), (3, -4), (-4, -4), (4, -4),
  ]

  /// The least lag for which every neighbour of a position lies in an earlier wavefront t = x + lag * y.
  package var lag: Int {
    Self.neighbours[..<spatial].reduce(1) { lag, n in n.dy == 0 ? lag : max(lag, (n.dx / -n.dy) + 1) }
  }

  /// Multiplications of decoding by pixel, rounded.
  package var multipliesPerPixel: Int {
    let c = contextWidth
    var count = 0
    for (number, grid) in grids.enumerated() {
      let features = grid.hasFeatures ? featureInputs(of: number).count * features : 0
      count += grid.count * (c * c * hiddenLayers + 4 * c + features)
    }
    var above = 0
    for level in stride(from: coarsest, through: 0, by: -1) {
      let (h, w) = size(level: level)
      // Four taps across for half of the rows, then four down.
      if level < coarsest { count += h * w * above * 6 }
      let own = (latentMask >> level & 1) + (joinedMask >> level & 1)
      if level < coarsest { count += h * w * 14 * own }
      above += own
    }
    let pointwise = planes * synthesisWidth + synthesisWidth * outputs + planes * outputs
    count += width * height * (pointwise + convolutions * 9 * outputs * outputs)
    return (count + width * height / 2) / (width * height)
  }
}
