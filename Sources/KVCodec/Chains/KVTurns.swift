import Glibc
import Media

/// RoPE, undone before coding and applied again after it: keys before it have a basis that does not turn with the position.
/// A pair's angle at position p is p * turns[pair] in units of 2^-64 of a whole turn.
// bitstream-spec 10.10.2
package struct KVTurns {
  /// By pair of channels.
  let turns: [UInt64]
  let halves: Bool

  init(turns: [UInt64], halves: Bool) { (self.turns, self.halves) = (turns, halves) }

  /// Of RoPE of `pairs` pairs: pair i turns by base^(-i / pairs) a position.
  package init(base: Double, pairs: Int, halves: Bool) {
    self.halves = halves
    turns = (0..<pairs).map { i in
      let turn = exp(-log(base) * Double(i) / Double(pairs)) / (2 * .pi)
      // Below 1/6 for i > 0 and at any base above 1; whole turns do not matter.
      return UInt64((turn - turn.rounded(.down)) * 0x1p64)
    }
  }

  /// Of a cache's keys, if it has RoPE. Heads of other sizes than the first layer's stay as they are.
  init?(of cache: KVCache) {
    guard cache.rope != .none, let first = cache.layers.first else { return nil }
    self.init(base: cache.ropeBase, pairs: min(first.keys.channels / 2, 32_768), halves: cache.rope == .halves)
  }

  /// The cosines and sines of a position.
  package func angles(at position: Int) -> (cosines: [Float], sines: [Float]) {
    var cosines: [Float] = [], sines: [Float] = []
    for turn in turns {
      let phase = turn &* UInt64(position)
      let quarter = (phase &+ 1 << 61) >> 62
      let x = Double(Int64(bitPattern: phase &- quarter << 62)) * (0x1p-63 * .pi)
      let square = x * x
      // Taylor's series; |x| is at most a quarter of pi.
      let cosine = 1 - square * (1 / 2 - square * (1 / 24 - square * (1 / 720 - square * (1 / 40320 - square / 3_628_800))))
      let sine = 
        x * (1 - square * (1 / 6 - square * (1 / 120 - square * (1 / 5040 - square * (1 / 362_880 - square / 39_916_800)))))
      let (c, s) = (Float(cosine), Float(sine))
      let turned: (Float, Float) =
        switch quarter {
        case 0: (c, s)
        case 1: (-s, c)
        case 2: (-c, -s)
        default: (s, -c)
        }
      cosines.append(turned.0)
      sines.append(turned.1)
    }
    return (cosines, sines)
  }
}
