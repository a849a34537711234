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

    /// Throws `badModel` unless the model has precision 12 and at most 256 symbols.
    package init(_ model: CategoricalModel) throws {
      guard model.precision == 12, model.symbolCount <= 256 else {
        throw EntropyError(.badModel, in: "block table", "precision \(model.precision), \(model.symbolCount) symbols")
      }
      var quantiles: [UInt32] = []
      quantiles.reserveCapacity(4096)
      for (symbol, width) in model.widths.enumerated() {
        for i in 0..<width { quantiles.append(UInt32(symbol) | (width - 1) << 8 | i << 20) }
      }
      self.model = model
      self.quantiles = quantiles
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
    guard !symbols.isEmpty, let base = symbols.baseAddress else { return [] }
    let widths = table.model.widths
    let starts = table.model.starts
    var occurs = [Bool](repeating: false, count: 256)
    occurs.withUnsafeMutableBufferPointer { occurs in
      for s in symbols { occurs[Int(s)] = true }
    }
    for s in 0..<256 where occurs[s] && (s >= widths.count || widths[s] == 0) {
      throw EntropyError(.symbolOutsideModel, in: "block rANS encoder", "the table has no symbol \(s)")
    }
    let count = lanes ?? (symbols.count < 2048 ? 1 : symbols.count < 16384 ? 4 : 32)
    precondition(count.nonzeroBitCount == 1 && count <= 32)
    // As in RANSEncoder: lanes grow until the first word, and are then lifted.
    var states = [UInt64](repeating: 0, count: count)
    states[0] = first
    var left = symbols.count
    while left > 0 {
      let s = Int(symbols[left - 1])
      let x = states[(left - 1) & (count - 1)]
      // 64 bits hold this for any width: x < 2^32.
      let grown = (x / UInt64(widths[s])) << 12 + x % UInt64(widths[s]) + UInt64(starts[s])
      guard grown < upper - lower else { break }
      states[(left - 1) & (count - 1)] = grown
      left -= 1
    }
    guard left > 0 else { return LaneHeader(lanes: states).serialised(countBits: 3) }
    var lifted = states.map { UInt32($0 + lower) }
    var entries = [UInt32](repeating: 0, count: 256)
    for (s, width) in widths.enumerated() where width > 0 { entries[s] = starts[s] | width << 16 }
    let words = [UInt16](unsafeUninitializedCapacity: left + 8) { words, initialised in
      let to = words.baseAddress!
      // Down to where lane 0 begins, then whole rounds.
      let whole = count == 32 ? left / 32 * 32 : 0
      var written = rans_encode_scalar(entries, &lifted, count, base + whole, left - whole, to)
      if whole > 0 { written += rans_encode_32(level.rawValue, entries, &lifted, base, whole, to + written) }
      initialised = written
    }
    var bytes = LaneHeader(lanes: lifted.map(UInt64.init)).serialised(countBits: 3)
    let header = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: 2 * words.count))
    bytes.withUnsafeMutableBytes { to in
      words.withUnsafeBufferPointer { from in
        for i in 0..<from.count { to.storeBytes(of: from[from.count - 1 - i].littleEndian, toByteOffset: header + 2 * i, as: UInt16.self) }
      }
    }
    return bytes
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
      try table.quantiles.withUnsafeBufferPointer { table in
        let words = payload.baseAddress! + position
        var done = 0
        var taken = 0
        if lanes.count == 32 && level != .scalar {
          done = rans_decode_32(
            level.rawValue, table.baseAddress!, &lanes, words, total, &taken, out, symbols.count)
        }
        // A multiple of the lane count is done, so this starts with lane 0 too.
        var used = 0
        done += rans_decode_scalar(
          table.baseAddress!, &lanes, lanes.count, words + 2 * taken, total - taken, &used, out + done,
          symbols.count - done)
        taken += used
        // At most one word is left: from here on with its rule.
        while done < symbols.count {
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
        guard taken == total else {
          throw EntropyError(.trailingBytes, in: place, "\(total - taken) words are left after the last symbol")
        }
        guard lanes[0] == UInt32(first), lanes.dropFirst().allSatisfy({ $0 == 0 }) else {
          throw EntropyError(.corrupt, in: place, "lanes do not end where the encoder's began")
        }
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
