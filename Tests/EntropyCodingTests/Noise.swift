import Foundation

/// The tests' own generator (xorshift64*), so that failures repeat on every machine.
struct Noise {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func bits() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
  /// 0 ..< bound
  mutating func below(_ bound: Int) -> Int { Int((bits() >> 33) % UInt64(bound)) }
  /// 0 ..< 1
  mutating func unit() -> Double { Double(bits() >> 11) / 9_007_199_254_740_992 }
  mutating func normal() -> Double { (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit()) }
}

/// FNV-1a over 32-bit values, low byte first.
func fingerprint(_ values: some Sequence<UInt32>) -> UInt64 {
  var hash: UInt64 = 0xcbf2_9ce4_8422_2325
  for v in values {
    for shift: UInt32 in [0, 8, 16, 24] { hash = (hash ^ UInt64(v >> shift & 255)) &* 0x100_0000_01b3 }
  }
  return hash
}
