/// A bit's probability that adapts: 22 bits of the probability of a 1 above 10 of how often it was seen.
// bitstream-spec 11.4
package enum Estimate {
  /// Nothing is known.
  package static let even: UInt32 = 1 << 31
  package static let countMask: UInt32 = 1023
  /// By how often it was seen: what the probability moves by, in 2^-16 of the difference.
  package static let rates: [Int32] = (0..<1024).map { Int32(131_072 / (2 * $0 + 3)) }

  /// `old`, and that the bit was `bit`. `rates` are those above.
  @inline(__always)
  package static func learned(_ old: UInt32, _ bit: Int, _ rates: UnsafePointer<Int32>) -> UInt32 {
    let count = old & countMask
    let p = Int(old >> 10)
    let target = bit == 0 ? 0 : (1 << 22) &- 1
    let next = p &+ ((target &- p) &* Int(rates[Int(count)])) >> 16
    return UInt32(truncatingIfNeeded: next) << 10 | min(count &+ 1, countMask)
  }

  /// Counts that a stored estimate's code stands for.
  private static let counts: [UInt32] = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 21, 24, 27, 30]

  /// As it is stored: 12 bits of probability above 4 of how often. The inverse is `loaded(_:)`.
  package static func stored(_ estimate: UInt32) -> UInt16 {
    UInt16(estimate >> 20) << 4 | UInt16(counts.lastIndex { $0 <= estimate & countMask }!)
  }

  package static func loaded(_ word: UInt16) -> UInt32 { (UInt32(word >> 4) << 20 | 1 << 19) | counts[Int(word & 15)] }
}
