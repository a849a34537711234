/// Tails of the Laplace distribution for 128 scales, sampled at distances of 1/32, in integer arithmetic.
/// // bitstream-spec 9.6
///
/// The tail at distance d / 32 (d at least 0) of scale index s is P(X > d / 32) in 2^-16 for X Laplace of scale
/// b = exp(s / 16 - 7 / 2): `values[offsets[s] + (d & 31) * lengths[s] + min(d >> 5, lengths[s] - 1)]`.
package struct LaplaceTails: Sendable {
  package static let scales = 128
  /// Samples of a unit of distance.
  package static let phases = 32
  /// Distances are below this many units.
  static let reach = 256

  package let values: [UInt16]
  package let offsets: [UInt32]
  package let lengths: [UInt16]

  /// All scales; made at the first use, in about a millisecond.
  package static let shared = LaplaceTails()

  private init() {
    var values: [UInt16] = []
    var offsets: [UInt32] = []
    var lengths: [UInt16] = []
    // exp(7/2) / 32 in 2^-60, and exp(-1/16) in 2^-62.
    var exponent = Self.firstExponent
    for _ in 0..<Self.scales {
      let step = Scale.expMinus(exponent)
      exponent = Scale.multiply62(exponent, Self.ratio)
      var unit = step
      for _ in 0..<5 { unit = Scale.multiply62(unit, unit) }
      // Distances in whole units until nothing is left.
      var length = 0
      var tail: UInt64 = 1 << 62
      while length < Self.reach {
        length += 1
        if tail >> 47 == 0 { break }
        tail = Scale.multiply62(tail, unit)
      }
      offsets.append(UInt32(values.count))
      lengths.append(UInt16(length))
      var phase: UInt64 = 1 << 62
      for _ in 0..<Self.phases {
        var tail = phase
        for _ in 0..<length {
          values.append(UInt16(tail >> 47))
          tail = Scale.multiply62(tail, unit)
        }
        phase = Scale.multiply62(phase, step)
      }
    }
    (self.values, self.offsets, self.lengths) = (values, offsets, lengths)
  }

  /// floor(2^60 * exp(7/2) / 32): the exponent of one sample at scale index 0.
  static let firstExponent: UInt64 = 1_193_109_896_810_978_128
  /// floor(2^62 * exp(-1/16))
  static let ratio: UInt64 = 4_332_278_087_304_955_804
}
