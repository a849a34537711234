/// The logistic function and its inverse, in integers.
// bitstream-spec 11.4
package enum Squashing {
  /// The greatest argument, in 1/256.
  package static let limit = 2816
  /// 2^16 / (1 + exp(-d / 256)) for d = -limit...limit, within 1...65535.
  package static let squashed: [Int32] = {
    var table = [Int32](repeating: 32768, count: 2 * limit + 1)
    // exp(-n / 256) in 2^-62; the ratio is floor(2^62 exp(-1/256)).
    let ratio: UInt64 = 4_593_706_758_521_714_574
    var power: UInt64 = 1 << 62
    for n in 1...limit {
      let product = power.multipliedFullWidth(by: ratio)
      power = product.high << 2 | product.low >> 62
      let value = min(65535, Int32((1 << 48) / ((1 << 32) + power >> 30)))
      table[limit + n] = value
      table[limit - n] = 65536 - value
    }
    return table
  }()

  /// For p = 0...4095: the least d with squashed(d) at least 16 p + 8.
  package static let stretched: [Int32] = {
    var table: [Int32] = []
    var d = -limit
    for p in 0..<4096 {
      while d < limit, squashed[d + limit] < 16 * p + 8 { d += 1 }
      table.append(Int32(d))
    }
    return table
  }()
}
