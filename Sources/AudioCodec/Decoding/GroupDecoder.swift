/// Decodes the frames of a group: coefficients by [channel], each frame's blocks one behind the other.
// bitstream-spec 11.5
final class GroupDecoder {
  private let state: GroupState
  /// As `GroupState.levels`.
  private let energies: UnsafeMutablePointer<UInt8>

  private var geometry: AudioGeometry { state.geometry }
  private var map: BandMap { state.map }

  init(_ geometry: AudioGeometry, channels: Int, _ prior: CoefficientPrior) {
    state = GroupState(geometry, channels: channels, CoefficientModel(prior))
    energies = .allocate(capacity: 2 * geometry.longest)
    energies.initialize(repeating: 0, count: 2 * geometry.longest)
  }

  deinit { energies.deallocate() }

  /// `done` gets each frame's coefficients, [channel][coefficient], and the depths of each pair's blocks. Throws `GroupError` or
  /// `EntropyError`.
  func decode(_ payload: [UInt8], frames: Int, done: ([[Float]], [[Int]]) throws -> Void) throws {
    let reader = GroupReader(payload, state.model)
    state.beginGroup()
    var header = GroupHeader()
    try header.visit(reader)
    var memories = state.memories()
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
    let count = state.width(ofPair: pair)
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
        let neighbours = state.beginBlock(depth: depth, pair: pair, channel: c)
        let target = state.levels + c * geometry.longest + first
        let energies = energies + c * geometry.longest + first
        try reader.read(coded, neighbours, into: target, energies: energies)
        for k in coded..<size { (target[k], energies[k]) = (0, 0) }
      }
      state.endBlock(pair: pair)
      first += size
    }
    let holes = Steps.holes(state.model.prior, header.holes)
    var restored: [[Float]] = []
    for c in 0..<count {
      let steps = offsets[c].map { Steps.step(header.stepIndex, offset: $0) }
      var fill = [Int](repeating: 0, count: bands)
      if header.hasNoise {
        let isEmpty = state.emptyBands(channel: c, shape.depths)
        try memory.visitNoise(&fill, isEmpty, channel: c, reader)
      }
      restored.append(
        Restoring.coefficients(
          UnsafePointer(state.levels + c * geometry.longest), UnsafePointer(energies + c * geometry.longest), shape.depths, steps, fill, holes,
          geometry, map, &noise))
    }
    if count == 2 { Restoring.turnBack(&restored, shape, geometry, map) }
    coefficients += restored
    return shape.depths
  }
}
