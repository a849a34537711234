/// What an encoder and a decoder of groups both keep: tables of the geometry, the model, what each channel's last block left
/// behind, and the levels of the frame at hand.
final class GroupState {
  let geometry: AudioGeometry
  let map: BandMap
  let channels: Int
  let model: CoefficientModel
  /// Of the frame at hand, two channels' blocks one behind the other, each channel `geometry.longest` numbers.
  let levels: UnsafeMutablePointer<Int32>
  private let weights: EnergyWeights
  private let tables: GeometryTables
  private let contexts: [ChannelContext]
  /// Neighbours of the first block.
  private let zeros: UnsafeMutablePointer<Int32>

  init(_ geometry: AudioGeometry, channels: Int, _ model: CoefficientModel) {
    self.geometry = geometry
    self.channels = channels
    self.model = model
    map = BandMap(geometry)
    weights = EnergyWeights(model.prior)
    tables = GeometryTables(geometry)
    contexts = (0..<channels).map { _ in ChannelContext(longest: geometry.longest) }
    zeros = .allocate(capacity: geometry.longest + 2 * BlockNeighbours.guardCount)
    zeros.initialize(repeating: 0, count: geometry.longest + 2 * BlockNeighbours.guardCount)
    levels = .allocate(capacity: 2 * geometry.longest)
    levels.initialize(repeating: 0, count: 2 * geometry.longest)
  }

  deinit {
    zeros.deallocate()
    levels.deallocate()
  }

  /// How many channels a pair has: 2, or 1 for the last of an odd number.
  func width(ofPair pair: Int) -> Int { min(2, channels - 2 * pair) }

  /// By pair, as they are at the start of a group.
  func memories() -> [FrameMemory] {
    (0..<(channels + 1) / 2).map { FrameMemory(channels: width(ofPair: $0), bands: geometry.bandCount) }
  }

  func beginGroup() {
    for context in contexts { context.reset() }
  }

  /// `channel` is 0 or 1 of the pair; the second one also sees the first one's block.
  func beginBlock(depth: Int, pair: Int, channel: Int) -> BlockNeighbours {
    contexts[2 * pair + channel].begin(
      depth: depth, weights, tables, other: channel == 1 ? contexts[2 * pair] : nil, zeros: zeros + BlockNeighbours.guardCount)
  }

  func endBlock(pair: Int) {
    for c in 0..<width(ofPair: pair) { contexts[2 * pair + c].end() }
  }

  /// Bands of a channel of the pair without any coefficient but zeros.
  func emptyBands(channel: Int, _ depths: [Int]) -> [Bool] {
    Restoring.emptyBands(UnsafePointer(levels + channel * geometry.longest), depths, geometry, map)
  }
}
