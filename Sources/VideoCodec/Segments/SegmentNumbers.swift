/// The order and the contexts of a segment's numbers, for writing and reading alike.
// bitstream-spec 14.3
enum SegmentNumbers {
  /// Weights of a stage, quantised, [rows][inputs][side][side]; those that are read replace what is there.
  static func visitWeights(_ weights: inout [Int16], of stage: NeRVArchitecture.Stage, _ bits: some NumberBits) throws {
    let model = NumberModel(contexts: [1, 15 * 3 + 1, 15 * 15, 25, 16 * 12, 12 * 12], selectors: 12)
    let side = stage.side, factor = stage.factor, taps = side * side, columns = stage.inputs * taps
    // Magnitudes by input and by output so far, in 1/16, as running means.
    var inputMeans = [Int](repeating: 0, count: stage.inputs), outputMean = 0
    var contexts = [Int](repeating: 0, count: 6)
    var row = 0
    for _ in 0..<stage.outputs {
      for dy in 0..<factor {
        for dx in 0..<factor {
          for input in 0..<stage.inputs {
            for ky in 0..<side {
              for kx in 0..<side {
                let at = row * columns + input * taps + ky * side + kx
                func value(_ offset: Int, _ exists: Bool) -> Int { exists ? Int(weights[at - offset]) : 0 }
                let left = value(columns, dx > 0), up = value(factor * columns, dy > 0), corner = value((factor + 1) * columns, dx > 0 && dy > 0)
                let a = value(1, kx > 0), b = value(side, ky > 0), c = value(side + 1, kx > 0 && ky > 0), d = value(side - 1, kx < side - 1 && ky > 0)
                let spatial = dx > 0 && dy > 0 ? left + up - corner / 2 : dx > 0 ? left : up
                let near = ky > 0 && kx > 0 ? a + b - c / 2 : kx > 0 ? a : b
                let magnitude = abs(left) + abs(up) + abs(a) + abs(b) + abs(c) + abs(d)
                let count = (dx > 0 ? 1 : 0) + (dy > 0 ? 1 : 0) + (kx > 0 ? 1 : 0) + (ky > 0 ? 1 : 0) + (kx > 0 && ky > 0 ? 1 : 0) + (kx < side - 1 && ky > 0 ? 1 : 0)
                contexts[1] = (clamp(spatial, 7) + 7) * 3 + (dx > 0 ? 1 : 0) + (dy > 0 ? 1 : 0)
                contexts[2] = (clamp(left + up, 7) + 7) * 15 + clamp(a + b, 7) + 7
                contexts[3] = clamp(spatial + near, 12) + 12
                contexts[4] = min(15, level(count > 0 ? 16 * magnitude / count : 0)) * 12 + level(inputMeans[input])
                contexts[5] = level(inputMeans[input]) * 12 + level(outputMean)
                let selector = level(count > 0 ? 16 * magnitude / count : outputMean)
                let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(weights[at]), $0, selector: selector, bits) }
                weights[at] = Int16(truncatingIfNeeded: v)
                let m = 256 * abs(v)
                inputMeans[input] += (m - inputMeans[input]) >> 4
                outputMean += (m - outputMean) >> 6
              }
            }
          }
          row += 1
        }
      }
    }
  }

  /// Biases of a stage, quantised, by row.
  static func visitBiases(_ biases: inout [Int16], _ bits: some NumberBits) throws {
    let model = NumberModel(contexts: [1, 12, 15 * 3], selectors: 1)
    var contexts = [0, 0, 0], mean = 0
    for i in biases.indices {
      contexts[1] = level(mean)
      contexts[2] = (clamp(i > 0 ? Int(biases[i - 1]) / 4 : 0, 7) + 7) * 3
      let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(biases[i]), $0, selector: 0, bits) }
      biases[i] = Int16(truncatingIfNeeded: v)
      mean += (256 * abs(v) - mean) >> 2
    }
  }

  /// [frame][channel][row][column]
  static func visitEmbeddings(_ numbers: inout [Int16], _ shape: NeRVArchitecture.Embedding, _ bits: some NumberBits) throws {
    let model = NumberModel(contexts: [1, shape.channels, 15 * 15, 12 * 12, 12 * 12], selectors: 12)
    var contexts = [Int](repeating: 0, count: 5)
    let count = shape.count, width = shape.width, plane = shape.height * shape.width
    var means = [Int](repeating: 0, count: count)
    for frame in 0..<numbers.count / count {
      // Magnitudes of what the frame changed so far.
      var recent = 0
      for i in 0..<count {
        let at = frame * count + i, place = i % plane
        let last = frame > 0 ? Int(numbers[at - count]) : 0, older = frame > 1 ? Int(numbers[at - 2 * count]) : last
        func change(_ offset: Int, _ exists: Bool) -> Int {
          exists ? Int(numbers[at - offset]) - (frame > 0 ? Int(numbers[at - offset - count]) : 0) : 0
        }
        let left = change(1, place % width > 0), up = change(width, place >= width)
        contexts[1] = i / plane
        contexts[2] = (clamp(last - older, 7) + 7) * 15 + clamp(left + up, 7) + 7
        contexts[3] = level(16 * abs(last - older)) * 12 + level(recent)
        contexts[4] = level(means[i]) * 12 + level(recent)
        let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(numbers[at]) - last, $0, selector: level(means[i]), bits) }
        numbers[at] = Int16(truncatingIfNeeded: v + last)
        means[i] += (256 * abs(v) - means[i]) >> 2
        recent += (256 * abs(v) - recent) >> 3
      }
    }
  }

  /// -bound...bound
  private static func clamp(_ value: Int, _ bound: Int) -> Int { max(-bound, min(bound, value)) }

  /// 0...11 of a mean magnitude, in 1/256 (1/16 of sums).
  private static func level(_ mean: Int) -> Int {
    mean <= 0 ? 0 : min(11, Int.bitWidth - (mean * mean / 16).leadingZeroBitCount)
  }
}
