/// The head of every rANS payload: how many lanes, and the state of each. // bitstream-spec 5.5
///
///     2 or 3 bits  log2 of the number of lanes
///     per lane     6 bits   n, the state's bit length (0: the state is 0)
///                  n-1 bits the state below its leading bit
///     padding      zero bits to the next byte
///
/// Least significant bit first. `serialised` and `init(parsing:)` are inverse.
struct LaneHeader: Equatable {
  var lanes: [UInt64]

  init(lanes: [UInt64]) { self.lanes = lanes }

  /// lanes.count is a power of two below 2^2^countBits.
  func serialised(countBits: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(1 + 9 * lanes.count)
    // Bits that are not in `bytes` yet, fewer than 8 between calls.
    var (held, used) = (UInt64(0), 0)
    func put(_ value: UInt64, _ count: Int) {
      // At most 32 bits at a time, so that 64 hold them with what is left.
      var (value, count) = (value, count)
      while count > 0 {
        let part = min(count, 32)
        held |= (value & (1 << UInt64(part) - 1)) << UInt64(used)
        used += part
        value >>= UInt64(part)
        count -= part
        while used >= 8 {
          bytes.append(UInt8(truncatingIfNeeded: held))
          held >>= 8
          used -= 8
        }
      }
    }
    put(UInt64(lanes.count.trailingZeroBitCount), countBits)
    for lane in lanes {
      let length = 64 - lane.leadingZeroBitCount
      put(UInt64(length), 6)
      put(lane, max(0, length - 1))
    }
    if used > 0 { bytes.append(UInt8(truncatingIfNeeded: held)) }
    return bytes
  }

  /// Reads a header off the front of `payload` and says how many bytes it took. At most 2^maximumLog lanes of states
  /// below 2^stateBits. Throws `truncated` or `corrupt`.
  init(parsing payload: [UInt8], countBits: Int, maximumLog: Int, stateBits: Int, length: inout Int) throws {
    let place = "rANS lane header"
    var position = 0
    func take(_ count: Int) throws -> UInt64 {
      guard position + count <= payload.count * 8 else {
        throw EntropyError(.truncated, in: place, "the payload of \(payload.count) bytes ends inside its header")
      }
      var value: UInt64 = 0
      var taken = 0
      while taken < count {
        let (bit, part) = (position & 7, min(8 - position & 7, count - taken))
        value |= (UInt64(payload[position >> 3]) >> UInt64(bit) & (1 << UInt64(part) - 1)) << UInt64(taken)
        position += part
        taken += part
      }
      return value
    }
    let log = Int(try take(countBits))
    guard log <= maximumLog else { throw EntropyError(.corrupt, in: place, "2^\(log) lanes") }
    lanes = []
    for _ in 0..<(1 << log) {
      let bits = Int(try take(6))
      guard bits <= stateBits else { throw EntropyError(.corrupt, in: place, "a state of \(bits) bits") }
      lanes.append(bits == 0 ? 0 : try take(bits - 1) | 1 << UInt64(bits - 1))
    }
    while position & 7 != 0 {
      guard try take(1) == 0 else { throw EntropyError(.corrupt, in: place, "padding is not zero") }
    }
    length = position >> 3
  }
}
