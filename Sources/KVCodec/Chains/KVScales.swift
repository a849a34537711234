import EntropyCoding

/// Which of the 64 Laplace tables a symbol has: the states of its component and the energy of its token, all in integers.
// bitstream-spec 10.10.4
package enum KVScales {
  /// States are table indices in units of 2^-12.
  package static let top: Int32 = 63 << 12
  /// The mean magnitude of a symbol under each table, in 2^-8.
  package static let expected: [UInt16] = Scale.sigmas.map { sigma in
    UInt16((Scale.laplaceTails(sigma: sigma).reduce(0) { $0 + $1 } << 9 + 1 << 31) >> 32)
  }

  /// Tables that a symbol's moves up by where steps are finer by so many sixteenths of an octave, 0...32.
  static func shift(sixteenths: Int) -> Int { (sixteenths * 439 + 512) >> 10 }
  /// `expected`, of tables that are so many further up.
  static let shifted: [[UInt32]] = (0...shift(sixteenths: KVFineSteps.maximumSixteenths)).map { shift in
    (0..<64).map { UInt32(expected[min($0 + shift, 63)]) }
  }

  /// By table and magnitude, up to 63: what a symbol adds to its component's state.
  static let moves: [Int32] = expected.flatMap { mean in
    (0..<64).map { magnitude in
      let (excess, mean) = ((magnitude << 8 - Int(mean)) * 1216, Int(mean) + 38)
      let move = excess >= 0 ? excess / mean : -((-excess + mean - 1) / mean)
      return Int32(min(max(move, -1216), 4864))
    }
  }

  /// 2^12: a token as others are.
  static let plainEnergy: UInt32 = 4096
  private static let above: [UInt32] = [4363, 4951, 5617, 6374, 7232, 8206, 9310, 10564, 11987, 13601]
  private static let below: [UInt32] = [3845, 3389, 2987, 2632, 2320, 2045, 1802, 1588, 1400, 1234]

  /// What a token's energy adds to its symbols' table indices.
  package static func offset(energy: UInt32) -> Int32 {
    var offset: Int32 = 0
    for step in above where energy >= step { offset += 1 }
    for step in below where energy < step { offset -= 1 }
    return offset
  }

  /// A token's energy behind a block whose symbols' magnitudes add up to `sum`, where `expected` (2^-8) was to be expected.
  static func energy(_ energy: UInt32, sum: UInt32, expected: UInt32) -> UInt32 {
    let ratio = (UInt64(sum) << 8 + 1024) << 12 / (UInt64(expected) + 1024)
    return (energy + UInt32(min(max(ratio, 1229), 12288))) >> 1
  }

  /// The state of a component of this variance, in squared steps.
  package static func state(variance: Float) -> Int32 {
    // What is no number is none of more than that either.
    let bits = Int((variance > 1e-6 ? variance : 1e-6).bitPattern)
    let fraction = bits >> 11 & 0xFFF
    let logarithm = (bits >> 23 - 127) << 12 + fraction + (1409 * fraction * (4096 - fraction)) >> 24
    return Int32(min(max(((logarithm + 26087) * 14048) >> 12, 0), Int(top)))
  }
}
