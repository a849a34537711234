import EntropyCoding

/// The order and the contexts of a segment's embeddings, for writing and reading alike, and what contexts of weights share with them.
// bitstream-spec 14.3.1
enum SegmentNumbers {
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
  static func place(_ value: Int) -> Int { signed(value, steps: [1, 2, 3, 4, 6, 9, 14]) }

  /// 0...24, 12 of 0.
  static func finePlace(_ value: Int) -> Int { signed(value, steps: [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 23, 32]) }

  private static func signed(_ value: Int, steps: [Int]) -> Int {
    let size = steps.count { $0 <= abs(value) }
    return steps.count + (value < 0 ? -size : size)
  }

  /// 0...11 of a mean magnitude in 1/256, two for a doubling.
  static func level(_ mean: Int) -> Int { min(11, Int.bitWidth - (mean * mean >> 12).leadingZeroBitCount) }
}
