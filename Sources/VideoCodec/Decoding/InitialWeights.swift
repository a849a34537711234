/// What a stage's weights are where a fit begins: pseudo-random numbers that decoders know as well, so that a file tells only what became of
/// them. Uniform, by Vigna's splitmix64.
// bitstream-spec 14.3.2
package struct InitialWeights {
  private var state: UInt64

  package init(stage: Int) { state = UInt64(stage) }

  /// -2^23...2^23 - 1
  package mutating func next() -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    z ^= z >> 31
    return Int(Int64(bitPattern: z) >> 40)
  }

  /// -amplitude...amplitude
  package mutating func next(amplitude: Int) -> Int { (next() * amplitude + 1 << 22) >> 23 }
}
