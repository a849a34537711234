import EntropyCoding

/// The order and the contexts of a layer's coded weights, or of their changes from group to group, for writing and reading alike.
// bitstream-spec 14.3.1
final class WeightNumbers {
  private let stage: NeRVArchitecture.Stage
  private let model: NumberModel
  /// Running means of magnitudes, in 1/256.
  private var inputMeans: [Int], mean = 0
  private var contexts: [Int]

  init(_ stage: NeRVArchitecture.Stage, areChanges: Bool) {
    self.stage = stage
    let sizes = [1, 3 * 15, 15 * 15, 25, 12 * 12, 12 * 12] + (areChanges ? [12 * 15, 25] : [])
    model = NumberModel(contexts: sizes, selectors: 12)
    contexts = sizes.map { _ in 0 }
    inputMeans = [Int](repeating: 0, count: stage.rowInputs)
  }

  /// [rows][inputs][side][side]; those that are read replace what is there. Of changes, with what there was of them, and the numbers that change.
  func visit(_ weights: inout [Int16], _ bits: some ModelledBits, history: ChangeHistory? = nil, since last: [Int16] = []) throws {
    let side = stage.side, factor = stage.factor, columns = stage.columns
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
        let near = SegmentNumbers.level(count > 0 ? 256 * sum / count : mean)
        let own = SegmentNumbers.level(inputMeans[input]), all = SegmentNumbers.level(mean)
        contexts[1] = ((hasLeft ? 1 : 0) + (hasUp ? 1 : 0)) * 15 + SegmentNumbers.place(subpixels)
        contexts[2] = SegmentNumbers.place(left + up) * 15 + SegmentNumbers.place(a + b)
        contexts[3] = SegmentNumbers.finePlace(subpixels + taps)
        contexts[4] = near * 12 + own
        contexts[5] = own * 12 + all
        if let history {
          contexts[6] = history.context(at)
          contexts[7] = SegmentNumbers.finePlace(Int(last[at]))
        }
        let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(weights[at]), $0, selector: near, bits) }
        weights[at] = Int16(truncatingIfNeeded: v)
        history?.add(v, at: at)
        inputMeans[input] += (256 * abs(v) - inputMeans[input]) >> 4
        mean += (256 * abs(v) - mean) >> 6
      }
    }
  }
}

/// The same of a layer's biases.
// bitstream-spec 14.3.1
final class BiasNumbers {
  private let model: NumberModel
  private var mean = 0
  private var contexts: [Int]

  init(areChanges: Bool) {
    let sizes = [1, 12, 15] + (areChanges ? [12 * 15] : [])
    model = NumberModel(contexts: sizes, selectors: 1)
    contexts = sizes.map { _ in 0 }
  }

  /// By row.
  func visit(_ biases: inout [Int16], _ bits: some ModelledBits, history: ChangeHistory? = nil) throws {
    for i in biases.indices {
      contexts[1] = SegmentNumbers.level(mean)
      contexts[2] = SegmentNumbers.place(i > 0 ? Int(biases[i - 1]) / 4 : 0)
      if let history { contexts[3] = history.context(i) }
      let v = try contexts.withUnsafeBufferPointer { try model.visit(Int(biases[i]), $0, selector: 0, bits) }
      biases[i] = Int16(truncatingIfNeeded: v)
      history?.add(v, at: i)
      mean += (256 * abs(v) - mean) >> 2
    }
  }
}
