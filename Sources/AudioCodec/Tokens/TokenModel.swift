import EntropyCoding

/// Probabilities of indices' bits: contexts' estimates, some learned beforehand and adapting, some of the group alone, mixed in the logistic domain
/// by weights that adapt as well. Integers only.
// bitstream-spec 12.3
final class TokenModel {
  let slots = UnsafeMutablePointer<UInt32>.allocate(capacity: TokenContexts.slotCount)
  /// As `slots`, but of this group alone.
  private let fresh = UnsafeMutablePointer<UInt32>.allocate(capacity: TokenContexts.slotCount)
  /// [set][input]
  let weights = UnsafeMutablePointer<Int32>.allocate(capacity: TokenContexts.setCount * TokenContexts.inputs)
  private let prior: TokenPrior
  private let squash: [Int32], stretch: [Int32], rates: [Int32], trust: [Int32], freshTrust: [Int32]

  /// Numbers and their bits of the contexts at hand.
  private var numbers = [(value: Int, bits: Int)?](repeating: nil, count: TokenContexts.kindCount)
  private var used = [Int](repeating: -1, count: TokenContexts.kindCount + 1)
  private var inputs = [Int32](repeating: 256, count: TokenContexts.inputs)

  /// False: estimates and weights stay what they are. For measurements.
  var adapts = true
  /// 1; more in training alone.
  var mixRate = 1

  init(_ prior: TokenPrior) {
    self.prior = prior
    (squash, stretch, rates) = (Squashing.squashed, Squashing.stretched, Estimate.rates)
    trust = (0..<1024).map { Int32(256 * $0 / ($0 + 2)) }
    freshTrust = (0..<1024).map { Int32(256 * $0 / ($0 + 1)) }
    slots.initialize(repeating: Estimate.even, count: TokenContexts.slotCount)
    fresh.initialize(repeating: Estimate.even, count: TokenContexts.slotCount)
    weights.initialize(repeating: 0, count: TokenContexts.setCount * TokenContexts.inputs)
    reset()
  }

  deinit {
    slots.deallocate()
    fresh.deallocate()
    weights.deallocate()
  }

  /// What was learned beforehand, and nothing more.
  func reset() {
    prior.slots.withUnsafeBufferPointer { slots.update(from: $0.baseAddress!, count: $0.count) }
    prior.weights.withUnsafeBufferPointer { weights.update(from: $0.baseAddress!, count: $0.count) }
    beginGroup()
  }

  /// Forgets what is of the last group alone.
  func beginGroup() { fresh.update(repeating: Estimate.even, count: TokenContexts.slotCount) }

  /// Writes `index`, or reads one and gives it.
  func visit(_ index: UInt16, level: Int, _ neighbours: TokenNeighbours, _ bits: some ModelledBits) throws -> UInt16 {
    numbers = neighbours.numbers(level: level)
    let width = TokenGeometry.bits(level: level), kinds = Self.kinds[level], firsts = TokenContexts.firsts[level]
    var node = 0
    for depth in 0..<width {
      let rest = width - 1 - depth
      /// The next bit of an earlier index, as far as it agrees: 0, 1, or 2 if it does not.
      func next(_ earlier: UInt16?) -> Int? { earlier.map { Int($0) >> (rest + 1) == node ? Int($0) >> rest & 1 : 2 } }
      let agreement = ((next(neighbours.last) ?? 2) * 3 + (next(neighbours.older) ?? 2)) * 4 + (next(neighbours.other) ?? 3)
      for (k, number) in numbers.enumerated() {
        guard let number else {
          used[k] = -1
          continue
        }
        let more = kinds[k].bits(at: depth)
        used[k] = firsts[k][depth] + ((number.value >> (number.bits - more)) << depth) + node
      }
      used[TokenContexts.kindCount] = TokenContexts.agreementFirsts[level] + depth * TokenContexts.agreements + agreement
      let first = (level * TokenContexts.maximumDepth + depth) * TokenContexts.inputs
      let second = (TokenContexts.depthSets + level * TokenContexts.agreements + agreement) * TokenContexts.inputs
      let one = mix(first, second)
      let bit = try bits.bit(Int(index) >> rest & 1, one: one)
      if adapts { learn(bit, one, first, second) }
      node = node << 1 | bit
    }
    return UInt16(node)
  }

