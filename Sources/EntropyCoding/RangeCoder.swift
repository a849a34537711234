/// Codes symbols one by one with any model, adaptive ones included. Inverse: `RangeDecoder`. // bitstream-spec 5.6
package struct RangeEncoder: ~Copyable {
  /// Lower end of the current interval, modulo 2^64: carries have gone into `bytes`.
  private var low: UInt64 = 0
  /// Width of the current interval. Invariant between symbols: at least 2^32.
  private var range: UInt64 = .max
  /// Words that left `low`, high byte first.
  private var bytes: [UInt8] = []

  package init() {}

  /// Throws `symbolOutsideModel`, having coded nothing.
  @inline(__always)
  package mutating func encode(_ symbol: Int, with model: some EntropyModel) throws {
    guard let interval = model.interval(of: symbol) else {
      throw EntropyError(.symbolOutsideModel, in: "range encoder", "the model has no symbol \(symbol)")
    }
    encode(interval, precision: model.precision)
  }

  /// Codes, then lets the model learn. Throws `symbolOutsideModel`, having coded nothing.
  @inline(__always)
  package mutating func encode(_ symbol: Int, adapting model: inout some AdaptiveEntropyModel) throws {
    try encode(symbol, with: model)
    model.update(with: symbol)
  }

  /// As the general method, which other modules do not specialise.
  package mutating func encode(_ symbol: Int, adapting model: inout AdaptiveModel) throws {
    try encode(symbol, with: model)
    model.update(with: symbol)
  }

  @inline(__always)
  package mutating func encode(_ interval: Interval, precision: Int) {
    let unit = range >> UInt64(precision)
    let (sum, carry) = low.addingReportingOverflow(unit &* UInt64(interval.start))
    low = sum
    if carry { propagateCarry() }
    range = unit &* UInt64(interval.width)
    if range < 1 << 32 { shiftWord() }
  }

  /// `count` (1...16) raw bits.
  package mutating func encodeBypass(_ value: UInt32, bits count: Int) {
    precondition((1...16).contains(count) && value >> UInt32(count) == 0)
    encode(Interval(start: value, width: 1), precision: count)
  }

  /// A bit whose 0 has a share of `zeroWidth` (1...65535) in 2^-16. The inverse is `decodeBit`.
  package mutating func encodeBit(_ bit: Int, zeroWidth: UInt32) {
    encode(
      bit == 0 ? Interval(start: 0, width: zeroWidth) : Interval(start: zeroWidth, width: 65536 &- zeroWidth), precision: 16)
  }

  /// A value over a table that may have an escape. Throws `symbolOutsideModel` where it has none and needs one.
  package mutating func encode(_ value: Int16, with table: TableSet.Table) throws {
    if let interval = table.interval(of: Int(value)) { return encode(interval, precision: 16) }
    try encode(TableSet.Table.escapeSymbol, with: table)
    let escape = Escape(value, outside: table.outline.values)
    encodeBypass(escape.head, bits: 6)
    if escape.mantissaBits > 0 { encodeBypass(escape.mantissa, bits: escape.mantissaBits) }
  }

  /// The shortest payload whose zero extension lies in the final interval; nothing encoded gives no bytes.
  package consuming func finish() -> [UInt8] {
    let (count, value, carry) = shortestTail(low: low, range: range)
    if carry { propagateCarry() }
    for i in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * i))) }
    return bytes
  }

  @inline(never)
  private mutating func shiftWord() {
    for shift: UInt64 in [56, 48, 40, 32] { bytes.append(UInt8(truncatingIfNeeded: low >> shift)) }
    low <<= 32
    range <<= 32
  }

  @inline(never)
  private mutating func propagateCarry() {
    // Ends at the latest in the first byte: the interval never leaves 0 ..< 1.
    var i = bytes.count - 1
    while bytes[i] == 255 {
      bytes[i] = 0
      i -= 1
    }
    bytes[i] += 1
  }
}

/// The fewest leading bytes of a value v in low ..< low + range whose other bytes are 0; `carry` where v is 2^64 or
/// more (`value` is modulo 2^64).
private func shortestTail(low: UInt64, range: UInt64) -> (count: Int, value: UInt64, carry: Bool) {
  for count in 0..<8 {
    let rest: UInt64 = count == 0 ? .max : (1 << UInt64(64 - 8 * count)) - 1
    let (sum, carry) = low.addingReportingOverflow(rest)
    let value = sum & ~rest
    if value &- low < range { return (count, value, carry) }
  }
  return (8, low, false)
}

