import EntropyCoding

/// Probabilities of the bits of quantised coefficients: six contexts' estimates each, learned beforehand and adapting, mixed in the
/// logistic domain by weights that adapt as well. Integers only.
// bitstream-spec 11.4
final class CoefficientModel {
  /// Magnitudes below this are coded in unary; larger ones have an escape.
  static let unary = 18
  /// Steps of the unary code that have estimates of their own, and what the others share.
  static let nodes = 12
  static let node: [Int] = (0..<unary).map { $0 < 10 ? $0 : $0 < 12 ? 10 : 11 }
  static let energies = 24
  static let places = 32
  static let depths = 5

  /// Values of each context.
  static let contexts = [energies * 8 * 2, 7 * 7 * 5, 5 * 6 * 4 * 4, places * 12, depths * 100, 2 * 6 * 6 * 8]
  static let firsts = contexts.reduce(into: [0]) { $0.append($0.last! + $1) }
  static let slotCount = firsts.last! * nodes
  static let inputs = 7
  static let mixerCount = nodes * (depths * 2 + energies)
  static let features = 11
  /// Contexts of bits that are not mixed.
  static let sideCount = 512

  let slots = UnsafeMutablePointer<UInt32>.allocate(capacity: slotCount + sideCount)
  let weights = UnsafeMutablePointer<Int32>.allocate(capacity: mixerCount * inputs)
  let prior: CoefficientPrior

  private let squash: UnsafeMutablePointer<Int32>
  private let stretch: UnsafeMutablePointer<Int32>
  private let rates: UnsafeMutablePointer<Int32>
  private let energyOf: UnsafeMutablePointer<UInt8>
  private let bases = UnsafeMutablePointer<Int>.allocate(capacity: 6)
  private let inputsNow = UnsafeMutablePointer<Int32>.allocate(capacity: inputs)
  private let used = UnsafeMutablePointer<Int>.allocate(capacity: 6)
  private var first = 0, second = 0, probability: Int32 = 0
  /// Of the coefficient at hand.
  private(set) var energy = 0
  private var kind = 0

  /// 1; more in training alone.
  var mixRate: Int32 = 1

  init(_ prior: CoefficientPrior) {
    self.prior = prior
    squash = .allocate(capacity: Squashing.squashed.count)
    squash.initialize(from: Squashing.squashed, count: Squashing.squashed.count)
    stretch = .allocate(capacity: 4096)
    stretch.initialize(from: Squashing.stretched, count: 4096)
    rates = .allocate(capacity: 1024)
    rates.initialize(from: Estimate.rates, count: 1024)
    energyOf = .allocate(capacity: Self.energyLimit)
    var level = 0
    for e in 0..<Self.energyLimit {
      while level < Self.energies - 1, e >= Self.thresholds[level] { level += 1 }
      energyOf[e] = UInt8(level)
    }
    bases.initialize(repeating: 0, count: 6)
    used.initialize(repeating: 0, count: 6)
    inputsNow.initialize(repeating: 256, count: Self.inputs)
    reset()
  }

  deinit {
    for p in [squash, stretch, rates, weights, inputsNow] { p.deallocate() }
    for p in [bases, used] { p.deallocate() }
    slots.deallocate()
    energyOf.deallocate()
  }

  /// What was learned beforehand, and nothing more.
  func reset() {
    prior.slots.withUnsafeBufferPointer { slots.update(from: $0.baseAddress!, count: $0.count) }
    prior.weights.withUnsafeBufferPointer { weights.update(from: $0.baseAddress!, count: $0.count) }
  }

  /// Upper bounds of energies, in 1/16, of all levels but the last.
  static let thresholds = [1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16, 19, 23, 28, 34, 42, 52, 66, 84, 108, 144, 200, 320]
  private static let energyLimit = 321

  // MARK: Bits without mixing

  func side(_ context: Int) -> UInt32 { 65536 &- max(32, min(65504, slots[Self.slotCount &+ context] >> 16)) }

  func learnSide(_ context: Int, _ bit: Int) { learn(Self.slotCount &+ context, bit) }

  // MARK: Coefficients

