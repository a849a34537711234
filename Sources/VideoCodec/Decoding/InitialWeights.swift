import Tensors

/// What a layer's weights are where a fit begins: pseudo-random numbers that decoders know as well, so that a file tells only what became of
/// them.
// bitstream-spec 14.3.2
package struct InitialWeights {
  private var random: SplitMix64

  /// Of `NeRVArchitecture.layers[stage]`.
  package init(stage: Int) { random = SplitMix64(seed: UInt64(stage)) }

  /// -2^23...2^23 - 1
  package mutating func next() -> Int { random.next24() }

  /// -amplitude...amplitude
  package mutating func next(amplitude: Int) -> Int { (next() * amplitude + 1 << 22) >> 23 }
}
