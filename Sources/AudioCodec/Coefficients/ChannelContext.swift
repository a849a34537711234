/// The magnitudes of a channel's last blocks, in sixteenths, for the contexts of the next one.
// bitstream-spec 11.4
final class ChannelContext {
  private let longest: Int
  private let memory: UnsafeMutablePointer<Int32>
  private static let guardCount = BlockNeighbours.guardCount
  /// Buffers of `longest` magnitudes between guards of zeros: this block, the last, the one before, and the latter two brought to
  /// the size of this one.
  private var current, last, older: UnsafeMutablePointer<Int32>
  private let lastHere, olderHere: UnsafeMutablePointer<Int32>
  private var size, lastSize, olderSize: Int

  init(longest: Int) {
    self.longest = longest
    let stride = longest + 2 * Self.guardCount
    memory = .allocate(capacity: 5 * stride)
    memory.initialize(repeating: 0, count: 5 * stride)
    let start = memory + Self.guardCount
    (current, last, older, lastHere, olderHere) = (start, start + stride, start + 2 * stride, start + 3 * stride, start + 4 * stride)
    (size, lastSize, olderSize) = (longest, longest, longest)
  }

  deinit { memory.deallocate() }

  /// Forgets everything.
  func reset() {
    memory.update(repeating: 0, count: 5 * (longest + 2 * Self.guardCount))
    (size, lastSize, olderSize) = (longest, longest, longest)
  }

  /// Where the magnitudes of the block begun last go.
  var magnitudes: UnsafeMutablePointer<Int32> { current }

  /// Begins a block of `longest >> depth`: what its contexts look at.
  func begin(
    depth: Int, _ prior: EnergyWeights, _ geometry: GeometryTables, other: ChannelContext?, zeros: UnsafeMutablePointer<Int32>
  ) -> BlockNeighbours {
    size = longest >> depth
    for i in 0..<size + Self.guardCount { current[i] = 0 }
    return BlockNeighbours(
      current: current, last: brought(last, lastSize, to: lastHere), older: brought(older, olderSize, to: olderHere),
      other: other?.current ?? zeros, weights: prior.pointer(depth: depth, isSecond: other != nil),
      places: geometry.places(depth: depth), depth: depth, isSecond: other != nil)
  }

  /// Makes this block the last one.
  func end() {
    let free = older
    (older, olderSize) = (last, lastSize)
    (last, lastSize) = (current, size)
    current = free
  }

  private func brought(
    _ from: UnsafeMutablePointer<Int32>, _ fromSize: Int, to: UnsafeMutablePointer<Int32>
  ) -> UnsafeMutablePointer<Int32> {
    if fromSize == size {
      for i in size..<size + Self.guardCount { from[i] = 0 }
      return from
    }
    if fromSize > size {
      let ratio = fromSize / size
      let shift = Int32(ratio.trailingZeroBitCount), half = Int32(ratio / 2)
      for i in 0..<size {
        var sum = half
        for j in i * ratio..<(i + 1) * ratio { sum &+= from[j] }
        to[i] = sum >> shift
      }
    } else {
      let shift = (size / fromSize).trailingZeroBitCount
      for i in 0..<size { to[i] = from[i >> shift] }
    }
    for i in size..<size + Self.guardCount { to[i] = 0 }
    return to
  }
}

/// The prior's energy weights where pointers can reach them.
final class EnergyWeights {
  private let memory: UnsafeMutablePointer<Int32>

  init(_ prior: CoefficientPrior) {
    memory = .allocate(capacity: prior.energies.count)
    memory.initialize(from: prior.energies, count: prior.energies.count)
  }

  deinit { memory.deallocate() }

  func pointer(depth: Int, isSecond: Bool) -> UnsafePointer<Int32> {
    UnsafePointer(memory + (depth * 2 + (isSecond ? 1 : 0)) * CoefficientModel.features)
  }
}

/// The geometry's places, likewise.
final class GeometryTables {
  private let memory: UnsafeMutablePointer<UInt8>
  private let firsts: [Int]

  init(_ geometry: AudioGeometry) {
    firsts = geometry.places.reduce(into: [0]) { $0.append($0.last! + $1.count) }
    memory = .allocate(capacity: firsts.last!)
    for (first, places) in zip(firsts, geometry.places) { (memory + first).initialize(from: places, count: places.count) }
  }

  deinit { memory.deallocate() }

  func places(depth: Int) -> UnsafePointer<UInt8> { UnsafePointer(memory + firsts[depth]) }
}
