/// Decodes the frames of a group: coefficients by [channel], each frame's blocks one behind the other.
// bitstream-spec 11.5
final class GroupDecoder {
  private let geometry: AudioGeometry
  private let map: BandMap
  private let channels: Int
  private let model: CoefficientModel
  private let weights: EnergyWeights
  private let tables: GeometryTables
  private let contexts: [ChannelContext]
  private let zeros: UnsafeMutablePointer<Int32>
  private let levels: UnsafeMutablePointer<Int32>
  private let energies: UnsafeMutablePointer<UInt8>

  init(_ geometry: AudioGeometry, channels: Int, _ prior: CoefficientPrior) {
    self.geometry = geometry
    self.channels = channels
    map = BandMap(geometry)
    model = CoefficientModel(prior)
    weights = EnergyWeights(prior)
    tables = GeometryTables(geometry)
    contexts = (0..<channels).map { _ in ChannelContext(longest: geometry.longest) }
    zeros = .allocate(capacity: geometry.longest + 2 * BlockNeighbours.guardCount)
    zeros.initialize(repeating: 0, count: geometry.longest + 2 * BlockNeighbours.guardCount)
    levels = .allocate(capacity: 2 * geometry.longest)
    levels.initialize(repeating: 0, count: 2 * geometry.longest)
    energies = .allocate(capacity: 2 * geometry.longest)
    energies.initialize(repeating: 0, count: 2 * geometry.longest)
  }

  deinit {
    zeros.deallocate()
    levels.deallocate()
    energies.deallocate()
  }

  /// `done` gets each frame's coefficients, [channel][coefficient], and the depths of each pair's blocks. Throws `GroupError` or
  /// `EntropyError`.
  func decode(_ payload: [UInt8], frames: Int, done: ([[Float]], [[Int]]) throws -> Void) throws {
    let reader = GroupReader(payload, model)
    for context in contexts { context.reset() }
    var header = GroupHeader()
    try header.visit(reader)
    var memories = (0..<(channels + 1) / 2).map {
      FrameMemory(channels: min(2, channels - 2 * $0), bands: geometry.bandCount)
    }
    var noise = NoiseSource()
    for _ in 0..<frames {
      var coefficients: [[Float]] = []
      var depths: [[Int]] = []
      for pair in memories.indices {
        depths.append(try decode(pair, header, &memories[pair], reader, &noise, into: &coefficients))
      }
      try done(coefficients, depths)
    }
    try reader.finish()
  }

  private func decode(
    _ pair: Int, _ header: GroupHeader, _ memory: inout FrameMemory, _ reader: GroupReader, _ noise: inout NoiseSource,
    into coefficients: inout [[Float]]
  ) throws -> [Int] {
    let count = min(2, channels - 2 * pair)
    let bands = geometry.bandCount
    var shape = FrameShape()
    try memory.visit(&shape, reader)
    var offsets = [[Int]](repeating: [Int](repeating: 0, count: bands), count: count)
    if header.hasOffsets { for c in 0..<count { try memory.visitOffsets(&offsets[c], channel: c, reader) } }
    var first = 0
    for depth in shape.depths {
      let size = geometry.longest >> depth
      let coded = size * shape.bandwidth / 64
      for c in 0..<count {
        let context = contexts[2 * pair + c]
        let neighbours = context.begin(
          depth: depth, weights, tables, other: c == 1 ? contexts[2 * pair] : nil, zeros: zeros + BlockNeighbours.guardCount)
        let target = levels + c * geometry.longest + first
        let energies = energies + c * geometry.longest + first
        try reader.read(coded, neighbours, into: target, energies: energies)
        for k in coded..<size { (target[k], energies[k]) = (0, 0) }
      }
      for c in 0..<count { contexts[2 * pair + c].end() }
      first += size
    }
    let holes = Steps.holes(model.prior, header.holes)
    var restored: [[Float]] = []
    for c in 0..<count {
      let steps = offsets[c].map { Steps.step(header.stepIndex, offset: $0) }
      var fill = [Int](repeating: 0, count: bands)
      if header.hasNoise {
        let isEmpty = Restoring.emptyBands(UnsafePointer(levels + c * geometry.longest), shape.depths, geometry, map)
        try memory.visitNoise(&fill, isEmpty, channel: c, reader)
      }
      restored.append(
        Restoring.coefficients(
          UnsafePointer(levels + c * geometry.longest), UnsafePointer(energies + c * geometry.longest), shape.depths, steps, fill, holes,
          geometry, map, &noise))
    }
    if count == 2 { Restoring.turnBack(&restored, shape, geometry, map) }
    coefficients += restored
    return shape.depths
  }
}
