import EntropyCoding

/// Probabilities of the bits of whole numbers: estimates of several contexts, mixed in the logistic domain by weights that adapt as well.
/// Integers only.
// bitstream-spec 14.3.1
final class NumberModel {
  /// Magnitudes up to this are coded in unary; what is greater has an escape.
  static let unary = 14
  /// Bits with estimates of their own: whether it is 0, its sign, whether the magnitude is above 1, 2, ... 14.
  static let nodes = 2 + unary

  private let firsts: [Int]
  private let inputs: Int
  private let slots: UnsafeMutablePointer<UInt32>
  /// [selector][node][input]
  private let weights: UnsafeMutablePointer<Int32>
  private let squash = Squashing.squashed, stretch = Squashing.stretched, rates = Estimate.rates
  private let trust: [Int32] = (0..<1024).map { Int32(256 * $0 / ($0 + 2)) }
  private let used, stretched: UnsafeMutablePointer<Int>

  /// A context has so many values.
  init(contexts: [Int], selectors: Int) {
    firsts = contexts.reduce(into: [0]) { $0.append($0.last! + $1) }
    inputs = contexts.count + 1
    let slotCount = firsts.last! * Self.nodes, weightCount = selectors * Self.nodes * inputs
    slots = .allocate(capacity: slotCount)
    slots.initialize(repeating: Estimate.even, count: slotCount)
    weights = .allocate(capacity: weightCount)
    weights.initialize(repeating: Int32(Self.startWeight), count: weightCount)
    (used, stretched) = (.allocate(capacity: inputs), .allocate(capacity: inputs))
    used.initialize(repeating: 0, count: inputs)
    stretched.initialize(repeating: 0, count: inputs)
  }

  /// In 2^-16.
  static let startWeight = 20_000

  deinit {
    slots.deallocate()
    weights.deallocate()
    used.deallocate()
    stretched.deallocate()
  }

  /// Writes `value`, or reads one and gives it. `contexts` are their values, `selector` says which weights mix them.
  func visit(_ value: Int, _ contexts: UnsafeBufferPointer<Int>, selector: Int, _ bits: some ModelledBits) throws -> Int {
    for k in 0..<inputs - 1 { used[k] = (firsts[k] + contexts[k]) * Self.nodes }
    let set = selector * Self.nodes * inputs
    func bit(_ bit: Bool, node: Int) throws -> Bool { try self.bit(bit ? 1 : 0, node, weights + set + node * inputs, bits) == 1 }
    guard try bit(value != 0, node: 0) else { return 0 }
    let isNegative = try bit(value < 0, node: 1)
    var magnitude = 1
    while magnitude <= Self.unary, try bit(value.magnitude > magnitude, node: 1 + magnitude) { magnitude += 1 }
    if magnitude > Self.unary { magnitude += try escape(Int(value.magnitude) - magnitude, bits) }
    return isNegative ? -magnitude : magnitude
  }

  /// Exp-Golomb of order 2 with even bits; of at most 14 digits, so that magnitudes are at most 16394.
  private func escape(_ excess: Int, _ bits: some ModelledBits) throws -> Int {
    let sum = excess + 4
    let wanted = sum > 0 ? Int.bitWidth - 1 - sum.leadingZeroBitCount : 2
    var length = 2
    while length < 13, try bits.bit(length < wanted ? 1 : 0, one: 32768) == 1 { length += 1 }
    var result = 1
    for k in stride(from: length - 1, through: 0, by: -1) { result = result << 1 | (try bits.bit(sum >> k & 1, one: 32768)) }
    return result - 4
  }

  private func bit(_ bit: Int, _ node: Int, _ weights: UnsafeMutablePointer<Int32>, _ bits: some ModelledBits) throws -> Int {
    let last = inputs - 1
    stretched[last] = 256
    var sum = Int(weights[last]) * 256
    for k in 0..<last {
      let estimate = slots[used[k] + node]
      let s = (Int(stretch[Int(estimate >> 20)]) * Int(trust[Int(estimate & Estimate.countMask)])) >> 8
      stretched[k] = s
      sum += Int(weights[k]) * s
    }
    let z = max(-Squashing.limit, min(Squashing.limit, sum >> 16))
    let one = max(16, min(65520, squash[z + Squashing.limit]))
    let bit = try bits.bit(bit, one: one)
    let error = (bit == 0 ? 0 : 65535) - Int(one)
    for k in 0...last {
      let moved = Int(weights[k]) + (stretched[k] * error + 32768) >> 16
      weights[k] = Int32(max(-1 << 20, min(1 << 20, moved)))
    }
    rates.withUnsafeBufferPointer { rates in
      for k in 0..<last { slots[used[k] + node] = Estimate.learned(slots[used[k] + node], bit, rates.baseAddress!) }
    }
    return bit
  }
}
