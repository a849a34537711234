/// Which estimates the bits of indices have. An index is coded bit by bit, the highest first; a *node* is what is known of it. Each level has
/// four contexts: a number of some bits, of which the highest few join the node, fewer as the node grows. A fifth says whether what is known
/// agrees with earlier indices, and what their next bit is.
// bitstream-spec 12.3
enum TokenContexts {
  struct Kind {
    /// Bits of the number, at most, and of number and node together, at most.
    let prefix, budget: Int

    /// Bits of the number behind `depth` bits of the node.
    func bits(at depth: Int) -> Int { max(0, min(prefix, budget - depth)) }
  }

  static let kindCount = 4
  /// What is learned beforehand, what is learned in the group, and 1.
  static let inputs = 2 * (kindCount + 1) + 1

  static func kinds(level: Int) -> [Kind] {
    switch level {
    case 0: [Kind(prefix: 0, budget: 0), Kind(prefix: 7, budget: 12), Kind(prefix: 5, budget: 10), Kind(prefix: 8, budget: 12)]
    case 1...3: [Kind(prefix: 0, budget: 0), Kind(prefix: 5, budget: 9), Kind(prefix: 6, budget: 10), Kind(prefix: 6, budget: 10)]
    default: [Kind(prefix: 0, budget: 0), Kind(prefix: 4, budget: 8), Kind(prefix: 5, budget: 9), Kind(prefix: 5, budget: 9)]
    }
  }

  static let maximumDepth = 12
  /// Of the fifth context: the last index and the one before it (next bit 0, 1, or they differ), and the channel before (or there is none).
  static let agreements = 3 * 3 * 4

  /// [level][kind][depth]: the first estimate.
  static let firsts: [[[Int]]] = layout.firsts
  /// [level]: the first estimate of the fifth context, [depth][agreement].
  static let agreementFirsts: [Int] = layout.agreements
  static let slotCount = layout.count

  /// Sets of weights: [level][depth], and [level][agreement].
  static let depthSets = TokenGeometry.maximumLevels * maximumDepth
  static let setCount = depthSets + TokenGeometry.maximumLevels * agreements

  private static let layout: (firsts: [[[Int]]], agreements: [Int], count: Int) = {
    var next = 0
    var firsts: [[[Int]]] = [], agreementFirsts: [Int] = []
    for level in 0..<TokenGeometry.maximumLevels {
      firsts.append(
        kinds(level: level).map { kind in
          (0..<TokenGeometry.bits(level: level)).map { depth in
            defer { next += 1 << (depth + kind.bits(at: depth)) }
            return next
          }
        })
      agreementFirsts.append(next)
      next += TokenGeometry.bits(level: level) * agreements
    }
    return (firsts, agreementFirsts, next)
  }()
}

/// What is known when an index is coded; nil of what there is not.
struct TokenNeighbours {
  /// Of the same channel and level: of the frame before, and of the one before that.
  var last, older: UInt16?
  /// Of the same frame and level, in the channel before.
  var other: UInt16?
  /// Of the same frame and channel: of the level below this one, and of level 0. Nil for level 0.
  var below, bottom: UInt16?

  /// The numbers of a level's contexts and how many bits they have; nil where something is missing, and the context is left out.
  func numbers(level: Int) -> [(value: Int, bits: Int)?] {
    func number(_ index: UInt16?, _ level: Int) -> (value: Int, bits: Int)? { index.map { (Int($0), TokenGeometry.bits(level: level)) } }
    /// The highest `bits` bits of two.
    func pair(_ a: UInt16?, _ levelA: Int, _ b: UInt16?, _ levelB: Int, _ bits: Int) -> (value: Int, bits: Int)? {
      guard let a, let b else { return nil }
      let high = Int(a) >> (TokenGeometry.bits(level: levelA) - bits), low = Int(b) >> (TokenGeometry.bits(level: levelB) - bits)
      return (high << bits | low, 2 * bits)
    }
    let same = number(last, level)
    switch level {
    case 0: return [(0, 0), same, number(older, 0), pair(last, 0, older, 0, 4)]
    case 1: return [(0, 0), same, number(below, 0), pair(bottom, 0, last, 1, 3)]
    default: return [(0, 0), same, number(below, level - 1), number(bottom, 0)]
    }
  }
}
