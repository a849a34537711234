/// The payload of codec 7: a run of packets.
///
///     early     varint, at most 2^60: ticks from the first packet's time to the payload's start
///     packets   list of 1...65536: Packet
// bitstream-spec 13.2
package struct CopiedPackets: BitstreamStructure, Equatable, Sendable {
  package static let maximumCount = 1 << 16
  package static let maximumTicks: UInt64 = 1 << 60

  /// A packet:
  ///
  ///     flags      1 byte: bit 0 key, bit 1 timed, bit 2 reordered, bit 3 skips, others zero
  ///     gap        varint, at most 2^40 ticks, if timed: from the time of the packet before; 0 in the first
  ///     duration   varint, at most 2^40 ticks, if timed
  ///     decoding   varint, at most 2^41, if reordered: time - decoding time as x >= 0 ? 2 x : -2 x - 1, not 0
  ///     start      varint, at most 2^32 samples, if it skips
  ///     end        varint, at most 2^32 samples, if it skips; one of both is not 0
  ///     data       bytes behind a varint length, at most 2^28
  package struct Packet: BitstreamStructure, Equatable, Sendable {
    package static let maximumTicks: UInt64 = 1 << 40
    package static let maximumBytes = 1 << 28

    package var isKey = true
    /// Nil: `gap` and `duration` are the duration of the packet before.
    package var times: (gap: UInt64, duration: UInt64)?
    /// Ticks; 0 where a packet is decoded at its time.
    package var decodingDelay: Int64 = 0
    package var skippedAtStart: UInt64 = 0
    package var skippedAtEnd: UInt64 = 0
    package var data: ArraySlice<UInt8> = []

    package init() {}

    package static func == (a: Self, b: Self) -> Bool {
      a.isKey == b.isKey && a.times?.gap == b.times?.gap && a.times?.duration == b.times?.duration && a.decodingDelay == b.decodingDelay
        && a.skippedAtStart == b.skippedAtStart && a.skippedAtEnd == b.skippedAtEnd && a.data == b.data
    }

    package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
      var (isTimed, isReordered, skips) = (times != nil, decodingDelay != 0, skippedAtStart > 0 || skippedAtEnd > 0)
      try visitor.packed("flags") { flags in
        flags.flag("key", &isKey)
        flags.flag("timed", &isTimed)
        flags.flag("reordered", &isReordered)
        flags.flag("skips", &skips)
      }
      var (gap, duration) = times ?? (0, 0)
      if isTimed {
        try visitor.varint("gap", &gap, in: 0...Self.maximumTicks, unit: "ticks")
        try visitor.varint("duration", &duration, in: 0...Self.maximumTicks, unit: "ticks")
      }
      times = isTimed ? (gap, duration) : nil
      var folded = UInt64(bitPattern: decodingDelay << 1 ^ decodingDelay >> 63)
      if isReordered { try visitor.varint("decoding", &folded, in: 1...1 << 41, unit: "ticks") } else { folded = 0 }
      decodingDelay = Int64(bitPattern: folded >> 1) ^ -Int64(bitPattern: folded & 1)
      if skips {
        try visitor.varint("start", &skippedAtStart, in: 0...1 << 32, unit: "samples")
        try visitor.varint("end", &skippedAtEnd, in: 0...1 << 32, unit: "samples")
        try visitor.require(skippedAtStart > 0 || skippedAtEnd > 0, "skips", "nothing is skipped")
      } else {
        (skippedAtStart, skippedAtEnd) = (0, 0)
      }
      try visitor.bytes("data", &data, .prefixed(limit: Self.maximumBytes))
    }
  }

  /// Ticks by which the first packet's time lies before the payload's `start`; only where `start` is 0.
  package var early: UInt64 = 0
  /// The first has times.
  package var packets: [Packet] = []

  package init() {}

  /// Data are slices of `payload`. The inverse is `serialised()`. Throws `malformed` or `limitExceeded`.
  package init(parsing payload: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(payload, into: Self(), named: "copied packets")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("early", &early, in: 0...Self.maximumTicks, unit: "ticks")
    try visitor.list("packets", &packets, limit: Self.maximumCount, minimumBytes: 2, blank: Packet())
    try visitor.require(packets.first.map { $0.times?.gap == 0 } ?? false, "packets", "there is no first packet with a gap of 0")
  }
}
