/// Layers of a network that makes frames from small embeddings, as in NeRV (Chen et al. 2021) and HNeRV (Chen et al. 2023).
package struct NeRVArchitecture: Sendable {
  /// Convolution, then pixel shuffle, then the activation.
  package struct Stage: Sendable {
    /// Channels.
    package var inputs, outputs: Int
    /// Of the kernel.
    package var side: Int
    /// Of the shuffle.
    package var factor: Int

    package var weightCount: Int { outputs * factor * factor * inputs * side * side }
    package var biasCount: Int { outputs * factor * factor }
  }

  /// Of the frames, in pixels.
  package let width, height: Int
  /// What a frame's embedding is: [channels, height, width].
  package let embedding: (channels: Int, height: Int, width: Int)
  /// The first is 1x1 on the embedding; the last makes three channels, without a shuffle.
  package let stages: [Stage]

  package init(width: Int, height: Int, embedding: (channels: Int, height: Int, width: Int), stages: [Stage]) {
    (self.width, self.height, self.embedding, self.stages) = (width, height, embedding, stages)
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
