import Glibc

/// Pseudo-random numbers for what fits start from, the same on every machine: Vigna's splitmix64.
package struct SplitMix64 {
  /// What follows depends on this alone.
  package private(set) var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// -2^23...2^23 - 1, all alike.
  package mutating func next24() -> Int { Int(Int64(bitPattern: next()) >> 40) }

  /// Uniform in -1...1.
  package mutating func nextSigned() -> Float { Float(next24()) * 0x1p-23 }

  /// Normally distributed, without what is more than twice the deviation.
  package mutating func nextNormal(deviation: Float) -> Float {
    while true {
      let u = max((nextSigned() + 1) / 2, 1e-12), v = nextSigned()
      let value = (-2 * logf(u)).squareRoot() * cosf(.pi * v)
      if abs(value) <= 2 { return value * deviation }
    }
  }
}
