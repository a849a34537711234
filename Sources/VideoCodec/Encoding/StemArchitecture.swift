import Glibc

extension NeRVArchitecture {
  /// NeRV (Chen et al. 2021, 3.2): `parameters` weights and biases as nearly as can be; of 720p as published, where they are 3.2, 6.3 or 12.5 million.
  package static func nerv(width: Int, height: Int, parameters: Int) -> NeRVArchitecture {
    let strides = stemStrides(width: width, height: height), total = strides.reduce(1, *)
    // Widths below the smallest published network's are in proportion to it: 26 channels, 512 hidden numbers, 96 channels at least.
    return withStem(width: width, height: height, total: total, parameters: parameters, mostHidden: { 512 * $0 / 26 }) { channels in
      let narrowest = max(4, min(96, 96 * channels / 26))
      var (x, stages): (Int, [Stage]) = (channels, [])
      for (i, s) in strides.enumerated() {
        let next = i == 0 ? x : max(x / 2, narrowest)
        stages.append(Stage(inputs: x, outputs: next, side: 3, factor: s))
        x = next
      }
      return stages + [Stage(inputs: x, outputs: 3, side: 1, factor: 1)]
    }
  }

  /// NeRV++ (Ghorbel et al. 2024): NeRV's stem, then blocks that each change the number of channels, scale up between two residual blocks of separable
  /// convolutions, and add what they began with, enlarged; `parameters` weights and biases as nearly as can be.
  package static func nervpp(width: Int, height: Int, parameters: Int) -> NeRVArchitecture {
    let strides = stemStrides(width: width, height: height), total = strides.reduce(1, *), reduction = 1.5
    func separable(_ channels: Int, sums: [Int]) -> [Stage] {
      [
        Stage(inputs: channels, outputs: channels, side: 3, factor: 1, isDepthwise: true, isLinear: true),
        Stage(inputs: channels, outputs: channels, side: 1, factor: 1),
        Stage(inputs: channels, outputs: channels, side: 1, factor: 1, isLinear: true, sums: sums),
      ]
    }
    return withStem(width: width, height: height, total: total, parameters: parameters, mostHidden: { 10 * $0 }) { channels in
      // The published network has 80 channels at least, for 3 million numbers.
      let narrowest = Int((3.9 * Double(channels).squareRoot()).rounded())
      var (x, stages): (Int, [Stage]) = (channels, [])
      for (i, s) in strides.enumerated() {
        let next = i == 0 ? x : max(Int((Double(x) / reduction).rounded()), narrowest)
        stages.append(Stage(inputs: x, outputs: next, side: 1, factor: 1, isLinear: true))
        stages += separable(next, sums: [2])
        stages.append(Stage(inputs: next, outputs: next, side: 3, factor: s))
        // The second one is the first residual block's input.
        stages += separable(next, sums: [2, 6])
        x = next
      }
      return stages + [Stage(inputs: x, outputs: 3, side: 1, factor: 1)]
    }
  }

  /// The network of `parameters` numbers, about, whose stages `stages` makes for so many channels behind the stem. What makes the number right is the stem's
  /// hidden width, which is at most `mostHidden` of the channels, and 512.
  private static func withStem(
    width: Int, height: Int, total: Int, parameters: Int, mostHidden: (_ channels: Int) -> Int, stages: (_ channels: Int) -> [Stage]
  ) -> NeRVArchitecture {
    let (rows, columns) = ((height + total - 1) / total, (width + total - 1) / total)
    func make(_ channels: Int, hidden: Int) -> NeRVArchitecture {
      NeRVArchitecture(
        width: width, height: height, embedding: Embedding(channels: channels, height: rows, width: columns), activation: .swish,
        stem: Stem(levels: NeRVStem.maximumLevels, hidden: hidden), stages: stages(channels))
    }
    func hidden(_ channels: Int) -> Int {
      let one = make(channels, hidden: 1).parameterCount, each = make(channels, hidden: 2).parameterCount - one
      return 1 + Int((Double(parameters - one) / Double(each)).rounded())
    }
    let channels = (1...512).first { hidden($0) <= min(512, mostHidden($0)) } ?? 512
    return make(channels, hidden: max(1, min(512, hidden(channels))))
  }

  /// As `strides`, but for an input of about 9 x 16 places.
  private static func stemStrides(width: Int, height: Int) -> [Int] {
    let choices = [
      [5, 5, 4, 2, 2], [5, 5, 2, 2, 2], [5, 4, 2, 2, 2], [5, 3, 2, 2, 2], [5, 2, 2, 2, 2], [3, 3, 2, 2, 2], [4, 2, 2, 2, 2], [3, 2, 2, 2, 2],
      [5, 2, 2, 2], [2, 2, 2, 2, 2], [3, 2, 2, 2], [5, 2, 2], [2, 2, 2, 2], [3, 2, 2], [2, 2, 2], [2, 2], [2],
    ]
    return strides(of: choices, width: width, height: height) { 0.05 * abs(log2(Double($0) / 144)) }
  }
}
