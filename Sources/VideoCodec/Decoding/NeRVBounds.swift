import Coding

extension NeRVArchitecture {
  /// Most frames of a group.
  package static let maximumGroupFrames = 8
  /// Most weights and biases of all groups together.
  package static let maximumGroupedParameters = 1 << 26
  package static let maximumStages = 64
  /// Sums of a stage, how far back they reach, and how much they enlarge, at most.
  package static let maximumSums = 2, maximumReach = 15, maximumEnlargement = 8
  /// Multiplications of a pass are at most this times its pixels, or times 4096 for smaller ones.
  private static let maximumMultiplications = 1 << 18

  /// What the stages multiply sides by.
  package var factor: Int { stages.reduce(1) { $0 * $1.factor } }

  /// Throws `CodecError` (malformed) where a decoder shall reject the shapes.
  // bitstream-spec 14.4
  package func validate() throws(CodecError) {
    let channels = 1...512
    guard (1...Self.maximumStages).contains(stages.count), channels.contains(embedding.channels), (1...65536).contains(width), (1...65536).contains(height),
      (1...65536).contains(embedding.width), (1...65536).contains(embedding.height)
    else { throw Self.damage("its size or number of stages") }
    if let stem {
      guard (1...NeRVStem.maximumLevels).contains(stem.levels), channels.contains(stem.hidden) else { throw Self.damage("its stem") }
    }
    if let groupFrames {
      guard (1...Self.maximumGroupFrames).contains(groupFrames), stem == nil, embedding.channels % 4 == 0,
        embedding.channels <= 4 * NeRVStem.maximumLevels, max(embedding.width, embedding.height) <= NeRVStem.maximumCount
      else { throw Self.damage("its groups") }
    }
    var inputs = embedding.channels
    for (i, stage) in stages.enumerated() {
      guard stage.inputs == inputs, channels.contains(stage.outputs), [1, 3, 5, 7].contains(stage.side), (1...8).contains(stage.factor) else {
        throw Self.damage("the shape of stage \(i)")
      }
      guard !stage.isDepthwise || stage.outputs == stage.inputs && stage.factor == 1 else { throw Self.damage("stage \(i), which is depthwise,") }
      guard stage.sums.count <= Self.maximumSums, stage.sums.allSatisfy({ (1...Self.maximumReach).contains($0) && $0 < i }),
        stage.sums.allSatisfy({ stages[i - $0].inputs == stage.outputs && enlargement(of: $0, at: i) <= Self.maximumEnlargement })
      else { throw Self.damage("a sum of stage \(i)") }
      inputs = stage.outputs
    }
    let last = stages[stages.count - 1]
    guard inputs == 3 * passFrames, last.factor == 1, !last.isLinear, last.sums.isEmpty else { throw Self.damage("the shape of the last stage") }
    // No row or column of an embedding is there for nothing.
    var factor = 1
    for stage in stages {
      factor *= stage.factor
      guard factor <= 65536 else { throw Self.damage("its shuffles") }
    }
    guard embedding.width == (width + factor - 1) / factor, embedding.height == (height + factor - 1) / factor else {
      throw Self.damage("the size of its embeddings")
    }
    guard parameterCount <= 1 << 26, multiplications <= Self.maximumMultiplications * max(width * height, 4096) else {
      throw Self.damage("its number of weights")
    }
  }

  static func damage(_ what: String) -> CodecError {
    CodecError(.malformed, "the video's network is damaged: \(what) cannot be right. Get the file again from where it came from.")
  }
}

extension NeRVNetwork {
  /// Throws `CodecError` (malformed) where a decoder shall reject the network: for its shapes, or as a sum could leave int32.
  // bitstream-spec 14.4
  package func validate() throws(CodecError) {
    try architecture.validate()
    guard layers.count == architecture.layers.count else { throw NeRVArchitecture.damage("its number of layers") }
    for (i, (layer, stage)) in zip(layers, architecture.layers).enumerated() {
      let terms = stage.columns
      guard layer.weights.count == stage.weightCount, layer.biases.count == stage.biasCount else {
        throw NeRVArchitecture.damage("the number of weights of layer \(i)")
      }
      guard (0...24).contains(layer.shift), layer.multiplier >= 1, (4...10).contains(layer.fraction) else {
        throw NeRVArchitecture.damage("the format of layer \(i)")
      }
      for row in 0..<stage.biasCount {
        let sum = layer.weights[row * terms..<(row + 1) * terms].reduce(0) { $0 + Int($1.magnitude) }
        guard sum <= NeRVLayer.maximumRowSum else { throw NeRVArchitecture.damage("row \(row) of layer \(i)") }
      }
    }
  }
}
