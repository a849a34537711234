import Glibc

extension NeRVArchitecture {
  /// NeRV (Chen et al. 2021, 3.2): `parameters` weights and biases as nearly as can be; of 720p as published, where they are 3.2, 6.3 or 12.5 million.
  package static func nerv(width: Int, height: Int, parameters: Int) -> NeRVArchitecture {
    let strides = stemStrides(width: width, height: height), total = strides.reduce(1, *)
    let (rows, columns) = ((height + total - 1) / total, (width + total - 1) / total)
    /// Widths below the smallest published network's are in proportion to it: 26 channels, 512 hidden numbers, 96 channels at least.
    func make(_ channels: Int, hidden: Int) -> NeRVArchitecture {
      let narrowest = max(4, min(96, 96 * channels / 26))
      var (x, stages): (Int, [Stage]) = (channels, [])
      for (i, s) in strides.enumerated() {
        let next = i == 0 ? x : max(x / 2, narrowest)
        stages.append(Stage(inputs: x, outputs: next, side: 3, factor: s))
        x = next
      }
      stages.append(Stage(inputs: x, outputs: 3, side: 1, factor: 1))
      return NeRVArchitecture(
        width: width, height: height, embedding: Embedding(channels: channels, height: rows, width: columns), activation: .swish,
        stem: Stem(levels: NeRVStem.maximumLevels, hidden: hidden), stages: stages)
    }
    /// What makes the number of parameters right is the hidden width.
    func hidden(_ channels: Int) -> Int {
      let one = make(channels, hidden: 1).parameterCount, each = make(channels, hidden: 2).parameterCount - one
      return 1 + Int((Double(parameters - one) / Double(each)).rounded())
    }
    let channels = (1...512).first { hidden($0) <= min(512, 512 * $0 / 26) } ?? 512
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
