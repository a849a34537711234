import CKernels
import Coding
import EntropyCoding

/// How the channels of a block are quantised, and how their symbols are distributed: the side information, range-coded.
///
///     low bits      bypass, 4 bits, 0...14
///     classes - 1   bypass, 4 bits
///     least, span   bypass, 8 bits each: indices of steps are least...least + span, at most 191
///     for each channel of each head:
///       index - least   an adaptive symbol of span + 1, unless span is 0
///       middle          a signed number
///       class           an adaptive symbol of as many as there are, unless there is one
///     for each class: the table of its symbols, a KVTable
///
/// A number n < 2^23 is its length in bits, an adaptive symbol of 24, then all bits but the first as bypass, in fields of
/// at most 16 bits, the high ones first; a signed number's length is followed by a bypass bit, 1 for less than 0, unless it
/// is 0.
// bitstream-spec 10.3
struct KVSteps {
  static let maximumIndex = 191
  static let maximumLowBits = 14
  static let maximumClasses = 16

  let heads: Int
  /// Of a head.
  let channels: Int
  /// By head and channel: a symbol more is 4 * `unit(index)` more.
  let indices: [UInt8]
  /// By head and channel: the whole number of units that symbol 128 stands for.
  let middles: [Int32]
  /// By head and channel.
  let classes: [UInt8]
  let lowBits: Int
  /// By class.
  let tables: [BlockRANS.Table]

  /// A quarter of a step, 2^(index / 4 - 32), the fourth root of 2 and its powers rounded to binary32.
  static func unit(_ index: Int) -> Float { KVBlockScales.power(4 * index - 512) }

  init(
    heads: Int, channels: Int, indices: [UInt8], middles: [Int32], classes: [UInt8], lowBits: Int, tables: [BlockRANS.Table]
  ) {
    (self.heads, self.channels) = (heads, channels)
    (self.indices, self.middles, self.classes) = (indices, middles, classes)
    (self.lowBits, self.tables) = (lowBits, tables)
  }

  /// Throws `EntropyError` or `CodecError` (malformed). The inverse is `serialised()`.
  init(parsing bytes: [UInt8], heads: Int, channels: Int) throws {
    (self.heads, self.channels) = (heads, channels)
    var decoder = RangeDecoder(bytes)
    lowBits = Int(try decoder.decodeBypass(bits: 4))
    guard lowBits <= Self.maximumLowBits else { throw CodecError.damagedKV("a block has \(lowBits) low bits") }
    let count = Int(try decoder.decodeBypass(bits: 4)) + 1
    let least = Int(try decoder.decodeBypass(bits: 8)), span = Int(try decoder.decodeBypass(bits: 8))
    guard least + span <= Self.maximumIndex else { throw CodecError.damagedKV("a block has a step of index \(least + span)") }
    var index = AdaptiveModel(symbolCount: max(2, span + 1)), kind = AdaptiveModel(symbolCount: max(2, count))
    var middle = KVNumberModel()
    var indices: [UInt8] = [], middles: [Int32] = [], classes: [UInt8] = []
    for _ in 0..<heads * channels {
      let offset = span > 0 ? try decoder.decode(adapting: &index) : 0
      indices.append(UInt8(least + offset))
      middles.append(try middle.decodeSigned(from: &decoder))
      classes.append(count > 1 ? UInt8(try decoder.decode(adapting: &kind)) : 0)
    }
    (self.indices, self.middles, self.classes) = (indices, middles, classes)
    var tables: [BlockRANS.Table] = []
    for _ in 0..<count { tables.append(try KVTable.decode(from: &decoder)) }
    self.tables = tables
    try decoder.finish()
  }

  /// The channels of all heads, by class and then in order, and how many each class has.
  var order: (columns: [Int], counts: [Int]) {
    var counts = [Int](repeating: 0, count: tables.count)
    for number in classes { counts[Int(number)] += 1 }
    var next = [0]
    for count in counts.dropLast() { next.append(next.last! + count) }
    var columns = [Int](repeating: 0, count: classes.count)
    for (column, number) in classes.enumerated() {
      columns[next[Int(number)]] = column
      next[Int(number)] += 1
    }
    return (columns, counts)
  }

  /// Calls `body` with the steps of one head as kernels take them.
  func withKernelSteps<R>(head: Int, _ body: (nc_kv_steps) -> R) -> R {
    let range = head * channels..<(head + 1) * channels
    let units = range.map { Self.unit(Int(indices[$0])) }
    let inverse = units.map { 0.25 / $0 }
    return units.withUnsafeBufferPointer { units in
      inverse.withUnsafeBufferPointer { inverse in
        middles.withUnsafeBufferPointer { middles in
          body(
            nc_kv_steps(
              channels: channels, step: units.baseAddress, inverse: inverse.baseAddress,
              middle: middles.baseAddress! + range.lowerBound, low_bits: Int32(lowBits)))
        }
      }
    }
  }
}

/// Numbers below 2^23 as length and bits; see `KVSteps`.
struct KVNumberModel {
  private var lengths = AdaptiveModel(symbolCount: 24)

  mutating func decode(from decoder: inout RangeDecoder) throws -> UInt32 {
    try Self.rest(of: try decoder.decode(adapting: &lengths), from: &decoder)
  }

  mutating func decodeSigned(from decoder: inout RangeDecoder) throws -> Int32 {
    let length = try decoder.decode(adapting: &lengths)
    guard length > 0 else { return 0 }
    let isNegative = try decoder.decodeBypass(bits: 1) == 1
    let magnitude = Int32(try Self.rest(of: length, from: &decoder))
    return isNegative ? -magnitude : magnitude
  }

  private static func rest(of length: Int, from decoder: inout RangeDecoder) throws -> UInt32 {
    guard length > 0 else { return 0 }
    var value: UInt32 = 1
    var left = length - 1
    while left > 0 {
      let bits = min(left, 16)
      value = value << UInt32(bits) | (try decoder.decodeBypass(bits: bits))
      left -= bits
    }
    return value
  }

  mutating func encode(_ value: UInt32, into encoder: inout RangeEncoder) {
    // All lengths have an interval.
    try! encoder.encode(Self.length(value), adapting: &lengths)
    Self.encodeRest(of: value, into: &encoder)
  }

  mutating func encodeSigned(_ value: Int32, into encoder: inout RangeEncoder) {
    try! encoder.encode(Self.length(value.magnitude), adapting: &lengths)
    guard value != 0 else { return }
    encoder.encodeBypass(value < 0 ? 1 : 0, bits: 1)
    Self.encodeRest(of: value.magnitude, into: &encoder)
  }

  private static func length(_ value: UInt32) -> Int {
    precondition(value < 1 << 23, "numbers have at most 23 bits")
    return 32 - value.leadingZeroBitCount
  }

  private static func encodeRest(of value: UInt32, into encoder: inout RangeEncoder) {
    var left = max(length(value) - 1, 0)
    while left > 0 {
      let bits = min(left, 16)
      encoder.encodeBypass(value >> UInt32(left - bits) & (1 << UInt32(bits) - 1), bits: bits)
      left -= bits
    }
  }
}
