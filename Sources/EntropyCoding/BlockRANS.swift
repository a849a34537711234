import CKernels

/// A static byte alphabet coded in one go, for bulk data: precision 12, 32-bit states, 16-bit words, up to 32 lanes so
/// that SIMD can decode them. // bitstream-spec 5.7
package enum BlockRANS {
  static let lower: UInt64 = 1 << 16
  static let upper: UInt64 = 1 << 32
  /// Where lane 0 starts in the encoder and ends in the decoder; the others at 0. See `RANSEncoder.first`.
  static let first: UInt64 = 1 << 12

  /// Which kernel decodes 32 lanes; `best` obeys NCCODEC_SIMD.
  package enum Level: Int32, CaseIterable, Sendable {
    case scalar = 0
    case sse4, avx2, avx512
    package static var best: Level { Level(rawValue: rans_level()) ?? .scalar }
  }

  /// What coder and decoder need of one alphabet; make it once, use it for many blocks.
  package struct Table: Sendable {
    package let model: CategoricalModel
    /// Per quantile: symbol (bits 0-7), width - 1 (8-19), quantile - start (20-31).
    let quantiles: [UInt32]
    /// What `rans_encode_table` makes of the widths.
    let entries: [UInt32]

    /// Throws `badModel` unless the model has precision 12 and at most 256 symbols. A table that is not `forDecoding` is
    /// made sooner.
    package init(_ model: CategoricalModel, forDecoding: Bool = true) throws {
      guard model.precision == 12, model.symbolCount <= 256 else {
        throw EntropyError(.badModel, in: "block table", "precision \(model.precision), \(model.symbolCount) symbols")
      }
      quantiles = [UInt32](unsafeUninitializedCapacity: forDecoding ? 4096 : 0) { quantiles, count in
        guard forDecoding else { return }
        rans_decode_table(model.widths, model.widths.count, quantiles.baseAddress!)
        count = 4096
      }
      entries = [UInt32](unsafeUninitializedCapacity: 512) { entries, count in
        rans_encode_table(model.widths, model.widths.count, entries.baseAddress!)
        count = 512
      }
      self.model = model
    }
  }

  /// The payload of `symbols`; none give no bytes. More lanes decode faster and cost 2 bytes each: nil lets the length
  /// decide. Throws `symbolOutsideModel`. Inverse: `decode`.
  package static func encode(_ symbols: [UInt8], with table: Table, lanes: Int? = nil, level: Level = .best) throws -> [UInt8]
  {
    try symbols.withUnsafeBufferPointer { try encode($0, with: table, lanes: lanes, level: level) }
  }

  /// As above from the caller's memory.
  package static func encode(
    _ symbols: UnsafeBufferPointer<UInt8>, with table: Table, lanes: Int? = nil, level: Level = .best
  ) throws -> [UInt8] {
    try encode(symbols, with: [(table, symbols.count)], lanes: lanes, level: level)
  }

  /// As above with a table for each of several runs of symbols, whose counts add up to that of the symbols. Where
  /// `allOccur`, each table is made from its run's counts, and symbols are not checked.
  package static func encode(
    _ symbols: UnsafeBufferPointer<UInt8>, with runs: [(table: Table, count: Int)], allOccur: Bool = false, lanes: Int? = nil,
    level: Level = .best
  ) throws -> [UInt8] {
    precondition(runs.reduce(0) { $0 + $1.count } == symbols.count, "each symbol has a table")
    guard !symbols.isEmpty, let base = symbols.baseAddress else { return [] }
    var end = 0
    for (table, length) in runs where !allOccur {
      try check(UnsafeBufferPointer(rebasing: symbols[end..<end + length]), table.model)
      end += length
    }
    let count = lanes ?? (symbols.count < 2048 ? 1 : symbols.count < 16384 ? 4 : 32)
    precondition(count.nonzeroBitCount == 1 && count <= 32)
    // As in RANSEncoder: lanes grow until the first word, and are then lifted.
    var states = [UInt64](repeating: 0, count: count)
    states[0] = first
    var (left, number) = (symbols.count, runs.count - 1)
    var start = symbols.count - runs[number].count
    grow: while left > 0 {
      while left == start {
        number -= 1
        start -= runs[number].count
      }
      let model = runs[number].table.model
      let s = Int(symbols[left - 1])
      let x = states[(left - 1) & (count - 1)]
      // 64 bits hold this for any width: x < 2^32.
      let width = UInt64(model.widths[s])
      let grown = (x / width) << 12 + x % width + UInt64(model.starts[s])
      guard grown < upper - lower else { break grow }
      states[(left - 1) & (count - 1)] = grown
      left -= 1
    }
    guard left > 0 else { return LaneHeader(lanes: states).serialised(countBits: 3) }
    var lifted = states.map { UInt32($0 + lower) }
    let capacity = left + 8
    return withUnsafeTemporaryAllocation(of: UInt16.self, capacity: capacity) { words in
      let end = words.baseAddress! + capacity
      var written = 0
      while left > 0 {
        while left == start {
          number -= 1
          start -= runs[number].count
        }
        let entries = runs[number].table.entries
        // Down to where lane 0 begins, then whole rounds, then what is before the run's first lane 0.
        let (top, bottom) = (left / count * count, (start + count - 1) / count * count)
        if count == 32, top == left, bottom < top {
          written += rans_encode_32(level.rawValue, entries, &lifted, base + bottom, top - bottom, end - written)
          left = bottom
        } else {
          let from = top < left ? max(top, start) : start
          written += turned(&lifted, by: from & (count - 1)) { lanes in
            rans_encode_scalar(entries, lanes, count, base + from, left - from, end - written)
          }
          left = from
        }
      }
      let header = LaneHeader(lanes: lifted.map(UInt64.init)).serialised(countBits: 3)
      // Words are little-endian in the stream and stored as they are, like every machine that Swift runs on.
      let coded = UnsafeRawBufferPointer(start: end - written, count: 2 * written)
      return [UInt8](unsafeUninitializedCapacity: header.count + coded.count) { bytes, initialised in
        _ = bytes.initialize(fromContentsOf: header)
        UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(bytes)[header.count...]).copyMemory(from: coded)
        initialised = header.count + coded.count
      }
    }
  }

  /// Throws `symbolOutsideModel`.
  private static func check(_ symbols: UnsafeBufferPointer<UInt8>, _ model: CategoricalModel) throws {
    var occurs = [Bool](repeating: false, count: 256)
    occurs.withUnsafeMutableBufferPointer { occurs in
      for s in symbols { occurs[Int(s)] = true }
    }
    for s in 0..<256 where occurs[s] && (s >= model.widths.count || model.widths[s] == 0) {
      throw EntropyError(.symbolOutsideModel, in: "block rANS encoder", "the table has no symbol \(s)")
    }
  }

  /// Calls `body` with the lanes turned so that lane `first` comes first.
  @inline(__always)
  private static func turned(
    _ lanes: inout [UInt32], by first: Int, _ body: (UnsafeMutablePointer<UInt32>) -> Int
  ) -> Int {
    lanes.withUnsafeMutableBufferPointer { lanes in
      guard first > 0 else { return body(lanes.baseAddress!) }
      return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: lanes.count) { turned in
        for i in lanes.indices { turned.initializeElement(at: i, to: lanes[(i + first) % lanes.count]) }
        let result = body(turned.baseAddress!)
        for i in lanes.indices { lanes[(i + first) % lanes.count] = turned[i] }
        return result
      }
    }
  }

  /// The `count` symbols of `payload`. Throws `truncated`, `corrupt` or `trailingBytes`. Inverse: `encode`.
  package static func decode(_ payload: [UInt8], count: Int, with table: Table, level: Level = .best) throws -> [UInt8]
  {
    try [UInt8](unsafeUninitializedCapacity: count) { symbols, initialised in
      try decode(payload, with: table, into: symbols, level: level)
      initialised = count
    }
  }

  /// As above into the caller's memory, whose contents are unspecified where this throws.
  package static func decode(
    _ payload: [UInt8], with table: Table, into symbols: UnsafeMutableBufferPointer<UInt8>, level: Level = .best
  ) throws {
    try decode(payload, with: [(table, symbols.count)], into: symbols, level: level)
  }

  /// As above with a table for each of several runs of symbols, whose counts add up to that of the symbols.
  package static func decode(
    _ payload: [UInt8], with runs: [(table: Table, count: Int)], into symbols: UnsafeMutableBufferPointer<UInt8>,
    level: Level = .best
  ) throws {
    precondition(runs.reduce(0) { $0 + $1.count } == symbols.count, "each symbol has a table")
    precondition(runs.allSatisfy { $0.table.quantiles.count == 4096 }, "tables are for decoding")
    let place = "block rANS payload"
    guard let out = symbols.baseAddress, symbols.count > 0 else {
      guard payload.isEmpty else { throw EntropyError(.trailingBytes, in: place, "bytes for no symbols") }
      return
    }
    guard !payload.isEmpty else { throw EntropyError(.truncated, in: place, "no bytes for \(symbols.count) symbols") }
    let (header, position) = try parse(payload, place: place)
    var lanes = header.lanes.map { UInt32($0) }
    let total = (payload.count - position) / 2
    let mask = lanes.count - 1
    try payload.withUnsafeBufferPointer { payload in
      let words = payload.baseAddress! + position
      var (done, taken, end) = (0, 0, 0)
      for (table, length) in runs {
        end += length
        try table.quantiles.withUnsafeBufferPointer { table in
          // Kernels leave the last word, whose rule they do not know.
          while done < end, total - taken > 1 {
            var used = 0
            let start = done
            if done & mask == 0, lanes.count == 32, level != .scalar, end - done >= 32 {
              done += rans_decode_32(
                level.rawValue, table.baseAddress!, &lanes, words + 2 * taken, total - taken, &used, out + done,
                (end - done) & ~31)
              taken += used
            }
            // What is left of a run, or before its first lane 0; all of it where there are few words.
            if done == start {
              let count = done & mask == 0 ? end - done : min(end - done, lanes.count - done & mask)
              done += turned(&lanes, by: done & mask) { lanes in
                rans_decode_scalar(
                  table.baseAddress!, lanes, mask + 1, words + 2 * taken, total - taken, &used, out + start, count)
              }
              taken += used
            }
          }
          while done < end {
            let lane = done & mask
            let entry = table[Int(lanes[lane] & 4095)]
            let high = lanes[lane] >> 12
            out[done] = UInt8(truncatingIfNeeded: entry)
            lanes[lane] = (entry >> 8 & 4095) &* high &+ high &+ entry >> 20
            done += 1
            guard lanes[lane] < 65536, taken < total else { continue }
            lanes[lane] = lanes[lane] << 16 | UInt32(words[2 * taken]) | UInt32(words[2 * taken + 1]) << 8
            taken += 1
            for i in lanes.indices {
              guard lanes[i] >= 65536 else {
                throw EntropyError(.corrupt, in: place, "a lane is too low at the last word")
              }
              lanes[i] -= 65536
            }
          }
        }
      }
      guard taken == total else {
        throw EntropyError(.trailingBytes, in: place, "\(total - taken) words are left after the last symbol")
      }
      guard lanes[0] == UInt32(first), lanes.dropFirst().allSatisfy({ $0 == 0 }) else {
        throw EntropyError(.corrupt, in: place, "lanes do not end where the encoder's began")
      }
    }
  }

  private static func parse(_ payload: [UInt8], place: String) throws -> (LaneHeader, length: Int) {
    var length = 0
    let header = try LaneHeader(parsing: payload, countBits: 3, maximumLog: 5, stateBits: 32, length: &length)
    let body = payload.count - length
    guard body % 2 == 0 else {
      throw EntropyError(.truncated, in: place, "\(body) bytes after the header are no whole number of words")
    }
    let (low, high) = body == 0 ? (0, upper - lower) : (lower, upper)
    guard header.lanes.allSatisfy({ $0 >= low && $0 < high }) else {
      throw EntropyError(.corrupt, in: place, "a lane's state is out of range")
    }
    return (header, length)
  }
}
