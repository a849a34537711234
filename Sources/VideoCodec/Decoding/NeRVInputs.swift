/// What a segment's first stage takes: of each frame its embedding, or what the stem makes of its number; of groups, always the same waves.
package enum NeRVInputs: Sendable {
  /// [frame][channel][row][column], `count` numbers a frame.
  case embeddings([Int16], count: Int)
  case stem(NeRVStem, frames: Int)
  /// [channel][row][column]
  case places([Int16])

  /// The segment is valid.
  package init(_ segment: NeRVSegment) {
    let network = segment.network, architecture = network.architecture
    self =
      architecture.groupFrames != nil
      ? .places(Self.places(architecture.embedding))
      : architecture.hasEmbeddings
        ? .embeddings(segment.embeddings.map { $0 << Int16(network.embeddingShift) }, count: architecture.embedding.count)
        : .stem(NeRVStem(network), frames: segment.frameCount)
  }

  /// Waves of the places of patches, [channels][height][width]: in the first half of the channels those of a place's row, then those of its column.
  /// Channels are a multiple of four; in 2^-`NeRVStem.waveFraction`.
  // bitstream-spec 14.6
  package static func places(_ shape: NeRVArchitecture.Embedding) -> [Int16] {
    let levels = shape.channels / 4
    let rows = (0..<shape.height).map { NeRVStem.waves(frame: $0, of: shape.height, levels: levels) }
    let columns = (0..<shape.width).map { NeRVStem.waves(frame: $0, of: shape.width, levels: levels) }
    var waves: [Int16] = []
    waves.reserveCapacity(shape.count)
    for wave in 0..<2 * levels { for row in rows { waves += [Int16](repeating: row[wave], count: shape.width) } }
    for wave in 0..<2 * levels { for _ in rows { waves += columns.map { $0[wave] } } }
    return waves
  }

  /// [frame][channel][row][column] of these frames of the segment, each in `NeRVLayer.inputRange`; of groups one pass's, for any of them.
  package func of(_ frames: Range<Int>) -> [Int16] {
    switch self {
    case .embeddings(let numbers, let count): return Array(numbers[frames.lowerBound * count..<frames.upperBound * count])
    case .stem(let stem, let total):
      return frames.flatMap { stem.input(frame: $0, of: total) }
    case .places(let waves): return waves
    }
  }
}