  private static let kinds = (0..<TokenGeometry.maximumLevels).map { TokenContexts.kinds(level: $0) }

  private func mix(_ first: Int, _ second: Int) -> Int32 {
    let a = weights + first, b = weights + second
    let bias = TokenContexts.inputs - 1
    var sum = Int(a[bias] + b[bias]) * 256
    for (k, slot) in used.enumerated() {
      let of = (k, k + used.count)
      (inputs[of.0], inputs[of.1]) = slot < 0 ? (0, 0) : (input(slots[slot], trust), input(fresh[slot], freshTrust))
      sum += Int(a[of.0] + b[of.0]) * Int(inputs[of.0]) + Int(a[of.1] + b[of.1]) * Int(inputs[of.1])
    }
    let d = max(-Squashing.limit, min(Squashing.limit, sum >> 16))
    return max(16, min(65520, squash[d + Squashing.limit]))
  }

  private func input(_ estimate: UInt32, _ trust: [Int32]) -> Int32 {
    (stretch[Int(estimate >> 20)] * trust[Int(estimate & Estimate.countMask)]) >> 8
  }

  private func learn(_ bit: Int, _ one: Int32, _ first: Int, _ second: Int) {
    let error = Int((bit == 0 ? 0 : 65535) - one) * mixRate
    let a = weights + first, b = weights + second
    for i in 0..<TokenContexts.inputs {
      let delta = Int32((Int(inputs[i]) * error + 32768) >> 16)
      a[i] = max(-1 << 20, min(1 << 20, a[i] + delta))
      b[i] = max(-1 << 20, min(1 << 20, b[i] + delta))
    }
    rates.withUnsafeBufferPointer { rates in
      for slot in used where slot >= 0 {
        slots[slot] = Estimate.learned(slots[slot], bit, rates.baseAddress!)
        fresh[slot] = Estimate.learned(fresh[slot], bit, rates.baseAddress!)
      }
    }
  }
}

/// The indices of a group.
// bitstream-spec 12.3
struct TokenGroup {
  let channels, levels, frames: Int
  /// [frame][channel][level]
  var indices: [UInt16]

  init(channels: Int, levels: Int, frames: Int) {
    (self.channels, self.levels, self.frames) = (channels, levels, frames)
    indices = [UInt16](repeating: 0, count: channels * levels * frames)
  }

  /// Of indices [channel][level][frame].
  init(_ indices: [[[UInt16]]], frames range: Range<Int>) {
    self.init(channels: indices.count, levels: indices[0].count, frames: range.count)
    for channel in 0..<channels {
      for level in 0..<levels {
        for (frame, index) in indices[channel][level][range].enumerated() { self.indices[at(frame, channel) + level] = index }
      }
    }
  }

  func at(_ frame: Int, _ channel: Int) -> Int { (frame * channels + channel) * levels }

  /// Writes all indices, or reads them. `began` is called before each index of a level.
  mutating func visit(_ model: TokenModel, _ bits: some ModelledBits, began: ((Int) -> Void)? = nil) throws {
    for frame in 0..<frames {
      for channel in 0..<channels {
        let place = at(frame, channel), step = channels * levels
        for level in 0..<levels {
          var neighbours = TokenNeighbours()
          if frame > 0 { neighbours.last = indices[place - step + level] }
          if frame > 1 { neighbours.older = indices[place - 2 * step + level] }
          if channel > 0 { neighbours.other = indices[place - levels + level] }
          if level > 0 { (neighbours.below, neighbours.bottom) = (indices[place + level - 1], indices[place]) }
          began?(level)
          indices[place + level] = try model.visit(indices[place + level], level: level, neighbours, bits)
        }
      }
    }
  }
}
