/// Codes values over indexed tables into one rANS stream of interleaved lanes. Inverse: `RANSDecoder`.
/// // bitstream-spec 5.5
///
/// Values are appended in the decoder's order, batch after batch; `finish` codes them all from the last to the first.
package struct RANSEncoder: ~Copyable {
  static let lower: UInt64 = 1 << 24
  static let upper: UInt64 = 1 << 56
  /// Where lane 0 starts here and ends in the decoder. The other lanes start at 0, which a damaged stream may well end
  /// at too, as symbols whose interval starts at 0 leave a state of 0 alone; this state is not met by such an accident.
  static let first: UInt64 = 1 << 16

  /// What the escape of the value at `step` says beyond its table.
  private struct EscapeStep {
    let step: Int
    let fields: Escape
  }

  /// The interval of each step: start (bits 0-15), width - 1 (16-31).
  private var steps: [UInt32] = []
  private var escapes: [EscapeStep] = []

  package init() {}

  package mutating func reserve(_ count: Int) { steps.reserveCapacity(steps.count + count) }

  /// Appends values[i] coded with table indices[i] of `tables`. Throws `symbolOutsideModel` where a value has no
  /// interval and its table no escape; what came before it stays appended.
  package mutating func append(
    _ values: UnsafeBufferPointer<Int16>, indices: UnsafeBufferPointer<UInt8>, tables: TableSet
  ) throws {
    precondition(values.count == indices.count, "one index per value")
    let first = steps.count
    steps.append(contentsOf: repeatElement(0, count: values.count))
    var done = 0
    while true {
      done = steps.withUnsafeMutableBufferPointer { steps in
        tables.outlines.withUnsafeBufferPointer { outlines in
          tables.steps.withUnsafeBufferPointer { known in
            for i in done..<values.count {
              let table = Int(indices[i])
              precondition(table < outlines.count, "a table of the set")
              let outline = outlines[table]
              let offset = Int(values[i]) &- outline.values.lowerBound
              guard offset >= 0, offset <= outline.values.upperBound &- outline.values.lowerBound else { return i }
              steps[first &+ i] = known[outline.firstStep &+ offset]
            }
            return values.count
          }
        }
      }
      guard done < values.count else { return }
      // Few values are outside their tables' ranges.
      do {
        steps[first + done] = try escape(values[done], outline: tables.outlines[Int(indices[done])], at: first + done)
      } catch {
        steps.removeLast(values.count - done)
        throw error
      }
      done += 1
    }
  }

  package mutating func append(_ values: [Int16], indices: [UInt8], tables: TableSet) throws {
    try values.withUnsafeBufferPointer { v in
      try indices.withUnsafeBufferPointer { try append(v, indices: $0, tables: tables) }
    }
  }

  /// Appends one value.
  @inline(__always)
  package mutating func append(_ value: Int16, table: Int, of tables: TableSet) throws {
    let outline = tables.outlines[table]
    let offset = Int(value) - outline.values.lowerBound
    if offset >= 0 && offset < outline.values.count {
      steps.append(tables.steps[outline.firstStep + offset])
    } else {
      steps.append(try escape(value, outline: outline, at: steps.count))
    }
  }

  /// The interval of the escape, and what stands behind it at step `step`.
  private mutating func escape(_ value: Int16, outline: TableSet.Outline, at step: Int) throws -> UInt32 {
    guard outline.escapeStart < 65536 else {
      throw EntropyError(.symbolOutsideModel, in: "rANS encoder", "\(value) is outside \(outline.values)")
    }
    escapes.append(EscapeStep(step: step, fields: Escape(value, outside: outline.values)))
    return outline.escapeStart | (65535 - outline.escapeStart) << 16
  }

  /// Appends `count` (1...16) raw bits of `value`, as one step.
  package mutating func appendBypass(_ value: UInt32, bits count: Int) {
    precondition((1...16).contains(count) && value >> UInt32(count) == 0)
    let width = UInt32(1) << UInt32(16 - count)
    steps.append(value << UInt32(16 - count) | (width - 1) << 16)
  }

  /// Appends intervals of precision 16 as they are: start (bits 0-15), width - 1 (16-31).
  package mutating func append(intervals: UnsafeBufferPointer<UInt32>) { steps.append(contentsOf: intervals) }

  /// Information in what was appended, in bits, rounded down; bits of escapes' fields are left out.
  package var bitCount: Int {
    // The product of the widths as mantissa and exponent.
    var mantissa: UInt64 = 1 << 32
    var bits = 0
    for step in steps {
      mantissa = (mantissa &* (UInt64(step >> 16) &+ 1)) >> 16
      let shift = mantissa.leadingZeroBitCount &- 31
      mantissa <<= UInt64(shift)
      bits &+= shift
    }
    return bits
  }

  /// The payload; nothing appended gives no bytes. `lanes` is 1, 2 or 4: each costs 2 to 3 bytes, and each doubling
  /// decodes faster. Nil takes as many as cost less than about a 250th of the payload.
  package consuming func finish(lanes: Int? = nil) -> [UInt8] {
    guard !steps.isEmpty else { return [] }
    let count = lanes ?? Self.lanes(for: bitCount)
    precondition([1, 2, 4].contains(count))
    var writer = LaneWriter(count: count)
    var escape = escapes.count - 1
    steps.withUnsafeBufferPointer { steps in
      var n = steps.count - 1
      while n >= 0 {
        // Down to the next escape in one go.
        let last = escape >= 0 ? escapes[escape].step : -1
        if n - last >= 8, count == 4 { n = writer.pushFour(steps, from: n, downTo: last) }
        guard n >= 0 else { break }
        let lane = n & (count - 1)
        if escape >= 0 && escapes[escape].step == n {
          let e = escapes[escape].fields
          if e.mantissaBits > 0 { writer.pushBits(e.mantissa, UInt32(e.mantissaBits), lane: lane) }
          writer.pushBits(e.head, 6, lane: lane)
          escape -= 1
        }
        let step = steps[n]
        writer.push(start: UInt64(step & 0xffff), width: UInt64(step >> 16) + 1, lane: lane)
        n -= 1
      }
    }
    return writer.payload()
  }

  private static func lanes(for bits: Int) -> Int { bits < 12_000 ? 1 : bits < 24_000 ? 2 : 4 }

  /// The lanes as the encoder drives them, last symbol first.
  private struct LaneWriter {
    var lanes: [UInt64]
    /// In order of emission, which is the reverse of the decoder's order.
    var words: [UInt32] = []

    init(count: Int) {
      lanes = [UInt64](repeating: 0, count: count)
      lanes[0] = RANSEncoder.first
    }

    @inline(__always)
    mutating func pushBits(_ value: UInt32, _ count: UInt32, lane: Int) {
      push(start: UInt64(value) << UInt64(16 - count), width: 1 << UInt64(16 - count), lane: lane)
    }

    @inline(__always)
    mutating func push(start: UInt64, width: UInt64, lane: Int) {
      var x = lanes[lane]
      if words.isEmpty {
        // No word so far: lanes grow and stay below upper - lower. When one would leave, all are lifted into
        // [lower, upper), which this lane then leaves by its first word.
        if x < width << 40 {
          let quotient = x / width
          let grown = quotient << 16 &+ (x &- quotient &* width) &+ start
          if grown < RANSEncoder.upper - RANSEncoder.lower {
            lanes[lane] = grown
            return
          }
        }
        for i in lanes.indices { lanes[i] += RANSEncoder.lower }
        x = lanes[lane]
      }
      if x >= width << 40 {
        words.append(UInt32(truncatingIfNeeded: x))
        x >>= 32
      }
      let quotient = x / width
      lanes[lane] = quotient << 16 &+ (x &- quotient &* width) &+ start
    }

    /// Pushes steps n, n - 1, ... above step `last`, groups of four that begin at multiples of it, as far as there are any, once there
    /// are words. Returns the next step.
    mutating func pushFour(_ steps: UnsafeBufferPointer<UInt32>, from n: Int, downTo last: Int) -> Int {
      guard !words.isEmpty, n & 3 == 3 else { return n }
      var (a, b, c, d) = (lanes[0], lanes[1], lanes[2], lanes[3])
      var n = n
      while n - last >= 4 {
        // A step gives a word at most.
        let some = min((n - last) / 4, 256)
        let room = [UInt32](unsafeUninitializedCapacity: 4 * some) { room, count in
          let to = room.baseAddress!
          @inline(__always)
          func push(_ x: inout UInt64, _ step: UInt32) {
            let width = UInt64(step >> 16) &+ 1
            if x >= width << 40 {
              to[count] = UInt32(truncatingIfNeeded: x)
              count &+= 1
              x >>= 32
            }
            let quotient = x / width
            x = quotient << 16 &+ (x &- quotient &* width) &+ UInt64(step & 0xffff)
          }
          for _ in 0..<some {
            push(&d, steps[n])
            push(&c, steps[n &- 1])
            push(&b, steps[n &- 2])
            push(&a, steps[n &- 3])
            n &-= 4
          }
        }
        words += room
      }
      (lanes[0], lanes[1], lanes[2], lanes[3]) = (a, b, c, d)
      return n
    }

    func payload() -> [UInt8] {
      var bytes = LaneHeader(lanes: lanes).serialised(countBits: 2)
      bytes.reserveCapacity(bytes.count + 4 * words.count)
      for word in words.reversed() {
        for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
      }
      return bytes
    }
  }
}
