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

  /// Appends the header to `bytes`; lanes.count is a power of two below 2^2^countBits.
  func serialised(countBits: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    var used = 8
    func put(_ value: UInt64, _ count: Int, into bytes: inout [UInt8], used: inout Int) {
      for i in 0..<count {
        if used == 8 {
          bytes.append(0)
          used = 0
        }
        bytes[bytes.count - 1] |= UInt8((value >> UInt64(i)) & 1) << UInt8(used)
        used += 1
      }
    }
    put(UInt64(lanes.count.trailingZeroBitCount), countBits, into: &bytes, used: &used)
    for lane in lanes {
      let length = 64 - lane.leadingZeroBitCount
      put(UInt64(length), 6, into: &bytes, used: &used)
      put(lane, max(0, length - 1), into: &bytes, used: &used)
    }
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
      for i in 0..<count {
        value |= UInt64((payload[position >> 3] >> UInt8(position & 7)) & 1) << UInt64(i)
        position += 1
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
