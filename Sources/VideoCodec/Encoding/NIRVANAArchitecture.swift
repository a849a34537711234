import Glibc

extension NeRVArchitecture {
  /// NIRVANA (Maiya et al. 2023): a perceptron on the places of patches, then upsampling stages that make all frames of a group; `parameters` weights and
  /// biases at most, if that is not below the least there is. The perceptron is of two layers and has this network's activation behind the waves, where
  /// the published one has sines.
  package static func nirvana(width: Int, height: Int, parameters: Int) -> NeRVArchitecture {
    let groupFrames = nirvanaGroup, levels = 12, reduction = 1.5, narrowest = 12
    let strides = patchStrides(width: width, height: height), total = strides.reduce(1, *)
    let places = Embedding(channels: 4 * levels, height: (height + total - 1) / total, width: (width + total - 1) / total)
    func make(_ channels: Int) -> NeRVArchitecture {
      var stages = [Stage(inputs: places.channels, outputs: channels, side: 1, factor: 1), Stage(inputs: channels, outputs: channels, side: 1, factor: 1)]
      var x = channels
      for s in strides {
        let next = max(Int((Double(x) / reduction).rounded()), min(narrowest, channels))
        stages.append(Stage(inputs: x, outputs: next, side: 3, factor: s))
        x = next
      }
      stages.append(Stage(inputs: x, outputs: 3 * groupFrames, side: 3, factor: 1))
      return NeRVArchitecture(width: width, height: height, embedding: places, groupFrames: groupFrames, stages: stages)
    }
    return make((1...512).last { make($0).parameterCount <= parameters } ?? 1)
  }

  /// Frames of a group.
  static let nirvanaGroup = 8

  /// What patches are scaled up by, for about 180 places.
  private static func patchStrides(width: Int, height: Int) -> [Int] {
    let choices = [[5, 4, 4], [4, 4, 4], [5, 4, 2], [4, 4, 2], [4, 2, 2], [4, 2], [2, 2]]
    return strides(of: choices, width: width, height: height) { 0.05 * abs(log2(Double($0) / 180)) }
  }
}
