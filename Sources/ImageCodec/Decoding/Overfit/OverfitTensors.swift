/// The parameters' layout: which tensors an architecture has, in which order, in which groups.
// bitstream-spec 9.3

/// Parameters that share a step and a base scale. Raw values rise in the order of coding.
package enum OverfitGroupKind: Int, CaseIterable, Sendable {
  case contextWeights, contextBiases, featureWeights, featureBiases, upsampling
  case firstWeights, secondWeights, convolution0Weights, convolution1Weights, convolution2Weights, stabiliserWeights
  case synthesisBiases

  package var name: String {
    switch self {
    case .contextWeights: "entropy model weights"
    case .contextBiases: "entropy model biases"
    case .featureWeights: "feature weights"
    case .featureBiases: "feature biases"
    case .upsampling: "upsampling"
    case .firstWeights: "synthesis 1x1 weights"
    case .secondWeights: "synthesis output weights"
    case .convolution0Weights, .convolution1Weights, .convolution2Weights: "synthesis 3x3 weights"
    case .stabiliserWeights: "synthesis stabiliser weights"
    case .synthesisBiases: "synthesis biases"
    }
  }
}

/// A weight matrix [rows, columns], a bias [rows, 1] or a filter's free numbers [4, 1].
package struct OverfitTensor: Sendable, Equatable {
  package enum Role: Sendable, Equatable {
    /// Hidden layer `index` of the entropy model: [C, C] and [C], C = N + F.
    case contextHidden(Int)
    /// Its output: mean, then scale. [2, C]; its bias is the stabiliser's too.
    case contextOutput
    /// From its inputs straight to its outputs: [2, C].
    case contextStabiliser
    /// Of the grid with this place in coding order: [F, R] and [F].
    case features(grid: Int)
    /// The free numbers a, b, c, d of the filter a b c d d c b a that doubles planes from level + 1 to level.
    case doubling(level: Int)
    /// The free numbers a, b, c, d of the filter a b c d c b a on level's latents.
    case filter(level: Int)
    /// Planes to hidden channels: [H, P] and [H].
    case synthesisFirst
    /// Hidden channels to outputs: [O, H] and [O].
    case synthesisSecond
    /// Outputs to outputs, columns [channel][dy][dx]: [O, 9 O] and [O]; the identity is not in it.
    case synthesisConvolution(Int)
    /// Planes to outputs: [O, P]; it has no bias.
    case synthesisStabiliser
  }

  package let role: Role
  package let isBias: Bool
  package let group: OverfitGroupKind
  package let rows: Int
  package let columns: Int
  /// Of the first number among all parameters; row by row from there.
  package let offset: Int
  package var count: Int { rows * columns }
  package var range: Range<Int> { offset..<offset + count }
}

package struct OverfitGroup: Sendable, Equatable {
  package let kind: OverfitGroupKind
  /// Of its numbers among all parameters; not empty.
  package let range: Range<Int>
}

extension OverfitArchitecture {
  /// All tensors in the order of their numbers.
  package var tensors: [OverfitTensor] {
    var tensors: [OverfitTensor] = []
    var offset = 0
    func add(_ role: OverfitTensor.Role, _ group: OverfitGroupKind, _ rows: Int, _ columns: Int, isBias: Bool = false) {
      tensors.append(
        OverfitTensor(role: role, isBias: isBias, group: group, rows: rows, columns: columns, offset: offset))
      offset += rows * columns
    }
    let c = contextWidth
    for layer in 0..<hiddenLayers { add(.contextHidden(layer), .contextWeights, c, c) }
    add(.contextOutput, .contextWeights, 2, c)
    add(.contextStabiliser, .contextWeights, 2, c)
    for layer in 0..<hiddenLayers { add(.contextHidden(layer), .contextBiases, c, 1, isBias: true) }
    add(.contextOutput, .contextBiases, 2, 1, isBias: true)
    let withFeatures = grids.indices.filter { grids[$0].hasFeatures }
    for number in withFeatures {
      add(.features(grid: number), .featureWeights, features, featureInputs(of: number).count)
    }
    for number in withFeatures { add(.features(grid: number), .featureBiases, features, 1, isBias: true) }
    for level in stride(from: coarsest - 1, through: 0, by: -1) {
      add(.doubling(level: level), .upsampling, 4, 1)
      if hasLatents(level: level) { add(.filter(level: level), .upsampling, 4, 1) }
    }
    add(.synthesisFirst, .firstWeights, synthesisWidth, planes)
    add(.synthesisSecond, .secondWeights, outputs, synthesisWidth)
    let kinds: [OverfitGroupKind] = [.convolution0Weights, .convolution1Weights, .convolution2Weights]
    for layer in 0..<convolutions { add(.synthesisConvolution(layer), kinds[layer], outputs, 9 * outputs) }
    add(.synthesisStabiliser, .stabiliserWeights, outputs, planes)
    add(.synthesisFirst, .synthesisBiases, synthesisWidth, 1, isBias: true)
    add(.synthesisSecond, .synthesisBiases, outputs, 1, isBias: true)
    for layer in 0..<convolutions { add(.synthesisConvolution(layer), .synthesisBiases, outputs, 1, isBias: true) }
    return tensors
  }

  /// The groups that have numbers, in order.
  package var groups: [OverfitGroup] {
    var groups: [OverfitGroup] = []
    for tensor in tensors {
      if let last = groups.last, last.kind == tensor.group {
        groups[groups.count - 1] = OverfitGroup(kind: last.kind, range: last.range.lowerBound..<tensor.range.upperBound)
      } else {
        groups.append(OverfitGroup(kind: tensor.group, range: tensor.range))
      }
    }
    return groups
  }

  package var parameterCount: Int { tensors.last!.range.upperBound }
}
