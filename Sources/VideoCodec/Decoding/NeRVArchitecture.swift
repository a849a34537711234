/// Layers of a network that makes frames: of their numbers as in NeRV (Chen et al. 2021) and NeRV++ (Ghorbel et al. 2024), of small embeddings as in HNeRV
/// (Chen et al. 2023), or whole groups of frames, of the places of patches, as in NIRVANA (Maiya et al. 2023).
package struct NeRVArchitecture: Sendable, Equatable {
  /// Of all stages but the last, which makes samples: (1 + tanh x) / 2.
  package enum Activation: UInt8, Sendable, CaseIterable {
    /// x times the normal distribution's integral.
    case gelu = 0
    /// x / (1 + e^-x)
    case swish = 1
  }

  /// What a frame's embedding is, or what the stem or the places' waves are in its stead: [channels, height, width].
  package struct Embedding: Sendable, Equatable {
    package var channels, height, width: Int

    package init(channels: Int, height: Int, width: Int) { (self.channels, self.height, self.width) = (channels, height, width) }

    package var count: Int { channels * height * width }
  }

  /// What makes the first stage's input of a frame's number: two layers, each with the activation, behind the number's waves.
  package struct Stem: Sendable, Equatable {
    /// Frequencies, of each a sine and a cosine. 1...40
    package var levels: Int
    /// Numbers between the two layers. 1...512
    package var hidden: Int

    package init(levels: Int, hidden: Int) { (self.levels, self.hidden) = (levels, hidden) }
  }

  /// Convolution with zeros around, then pixel shuffle, then the activation, then what is added.
  package struct Stage: Sendable, Equatable {
    /// Channels.
    package var inputs, outputs: Int
    /// Of the kernel.
    package var side: Int
    /// Of the shuffle.
    package var factor: Int
    /// Whether each channel is convolved by itself: as many outputs as inputs, and no shuffle.
    package var isDepthwise: Bool
    /// Whether there is no activation.
    package var isLinear: Bool
    /// Whose inputs are added to what the stage makes, enlarged to its size: those of the stages so many before this one, each at least 1. At most two.
    package var sums: [Int]

    package init(inputs: Int, outputs: Int, side: Int, factor: Int, isDepthwise: Bool = false, isLinear: Bool = false, sums: [Int] = []) {
      (self.inputs, self.outputs, self.side, self.factor) = (inputs, outputs, side, factor)
      (self.isDepthwise, self.isLinear, self.sums) = (isDepthwise, isLinear, sums)
    }

    /// Inputs that a row of weights takes.
    package var rowInputs: Int { isDepthwise ? 1 : inputs }
    /// Weights of a row.
    package var columns: Int { rowInputs * side * side }
    package var weightCount: Int { biasCount * columns }
    /// Rows of weights.
    package var biasCount: Int { outputs * factor * factor }
  }

  /// Of the frames, in pixels: the first rows and columns of what the last stage makes.
  package let width, height: Int
  package let embedding: Embedding
  package let activation: Activation
  /// Nil where embeddings are coded, or none.
  package let stem: Stem?
  /// Frames of a group, 1...8, each of which has weights of its own and is made in one pass; nil where one network makes frames one by one.
  package let groupFrames: Int?
  /// The last makes three channels of each frame of a pass, without a shuffle.
  package let stages: [Stage]

  package init(
    width: Int, height: Int, embedding: Embedding, activation: Activation = .gelu, stem: Stem? = nil, groupFrames: Int? = nil, stages: [Stage]
  ) {
    (self.width, self.height, self.embedding, self.activation) = (width, height, embedding, activation)
    (self.stem, self.groupFrames, self.stages) = (stem, groupFrames, stages)
  }

  /// Frames of a pass.
  package var passFrames: Int { groupFrames ?? 1 }

  /// Sets of weights for so many frames.
  package func groups(frames: Int) -> Int { groupFrames.map { (frames + $0 - 1) / $0 } ?? 1 }

  /// The stem's two layers, if there is one, as stages on a single place. The second makes [channels][height][width] of the first stage.
  package var stemLayers: [Stage] {
    guard let stem else { return [] }
    return [
      Stage(inputs: 2 * stem.levels, outputs: stem.hidden, side: 1, factor: 1), Stage(inputs: stem.hidden, outputs: embedding.count, side: 1, factor: 1),
    ]
  }

  /// All that have weights, as a file has them: the stem's, then the stages.
  package var layers: [Stage] { stemLayers + stages }

  package var parameterCount: Int { layers.reduce(0) { $0 + $1.weightCount + $1.biasCount } }

  /// What lies between the input of the stage `back` before stage `i` and that one's output, as a factor of sides.
  package func enlargement(of back: Int, at i: Int) -> Int { stages[i - back...i].reduce(1) { $0 * $1.factor } }

  /// Numbers of so many frames' embeddings in a file: none with a stem, and none of groups.
  package func embeddingCount(frames: Int) -> Int { hasEmbeddings ? frames * embedding.count : 0 }

  package var hasEmbeddings: Bool { stem == nil && groupFrames == nil }

  /// Multiply-adds of a pass.
  package var multiplications: Int {
    var (h, w, sum) = (embedding.height, embedding.width, stemLayers.reduce(0) { $0 + $1.weightCount })
    for stage in stages {
      sum += h * w * stage.weightCount
      (h, w) = (h * stage.factor, w * stage.factor)
    }
    return sum
  }
}
