/// What a segment's first stage takes for each frame: its embedding, or what the stem makes of its number.
package enum NeRVInputs: Sendable {
  /// [frame][channel][row][column], `count` numbers a frame.
  case embeddings([Int16], count: Int)
  case stem(NeRVStem, frames: Int)

  /// The segment is valid.
  package init(_ segment: NeRVSegment) {
    let network = segment.network
    self =
      network.architecture.stem == nil
      ? .embeddings(segment.embeddings.map { $0 << Int16(network.embeddingShift) }, count: network.architecture.embedding.count)
      : .stem(NeRVStem(network), frames: segment.frameCount)
  }

  /// [frame][channel][row][column] of these frames of the segment, each in `NeRVLayer.inputRange`.
  package func of(_ frames: Range<Int>) -> [Int16] {
    switch self {
    case .embeddings(let numbers, let count): return Array(numbers[frames.lowerBound * count..<frames.upperBound * count])
    case .stem(let stem, let total):
      return frames.flatMap { stem.input(frame: $0, of: total) }
    }
  }
}