  /// Finds the contexts of coefficient `k` of a block.
  @inline(__always)
  func locate(_ k: Int, _ n: BlockNeighbours) {
    let c = n.current + k, p = n.last + k, o = n.older + k, x = n.other + k
    let a1 = c[-1], a2 = c[-2], a3 = c[-3] &+ c[-4], a5 = c[-5] &+ c[-6] &+ c[-7] &+ c[-8]
    let p0 = p[0], p1 = p[-1] &+ p[1], p2 = p[-2] &+ p[2], p3 = p[3] &+ p[4] &+ p[-3] &+ p[-4]
    let o0 = o[0], o1 = o[-1] &+ o[1]
    let x0 = x[0], x1 = x[-1] &+ x[1]
    let w = n.weights
    let low = w[0] &* a1 &+ w[1] &* a2 &+ w[2] &* a3 &+ w[3] &* a5
    let past = w[4] &* p0 &+ w[5] &* p1 &+ w[6] &* p2 &+ w[7] &* p3 &+ w[8] &* o0 &+ w[9] &* o1
    let both = max(0, low &+ past &+ w[10] &* (2 &* x0 &+ x1)) >> 8
    energy = level(both)
    let place = Int(n.places[k])
    let small = Int(a1 &+ a2 &+ a3)
    bases[0] = ((n.depth > 0 ? 1 : 0) &* 24 &+ energy) &* 8 &+ place >> 2
    bases[1] = Self.firsts1 &+ (few(a1, 7) &* 7 &+ few(a2, 7)) &* 5 &+ few(p0, 5)
    bases[2] = Self.firsts2 &+ ((few(p0, 5) &* 6 &+ few(p1 >> 1, 6)) &* 4 &+ few(o0, 4)) &* 4 &+ few((a1 &+ a2) >> 1, 4)
    bases[3] = Self.firsts3 &+ place &* 12 &+ coarse(Int32(small) &+ a5 &+ p1 &+ p2 &+ p3 &+ o1)
    bases[4] = Self.firsts4 &+ (n.depth &* 10 &+ level10(low)) &* 10 &+ level10(past)
    if n.isSecond {
      bases[5] = Self.firsts5 &+ ((6 &+ few(x0, 6)) &* 6 &+ few(x1 >> 1, 6)) &* 8 &+ energy / 3
    } else {
      bases[5] = Self.firsts5 &+ (few(a5 >> 2, 6) &* 6 &+ few(p3 >> 2, 6)) &* 8 &+ energy / 3
    }
    kind = n.depth &* 2 &+ (n.isSecond ? 1 : 0)
  }

  private static let firsts1 = firsts[1], firsts2 = firsts[2], firsts3 = firsts[3], firsts4 = firsts[4], firsts5 = firsts[5]

  @inline(__always) private func level(_ energy: Int32) -> Int { Int(energyOf[min(Int(energy), Self.energyLimit &- 1)]) }

  @inline(__always) private func level10(_ sum: Int32) -> Int {
    let l = Int(energyOf[min(Int(max(0, sum)) >> 7, Self.energyLimit &- 1)])
    return l < 4 ? l : l < 18 ? 3 &+ (l &- 2) / 3 : 9
  }

  /// Sixteenths in 0..<count.
  @inline(__always) private func few(_ value: Int32, _ count: Int) -> Int {
    let v = Int(value &+ 8) >> 4
    return v < 4 ? min(v, count &- 1) : v < 8 ? min(4, count &- 1) : v < 16 ? min(5, count &- 1) : min(6, count &- 1)
  }

  /// Sixteenths, sum of 16, in 0..<12.
  @inline(__always) private func coarse(_ sum: Int32) -> Int {
    sum <= 0 ? 0 : min(11, 33 &- (sum &+ 8).leadingZeroBitCount &- 4 )
  }

  /// The probability, in 2^-16, that the magnitude goes on behind a step of the unary code.
  @inline(__always)
  func predict(_ step: Int) -> Int32 {
    let node = Self.nodeOf(step)
    first = (node &* 10 &+ kind) &* 7
    second = ((Self.nodes &* 10) &+ node &* 24 &+ energy) &* 7
    let a = weights + first, b = weights + second
    var sum = Int(a[6] &+ b[6]) &* 256
    for i in 0..<6 {
      let slot = bases[i] &* Self.nodes &+ node
      used[i] = slot
      let s = stretch[Int(slots[slot] >> 20)]
      inputsNow[i] = s
      sum = sum &+ Int(a[i] &+ b[i]) &* Int(s)
    }
    let d = max(-Squashing.limit, min(Squashing.limit, sum >> 16))
    probability = max(16, min(65520, squash[d &+ Squashing.limit]))
    return probability
  }

  @inline(__always) private static func nodeOf(_ step: Int) -> Int { step < 10 ? step : step < 12 ? 10 : 11 }

  /// Of the bit that was predicted last.
  @inline(__always)
  func learn(_ bit: Int) {
    let error = Int((bit == 0 ? 0 : 65535) &- probability) &* Int(mixRate)
    let a = weights + first, b = weights + second
    for i in 0..<7 {
      let delta = Int32(truncatingIfNeeded: (Int(inputsNow[i]) &* error &+ 32768) >> 16)
      a[i] = max(-1 << 20, min(1 << 20, a[i] &+ delta))
      b[i] = max(-1 << 20, min(1 << 20, b[i] &+ delta))
    }
    for i in 0..<6 { learn(used[i], bit) }
  }

  @inline(__always)
  private func learn(_ slot: Int, _ bit: Int) {
    slots[slot] = Estimate.learned(slots[slot], bit, rates)
  }
}

/// What the contexts of a block's coefficients look at: magnitudes in sixteenths, with `guardCount` zeros before and behind.
struct BlockNeighbours {
  static let guardCount = 8
  /// This block's, as far as known.
  let current: UnsafeMutablePointer<Int32>
  /// Of the block before, and the one before that, brought to this block's size.
  let last, older: UnsafeMutablePointer<Int32>
  /// Of the same block of the channel before, where this is the second of a pair; zeros otherwise.
  let other: UnsafeMutablePointer<Int32>
  let weights: UnsafePointer<Int32>
  let places: UnsafePointer<UInt8>
  let depth: Int
  let isSecond: Bool
}
