/// Layers of a network that makes frames from small embeddings, as in NeRV (Chen et al. 2021) and HNeRV (Chen et al. 2023).
package struct NeRVArchitecture: Sendable, Equatable {
  /// Of all stages but the last, which makes samples: (1 + tanh x) / 2.
  package enum Activation: UInt8, Sendable, CaseIterable {
    /// x times the normal distribution's integral.
    case gelu = 0
    /// x / (1 + e^-x)
    case swish = 1
  }

  /// What a frame's embedding is: [channels, height, width].
  package struct Embedding: Sendable, Equatable {
    package var channels, height, width: Int

    package init(channels: Int, height: Int, width: Int) { (self.channels, self.height, self.width) = (channels, height, width) }

    package var count: Int { channels * height * width }
  }

  /// Convolution with zeros around, then pixel shuffle, then the activation.
  package struct Stage: Sendable, Equatable {
    /// Channels.
    package var inputs, outputs: Int
    /// Of the kernel.
    package var side: Int
    /// Of the shuffle.
    package var factor: Int

    package init(inputs: Int, outputs: Int, side: Int, factor: Int) {
      (self.inputs, self.outputs, self.side, self.factor) = (inputs, outputs, side, factor)
    }

    package var weightCount: Int { outputs * factor * factor * inputs * side * side }
    package var biasCount: Int { outputs * factor * factor }
  }

  /// Of the frames, in pixels: the first rows and columns of what the last stage makes.
  package let width, height: Int
  package let embedding: Embedding
  package let activation: Activation
  /// The first is 1x1 on the embedding; the last makes three channels, without a shuffle.
  package let stages: [Stage]

  package init(width: Int, height: Int, embedding: Embedding, activation: Activation = .gelu, stages: [Stage]) {
    (self.width, self.height, self.embedding, self.activation, self.stages) = (width, height, embedding, activation, stages)
  }

  /// Of all stages.
  package var parameterCount: Int { stages.reduce(0) { $0 + $1.weightCount + $1.biasCount } }

  /// Multiply-adds for a frame.
  package var multiplications: Int {
    var (h, w, sum) = (embedding.height, embedding.width, 0)
    for stage in stages {
      sum += h * w * stage.weightCount
      (h, w) = (h * stage.factor, w * stage.factor)
    }
    return sum
  }
}