/// Reads what `RangeEncoder` wrote, given the same models in the same order. // bitstream-spec 5.6
///
/// Bytes past the end read as 0. A valid payload lets the decoder read at most 8 of them; one more word throws.
package struct RangeDecoder: ~Copyable {
  private let payload: [UInt8]
  /// The next byte to read; may run past the end by at most 8.
  private var position: Int
  /// The code's distance above the interval's lower end. Invariant for valid payloads: below `range`.
  private var offset: UInt64
  private var range: UInt64 = .max

  package init(_ payload: [UInt8]) {
    self.payload = payload
    position = 0
    offset = 0
    for _ in 0..<8 { offset = offset << 8 | nextByte() }
  }

  @inline(__always)
  package mutating func decode(with model: some EntropyModel) throws -> Int {
    let precision = UInt64(model.precision)
    let unit = range >> precision
    // What rounding left above the last interval is never coded, but damaged bytes may point there.
    let quantile = min(offset / unit, (1 << precision) - 1)
    let (symbol, interval) = model.symbol(at: UInt32(truncatingIfNeeded: quantile))
    try take(interval, unit: unit)
    return symbol
  }

  @inline(__always)
  package mutating func decode(adapting model: inout some AdaptiveEntropyModel) throws -> Int {
    let symbol = try decode(with: model)
    model.update(with: symbol)
    return symbol
  }

  /// As the general method, which other modules do not specialise.
  package mutating func decode(adapting model: inout AdaptiveModel) throws -> Int {
    let unit = range >> 16
    let quantile = min(offset / unit, 65535)
    let (symbol, interval) = model.symbol(at: UInt32(truncatingIfNeeded: quantile))
    try take(interval, unit: unit)
    model.update(with: symbol)
    return symbol
  }

  /// As the general method, without its division.
  @inline(__always)
  package mutating func decode(adapting bit: inout AdaptiveBit) throws -> Int {
    let zero = bit.zeroWidth
    let unit = range >> 16
    let symbol = offset < unit &* UInt64(zero) ? 0 : 1
    try take(
      symbol == 0 ? Interval(start: 0, width: zero) : Interval(start: zero, width: 65536 &- zero), unit: unit)
    bit.update(with: symbol)
    return symbol
  }

  /// A bit whose 0 has a share of `zeroWidth` (1...65535) in 2^-16. The inverse is `encodeBit`.
  package mutating func decodeBit(zeroWidth: UInt32) throws -> Int {
    let unit = range >> 16
    let bit = offset < unit &* UInt64(zeroWidth) ? 0 : 1
    try take(
      bit == 0 ? Interval(start: 0, width: zeroWidth) : Interval(start: zeroWidth, width: 65536 &- zeroWidth), unit: unit)
    return bit
  }

  /// `count` (1...16) raw bits.
  package mutating func decodeBypass(bits count: Int) throws -> UInt32 {
    precondition((1...16).contains(count))
    let unit = range >> UInt64(count)
    let value = min(offset / unit, (1 << UInt64(count)) - 1)
    try take(Interval(start: UInt32(value), width: 1), unit: unit)
    return UInt32(value)
  }

  /// Inverse of the encoder's method for tables with an escape. Throws `corrupt` or `truncated`.
  package mutating func decodeValue(with table: TableSet.Table) throws -> Int16 {
    let symbol = try decode(with: table)
    guard symbol == TableSet.Table.escapeSymbol else { return Int16(symbol) }
    let head = try decodeBypass(bits: 6)
    let bits = try Escape.mantissaBits(head: head)
    let mantissa = bits > 0 ? try decodeBypass(bits: bits) : 0
    return try Escape.value(head: head, mantissa: mantissa, outside: table.outline.values)
  }

  /// Checks that the payload is the one that `RangeEncoder` would have written for these symbols: it ends with the
  /// shortest tail of the final interval and nothing else. Throws `truncated`, `trailingBytes` or `corrupt`. The bytes
  /// hold no redundancy, so damage that leaves the length right goes unnoticed: checksums are the container's.
  package consuming func finish() throws {
    // The window is the last 8 bytes read; what the encoder's `low` was follows from it.
    var window: UInt64 = 0
    for i in position - 8..<position { window = window << 8 | (i < payload.count ? UInt64(payload[i]) : 0) }
    let (count, value, _) = shortestTail(low: window &- offset, range: range)
    let end = position - 8 + count
    guard payload.count <= end else {
      throw EntropyError(.trailingBytes, in: "range coder payload", "\(payload.count - end) bytes are left over")
    }
    guard payload.count == end else {
      throw EntropyError(.truncated, in: "range coder payload", "\(end - payload.count) bytes are missing")
    }
    guard window == value, offset < range else {
      throw EntropyError(.corrupt, in: "range coder payload", "the tail is not that of its symbols")
    }
  }

  @inline(__always)
  private mutating func take(_ interval: Interval, unit: UInt64) throws {
    offset &-= unit &* UInt64(interval.start)
    range = unit &* UInt64(interval.width)
    if range < 1 << 32 { try shiftWord() }
  }

  @inline(never)
  private mutating func shiftWord() throws {
    guard position + 4 <= payload.count + 8 else {
      throw EntropyError(.truncated, in: "range coder payload", "symbols continue past the \(payload.count) bytes")
    }
    for _ in 0..<4 { offset = offset << 8 | nextByte() }
    range <<= 32
  }

  private mutating func nextByte() -> UInt64 {
    defer { position += 1 }
    return position < payload.count ? UInt64(payload[position]) : 0
  }
}
