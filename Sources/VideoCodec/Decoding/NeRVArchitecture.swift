import Glibc

/// Layers of a network that makes frames from small embeddings, as in NeRV (Chen et al. 2021) and HNeRV (Chen et al. 2023).
package struct NeRVArchitecture: Sendable, Equatable {
  /// Convolution, then pixel shuffle, then the activation.
  package struct Stage: Sendable, Equatable {
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

  package static func == (a: Self, b: Self) -> Bool {
    (a.width, a.height) == (b.width, b.height) && a.embedding == b.embedding && a.stages == b.stages
  }

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

extension NeRVArchitecture {
  /// Strides of HNeRV's encoder and decoder for 640x1280.
  package static let strides = [5, 4, 4, 2, 2]

  /// HNeRV as published: about `parameters` numbers, embeddings of all frames included; sides of the frames are multiples of 320.
  package static func hnerv(width: Int, height: Int, frames: Int, parameters: Int) -> NeRVArchitecture {
    let reduction = 1.2, narrowest = 12, channels = 16
    let total = strides.reduce(1, *)
    let embedding = (channels: channels, height: height / total, width: width / total)
    let sides = strides.indices.map { min(1 + 2 * $0, 5) }
    let budget = Double(parameters) - Double(channels * embedding.height * embedding.width * frames)
    // Weights are a x^2 + b x for x channels in the beginning, if no stage is at its narrowest.
    var a = 0.0
    for (i, s) in strides.enumerated() { a += pow(reduction, -Double(2 * i)) * Double(s * s * sides[i] * sides[i]) }
    a /= reduction
    let b = Double(channels * 9)
    var x = Int((-b + (b * b + 4 * a * budget).squareRoot()) / (2 * a))
    var stages = [Stage(inputs: channels, outputs: x, side: 1, factor: 1)]
    for (i, s) in strides.enumerated() {
      // Halves round to even, as in Python.
      let next = max(Int((Double(x) / reduction).rounded(.toNearestOrEven)), narrowest)
      stages.append(Stage(inputs: x, outputs: next, side: sides[i], factor: s))
      x = next
    }
    stages.append(Stage(inputs: x, outputs: 3, side: 3, factor: 1))
    return NeRVArchitecture(width: width, height: height, embedding: embedding, stages: stages)
  }
}
