import EntropyCoding

/// What activations look up, made of integers alone so that every machine has the same; their CRC-32 stand in the specification.
// bitstream-spec 14.4
package enum NeRVTables {
  /// 2^10 (max(u, 0) - activation(u)) at magnitudes u = i / 1024, i = 0...32767, rounded: what the activation takes away from the ramp.
  package static func shortfall(_ activation: NeRVArchitecture.Activation) -> [UInt16] {
    switch activation {
    case .gelu: gelu
    case .swish: swish
    }
  }

  /// u (1 - normal(u))
  private static let gelu = (0..<32768).map { i -> UInt16 in
    guard i < 4096 else { return 0 }  // below 0.26
    // The integral from 0 to u is the density times u + u^3 / 3 + u^5 / (3 * 5) + ... ; terms in 2^-48, and at most 3737.
    let square = UInt64(i * i)  // in 2^-20
    var (term, sum, odd) = (UInt64(i) << 38, UInt64(0), UInt64(1))
    while term > 0 {
      sum += term
      odd += 2
      term = (odd << 20).dividingFullWidth(term.multipliedFullWidth(by: square)).quotient
    }
    let density = Scale.multiply62(1_839_796_536_686_825_613, Scale.expMinus(square << 39))  // floor(2^62 / sqrt(2 pi))
    let tail = 1 << 47 - Int(Scale.multiply62(density, sum))  // 2^-48
    return UInt16((i * tail + 1 << 47) >> 48)
  }

  /// u / (1 + e^u)
  private static let swish = (0..<32768).map { i -> UInt16 in
    guard i < 16384 else { return 0 }
    let e = exponential(i, shift: 50)
    return UInt16(rounded(UInt128(i) * e, over: one + e))
  }

  /// 255 (1 + tanh(p / 1024)) / 2 at p = i - 8192, i = 0...16383, rounded.
  package static let samples = (0..<16384).map { i -> UInt8 in
    let p = i - 8192
    let e = exponential(min(abs(p), 8000), shift: 51)
    return UInt8(rounded(255 * (p < 0 ? e : one), over: one + e))
  }

  /// 4096 sin(2 pi p / 16384), rounded, at p = 0...16383.
  // bitstream-spec 14.5
  package static let waves = (0..<16384).map { p -> Int16 in
    let half = p & 8191
    // The series of the sine of at most a quarter turn; terms in 2^-60.
    let x = min(half, 8192 - half) * 442_139_859_501_777  // floor(2^60 2 pi / 16384)
    var (term, sum, odd) = (Int128(x), Int128(0), Int128(1))
    while term != 0 {
      sum += term
      odd += 2
      term = -(((term * Int128(x)) >> 60) * Int128(x)) >> 60 / (odd * (odd - 1))
    }
    let size = Int16((sum + 1 << 47) >> 48)
    return p < 8192 ? size : -size
  }

  private static let one: UInt128 = 1 << 60

  /// exp(-i 2^shift / 2^60) in 2^-60
  private static func exponential(_ i: Int, shift: Int) -> UInt128 { UInt128(Scale.expMinus(UInt64(i) << UInt64(shift)) >> 2) }

  private static func rounded(_ numerator: UInt128, over denominator: UInt128) -> UInt128 { (2 * numerator + denominator) / (2 * denominator) }
}
