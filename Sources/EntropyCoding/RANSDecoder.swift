/// Reads a stream of `RANSEncoder` pass after pass, as later tables may depend on earlier values.
/// // bitstream-spec 5.5
///
/// Damaged payloads decode to arbitrary values until an impossible escape or `finish` throws; nothing is read out of
/// bounds and every call ends after its count of values.
package struct RANSDecoder: ~Copyable {
  private let payload: [UInt8]
  /// Four lanes; with fewer in the stream the last ones are unused.
  private var lanes: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
  /// Number of lanes, a power of two, less one.
  private let laneMask: Int
  /// Steps taken so far.
  private var step = 0
  /// Byte offset of the next word. Invariant: position + 4 * wordsLeft == payload.count.
  private var position: Int
  private var wordsLeft: Int

  /// Throws `truncated` or `corrupt` where the header makes no sense. An empty payload holds no values.
  package init(_ payload: [UInt8]) throws {
    let (header, length) = try Self.parse(payload)
    self.payload = payload
    position = length
    wordsLeft = (payload.count - length) / 4
    laneMask = header.lanes.count - 1
    let padded = header.lanes + [0, 0, 0]
    lanes = (padded[0], padded[1], padded[2], padded[3])
  }

  static func parse(_ payload: [UInt8]) throws -> (LaneHeader, length: Int) {
    guard !payload.isEmpty else { return (LaneHeader(lanes: [0]), 0) }
    var length = 0
    let header = try LaneHeader(parsing: payload, countBits: 2, maximumLog: 2, stateBits: 56, length: &length)
    let body = payload.count - length
    guard body % 4 == 0 else {
      throw EntropyError(.truncated, in: "rANS payload", "\(body) bytes after the header are no whole number of words")
    }
    let (low, high) =
      body == 0 ? (0, RANSEncoder.upper - RANSEncoder.lower) : (RANSEncoder.lower, RANSEncoder.upper)
    guard header.lanes.allSatisfy({ $0 >= low && $0 < high }) else {
      throw EntropyError(.corrupt, in: "rANS payload", "a lane's state is out of range")
    }
    return (header, length)
  }

  /// Decodes indices.count values, value i with table indices[i], into `values` (same count). Every index is below
  /// tables.count. Throws `corrupt` on an escape to a value outside Int16, or where the last word finds lanes that it
  /// cannot follow.
  package mutating func decode(
    _ tables: TableSet, indices: UnsafeBufferPointer<UInt8>, into values: UnsafeMutableBufferPointer<Int16>
  ) throws {
    precondition(indices.count == values.count, "one value per index")
    guard let index = indices.baseAddress, let value = values.baseAddress, indices.count > 0 else { return }
    precondition(Int(indices.max()!) < tables.count, "a table index is past the last table")
    let count = indices.count
    var reader = LaneReader(position: position, wordsLeft: wordsLeft)
    defer {
      position = reader.position
      wordsLeft = reader.wordsLeft
    }
    let mask = laneMask
    try payload.withUnsafeBufferPointer { payload in
      try tables.entries.withUnsafeBufferPointer { entries in
        try tables.heads.withUnsafeBufferPointer { heads in
          try tables.buckets.withUnsafeBufferPointer { buckets in
            let view = TableView(
              entries: entries.baseAddress!, heads: heads.baseAddress!, buckets: buckets.baseAddress!)
            var done = 0
            while done < count && step & mask != 0 {
              try slowStep(view, tables, index[done], &value[done], &reader, payload, mask)
              done += 1
            }
            if reader.wordsLeft > 0 {
              switch mask {
              case 0: try fastSteps(OneLane.self, view, tables, index, value, count, &done, &reader, payload)
              case 1: try fastSteps(TwoLanes.self, view, tables, index, value, count, &done, &reader, payload)
              default: try fastSteps(FourLanes.self, view, tables, index, value, count, &done, &reader, payload)
              }
            }
            while done < count {
              try slowStep(view, tables, index[done], &value[done], &reader, payload, mask)
              done += 1
            }
          }
        }
      }
    }
  }

  /// As above, on arrays.
  package mutating func decode(_ tables: TableSet, indices: [UInt8]) throws -> [Int16] {
    var values = [Int16](repeating: 0, count: indices.count)
    try indices.withUnsafeBufferPointer { index in
      try values.withUnsafeMutableBufferPointer { try decode(tables, indices: index, into: $0) }
    }
    return values
  }

  /// Reads `count` (1...16) raw bits, as one step. Throws `corrupt`.
  package mutating func decodeBypass(bits count: Int) throws -> UInt32 {
    precondition((1...16).contains(count))
    var reader = LaneReader(position: position, wordsLeft: wordsLeft)
    defer {
      position = reader.position
      wordsLeft = reader.wordsLeft
    }
    let lane = step & laneMask
    step += 1
    return try payload.withUnsafeBufferPointer { try takeBits(UInt32(count), lane: lane, &reader, $0) }
  }

  /// Checks that the stream ends here: no words left, every lane where the encoder's began, and an empty payload if and
  /// only if nothing was decoded. Throws `trailingBytes`, `corrupt` or `truncated`. Perhaps one damaged payload in ten
  /// thousand passes by luck: the container's checksum is there for those.
  package consuming func finish() throws {
    try Self.checkEnd(lanes: lanes, wordsLeft: wordsLeft, steps: step, isEmpty: payload.isEmpty)
  }

  static func checkEnd(lanes: (UInt64, UInt64, UInt64, UInt64), wordsLeft: Int, steps: Int, isEmpty: Bool) throws {
    guard wordsLeft == 0 else {
      throw EntropyError(.trailingBytes, in: "rANS payload", "\(wordsLeft) words are left after the last value")
    }
    guard !isEmpty || steps == 0 else {
      throw EntropyError(.truncated, in: "rANS payload", "no bytes for \(steps) steps")
    }
    guard lanes == (isEmpty ? 0 : RANSEncoder.first, 0, 0, 0), isEmpty || steps > 0 else {
      throw EntropyError(.corrupt, in: "rANS payload", "lanes do not end where the encoder's began")
    }
  }

  // MARK: Inside

  private struct LaneReader {
    var position: Int
    var wordsLeft: Int
  }

  private struct TableView {
    let entries: UnsafePointer<UInt64>
    let heads: UnsafePointer<UInt64>
    let buckets: UnsafePointer<UInt16>

    /// Takes one interval off lane x, without refilling it: the value, and whether it is the escape.
    @inline(__always)
    func take(_ x: inout UInt64, _ index: UInt8) -> (value: Int16, escaped: Bool) {
      let slot = x & 0xffff
      let head = heads[Int(index)]
      let bucket = Int(buckets[Int(index) << 9 | Int(slot >> 7)])
      var e = entries + (Int(head & 0xffff_ffff) &+ bucket)
      // Most buckets span at most three intervals: two comparisons without a branch, a loop for the rest.
      let skip = (slot >= e[1] & 0xffff_ffff ? 1 : 0) &+ (slot >= e[2] & 0xffff_ffff ? 1 : 0)
      e += skip
      while slot >= e[1] & 0xffff_ffff { e += 1 }
      let entry = e[0]
      x = ((entry >> 32 & 0xffff) &+ 1) &* (x >> 16) &+ slot &- (entry & 0xffff)
      return (Int16(truncatingIfNeeded: entry >> 48), slot >= head >> 32)
    }

    /// As `take`, and a refill from `at`, where 4 bytes are readable and are not the last word.
    @inline(__always)
    func step(_ x: inout UInt64, _ index: UInt8, _ at: inout UnsafeRawPointer) -> (value: Int16, escaped: Bool) {
      let taken = take(&x, index)
      let word = UInt64(UInt32(littleEndian: at.loadUnaligned(as: UInt32.self)))
      let low = x < RANSEncoder.lower
      x = low ? x << 32 | word : x
      at += low ? 4 : 0
      return taken
    }
  }

  /// Groups of four steps from lane 0 on, while no group can reach the last word, whose rule is `refill`'s.
  @inline(__always)
  private mutating func fastSteps<L: LaneCount>(
    _: L.Type, _ view: TableView, _ tables: TableSet, _ index: UnsafePointer<UInt8>,
    _ value: UnsafeMutablePointer<Int16>, _ count: Int, _ done: inout Int, _ reader: inout LaneReader, _ payload: UnsafeBufferPointer<UInt8>
  ) throws {
    let bytes = UnsafeRawPointer(payload.baseAddress!)
    // A group without escapes takes at most 4 words, so one that starts with more never takes the last.
    while done + 4 <= count && reader.wordsLeft > 4 {
      var (x0, x1, x2, x3) = lanes
      var at = bytes + reader.position
      let safeEnd = bytes + (payload.count - 16)
      var i = done
      var escaped = false
      while i + 4 <= count && at < safeEnd {
        let (s0, s1, s2, s3, start) = (x0, x1, x2, x3, at)
        // The conditions are constants of L.
        let a = view.step(&x0, index[i], &at)
        let b = L.count > 1 ? view.step(&x1, index[i + 1], &at) : view.step(&x0, index[i + 1], &at)
        let c = L.count > 2 ? view.step(&x2, index[i + 2], &at) : view.step(&x0, index[i + 2], &at)
        let d =
          L.count > 2
          ? view.step(&x3, index[i + 3], &at)
          : L.count > 1 ? view.step(&x1, index[i + 3], &at) : view.step(&x0, index[i + 3], &at)
        value[i] = a.value
        value[i + 1] = b.value
        value[i + 2] = c.value
        value[i + 3] = d.value
        escaped = a.escaped || b.escaped || c.escaped || d.escaped
        if escaped {
          // An escape's fields come before the next lanes' words: go back and take the group one by one.
          (x0, x1, x2, x3, at) = (s0, s1, s2, s3, start)
          break
        }
        i += 4
      }
      lanes = (x0, x1, x2, x3)
      reader.wordsLeft -= (at - bytes - reader.position) / 4
      reader.position = at - bytes
      step += i - done
      done = i
      guard escaped else { break }
      for _ in 0..<4 {
        try slowStep(view, tables, index[done], &value[done], &reader, payload, L.count - 1)
        done += 1
      }
    }
  }

  @inline(never)
  private mutating func slowStep(
    _ view: TableView, _ tables: TableSet, _ index: UInt8, _ value: inout Int16, _ reader: inout LaneReader,
    _ payload: UnsafeBufferPointer<UInt8>, _ mask: Int
  ) throws {
    let lane = step & mask
    step += 1
    var x = self[lane]
    let taken = view.take(&x, index)
    self[lane] = x
    try refill(lane, &reader, payload)
    value = taken.escaped ? try escaped(tables.outlines[Int(index)].values, lane, &reader, payload) : taken.value
  }

  private mutating func escaped(
    _ values: ClosedRange<Int>, _ lane: Int, _ reader: inout LaneReader, _ payload: UnsafeBufferPointer<UInt8>
  ) throws -> Int16 {
    let head = try takeBits(6, lane: lane, &reader, payload)
    let bits = try Escape.mantissaBits(head: head)
    let mantissa = bits > 0 ? try takeBits(UInt32(bits), lane: lane, &reader, payload) : 0
    return try Escape.value(head: head, mantissa: mantissa, outside: values)
  }

  private mutating func takeBits(
    _ count: UInt32, lane: Int, _ reader: inout LaneReader, _ payload: UnsafeBufferPointer<UInt8>
  ) throws -> UInt32 {
    let x = self[lane]
    let shift = UInt64(16 - count)
    let slot = x & 0xffff
    self[lane] = (x >> 16) << shift | slot & ((1 << shift) - 1)
    try refill(lane, &reader, payload)
    return UInt32(slot >> shift)
  }

  private mutating func refill(
    _ lane: Int, _ reader: inout LaneReader, _ payload: UnsafeBufferPointer<UInt8>
  ) throws {
    guard self[lane] < RANSEncoder.lower, reader.wordsLeft > 0 else { return }
    let bytes = UnsafeRawPointer(payload.baseAddress!)
    let word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: reader.position, as: UInt32.self))
    self[lane] = self[lane] << 32 | UInt64(word)
    reader.position += 4
    reader.wordsLeft -= 1
    if reader.wordsLeft == 0 {
      // The encoder lifted all lanes just before it wrote this, its first word.
      for i in 0...laneMask {
        guard self[i] >= RANSEncoder.lower else {
          throw EntropyError(.corrupt, in: "rANS payload", "a lane is too low at the last word")
        }
        self[i] -= RANSEncoder.lower
      }
    }
  }

  private subscript(lane: Int) -> UInt64 {
    @inline(__always) get {
      switch lane {
      case 0: lanes.0
      case 1: lanes.1
      case 2: lanes.2
      default: lanes.3
      }
    }
    @inline(__always) set {
      switch lane {
      case 0: lanes.0 = newValue
      case 1: lanes.1 = newValue
      case 2: lanes.2 = newValue
      default: lanes.3 = newValue
      }
    }
  }
}

private protocol LaneCount { static var count: Int { get } }
private enum OneLane: LaneCount { static var count: Int { 1 } }
private enum TwoLanes: LaneCount { static var count: Int { 2 } }
private enum FourLanes: LaneCount { static var count: Int { 4 } }
