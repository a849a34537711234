/// A stage or a stem's layer in integers: quantised weights, and what makes numbers of the next stage of their sums.
// bitstream-spec 14.4
package struct NeRVLayer: Sendable, Equatable {
  /// Sums of a row's magnitudes are at most this, so that sums of products with inputs of -8192...8191 stay below 2^30.
  package static let maximumRowSum = 131_071
  /// Inputs of a stage, embeddings too, are -8192...8191.
  package static let inputRange = -8192...8191

  /// Sums, once scaled, are in 2^-sumFraction.
  package static let sumFraction = 10

  /// [outputs * factor * factor][inputs][side][side], row = channel * factor * factor + dy * factor + dx.
  package var weights: [Int16]
  /// By row, in 2^-sumFraction.
  package var biases: [Int16]
  /// A sum a becomes p = sat16((sat16((a + (1 << shift >> 1)) >> shift) * multiplier + 2^14 >> 15) + bias), in 2^-sumFraction. 0...24, and 1...32767.
  package var shift: Int
  package var multiplier: Int16
  /// Weights are q 2^centreShift + c: q is what a file tells, c an `InitialWeights` of this amplitude. 0...8, and 0...32767.
  package var centreShift: Int
  package var amplitude: Int
  /// Biases are multiples of 2^biasShift, 0...8.
  package var biasShift: Int
  /// What the activation makes of p is rounded to 2^-fraction, 4...10, and clamped to `inputRange`. Not of the last stage, which makes samples.
  package var fraction: Int

  package init(
    weights: [Int16], biases: [Int16], shift: Int, multiplier: Int16, fraction: Int, centreShift: Int = 0, amplitude: Int = 0, biasShift: Int = 0
  ) {
    (self.weights, self.biases, self.shift, self.multiplier, self.fraction) = (weights, biases, shift, multiplier, fraction)
    (self.centreShift, self.amplitude, self.biasShift) = (centreShift, amplitude, biasShift)
  }
}

/// A network in integers that makes frames of embeddings, or of their numbers.
package struct NeRVNetwork: Sendable, Equatable {
  package let architecture: NeRVArchitecture
  /// Of `NeRVArchitecture.layers`.
  package var layers: [NeRVLayer]
  /// Embeddings, shifted left by this, are the first stage's inputs. 0...12.
  package var embeddingShift: Int

  package init(_ architecture: NeRVArchitecture, layers: [NeRVLayer], embeddingShift: Int = 0) {
    (self.architecture, self.layers, self.embeddingShift) = (architecture, layers, embeddingShift)
  }
}

/// What a segment of a video is made from.
package struct NeRVSegment: Sendable, Equatable {
  /// By group, of one architecture and of the same formats; a single one where there are no groups.
  package var networks: [NeRVNetwork]
  package var frameCount: Int
  /// [frame][channel][row][column], each in `NeRVLayer.inputRange` once shifted by the network's `embeddingShift`. None of a network with a stem, or of groups.
  package var embeddings: [Int16]

  package init(network: NeRVNetwork, frames: Int, embeddings: [Int16]) { self.init(networks: [network], frames: frames, embeddings: embeddings) }

  package init(networks: [NeRVNetwork], frames: Int, embeddings: [Int16] = []) {
    (self.networks, frameCount, self.embeddings) = (networks, frames, embeddings)
  }

  /// The first one.
  package var network: NeRVNetwork { networks[0] }
}
