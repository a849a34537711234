import EntropyCoding

/// The order and the contexts of a segment's numbers, for writing and reading alike.
// bitstream-spec 14.3
enum SegmentNumbers {
  /// Weights of a stage, quantised, [rows][inputs][side][side]; those that are read replace what is there.
  static func visitWeights(_ weights: inout [Int16], of stage: NeRVArchitecture.Stage, _ bits: some ModelledBits) throws {
    let model = NumberModel(contexts: [1, 3 * 15, 15 * 15, 25, 12 * 12, 12 * 12], selectors: 12)
    let side = stage.side, factor = stage.factor, columns = stage.inputs * side * side
    // Running means of magnitudes, in 1/256.
    var inputMeans = [Int](repeating: 0, count: stage.inputs), mean = 0
    var contexts = [Int](repeating: 0, count: 6)
    for row in 0..<stage.biasCount {
      let (hasUp, hasLeft) = (row / factor % factor > 0, row % factor > 0)
      for column in 0..<columns {
        let at = row * columns + column, (ky, kx) = (column / side % side, column % side)
        var (sum, count) = (0, 0)
        func value(_ offset: Int, _ exists: Bool) -> Int {
          guard exists else { return 0 }
          let value = Int(weights[at - offset])
          sum += abs(value)
          count += 1
          return value
        }
        // The same weight of the subpixels left and above, then the weights of the taps before.
        let left = value(columns, hasLeft), up = value(factor * columns, hasUp)
        let corner = hasLeft && hasUp ? Int(weights[at - (factor + 1) * columns]) : 0
        let a = value(1, kx > 0), b = value(side, ky > 0), c = value(side + 1, kx > 0 && ky > 0)
        _ = value(side - 1, kx < side - 1 && ky > 0)
        let subpixels = hasLeft && hasUp ? left + up - corner / 2 : left + up
        let taps = kx > 0 && ky > 0 ? a + b - c / 2 : a + b
        let input = column / (side * side)
        let near = level(count > 0 ? 256 * sum / count : mean)
        contexts[1] = ((hasLeft ? 1 : 0) + (hasUp ? 1 : 0)) * 15 + place(subpixels)
        contexts[2] = place(left + up) * 15 + place(a + b)
        contexts[3] = finePlace(subpixels + taps)
        contexts[4] = near * 12 + level(inputMeans[input])
        contexts[5] = level(inputMeans[input]) * 12 + level(mean)
        let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(weights[at]), $0, selector: near, bits) }
        weights[at] = Int16(truncatingIfNeeded: v)
        inputMeans[input] += (256 * abs(v) - inputMeans[input]) >> 4
        mean += (256 * abs(v) - mean) >> 6
      }
    }
  }

  /// Biases of a stage, quantised, by row.
  static func visitBiases(_ biases: inout [Int16], _ bits: some ModelledBits) throws {
    let model = NumberModel(contexts: [1, 12, 15], selectors: 1)
    var contexts = [0, 0, 0], mean = 0
    for i in biases.indices {
      contexts[1] = level(mean)
      contexts[2] = place(i > 0 ? Int(biases[i - 1]) / 4 : 0)
      let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(biases[i]), $0, selector: 0, bits) }
      biases[i] = Int16(truncatingIfNeeded: v)
      mean += (256 * abs(v) - mean) >> 2
    }
  }

  /// [frame][channel][row][column]
  static func visitEmbeddings(_ numbers: inout [Int16], _ shape: NeRVArchitecture.Embedding, _ bits: some ModelledBits) throws {
    let model = NumberModel(contexts: [1, shape.channels, 15 * 15, 12 * 12, 12 * 12], selectors: 12)
    var contexts = [Int](repeating: 0, count: 5)
    let count = shape.count, width = shape.width, plane = shape.height * shape.width
    var means = [Int](repeating: 0, count: count)
    for frame in 0..<numbers.count / count {
      // Magnitudes of what the frame changed so far.
      var recent = 0
      for i in 0..<count {
        let at = frame * count + i, cell = i % plane
        let last = frame > 0 ? Int(numbers[at - count]) : 0, older = frame > 1 ? Int(numbers[at - 2 * count]) : last
        func change(_ offset: Int, _ exists: Bool) -> Int {
          exists ? Int(numbers[at - offset]) - (frame > 0 ? Int(numbers[at - offset - count]) : 0) : 0
        }
        let left = change(1, cell % width > 0), up = change(width, cell >= width)
        contexts[1] = i / plane
        contexts[2] = place(last - older) * 15 + place(left + up)
        contexts[3] = level(256 * abs(last - older)) * 12 + level(recent)
        contexts[4] = level(means[i]) * 12 + level(recent)
        let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(numbers[at]) - last, $0, selector: level(means[i]), bits) }
        numbers[at] = Int16(truncatingIfNeeded: v + last)
        means[i] += (256 * abs(v) - means[i]) >> 2
        recent += (256 * abs(v) - recent) >> 3
      }
    }
  }

  /// 0...14, 7 of 0: sign and size.
  private static func place(_ value: Int) -> Int { signed(value, steps: [1, 2, 3, 4, 6, 9, 14]) }

  /// 0...24, 12 of 0.
  private static func finePlace(_ value: Int) -> Int { signed(value, steps: [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 32]) }

  private static func signed(_ value: Int, steps: [Int]) -> Int {
    let size = steps.count { $0 <= abs(value) }
    return steps.count + (value < 0 ? -size : size)
  }

  /// 0...11 of a mean magnitude in 1/256, two for a doubling.
  private static func level(_ mean: Int) -> Int { min(11, Int.bitWidth - (mean * mean >> 12).leadingZeroBitCount) }
}
