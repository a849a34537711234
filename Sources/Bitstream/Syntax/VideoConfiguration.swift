/// The configuration of codec 8, a video of networks:
///
///     width       varint, 1...65535 pixels
///     height      varint, 1...65535 pixels
///     aspect      two varints, 1...2^31 - 1 each: width of a pixel through its height
///     rate        varint, 0...2^31 - 1, and unless it is 0 another, 1...2^31 - 1: frames a second; 0 where there is none
///     shape       1 byte: bits 0...1 quarter turns, bit 2 full range, bits 3...5 chroma location, bits 6...7 reserved
///     source      1 byte: bits 0...3 bits of a sample in the source - 1, bits 4...7 family
///     primaries   1 byte
///     transfer    1 byte
///     matrix      1 byte
///
/// Only width and height matter to decoding.
// bitstream-spec 14.1
package struct VideoConfiguration: BitstreamStructure, Equatable, Sendable {
  package static let maximumTerm = UInt32(Int32.max)

  package var width: UInt32 = 1
  package var height: UInt32 = 1
  package var aspect: (numerator: UInt32, denominator: UInt32) = (1, 1)
  /// Frames a second; nil where there is no such number.
  package var rate: (numerator: UInt32, denominator: UInt32)?
  /// Quarter turns clockwise before a frame is shown.
  package var turns: UInt8 = 0
  package var isFullRange = false
  /// 0 not said, 1 left, 2 centre, 3 top left, 4 top, 5 bottom left, 6 bottom.
  package var chromaLocation: UInt8 = 0
  private var higherBits: UInt8 = 7
  package var family = NetworkFamily.hnerv
  /// Of ITU-T H.273.
  package var primaries: UInt8 = 2
  package var transfer: UInt8 = 2
  package var matrix: UInt8 = 2

  /// Bits of a sample in the source, 1...16.
  package var bitDepth: Int {
    get { Int(higherBits) + 1 }
    set { higherBits = UInt8(newValue - 1) }
  }

  package init() {}

  package static func == (a: Self, b: Self) -> Bool { (try? a.serialised()) == (try? b.serialised()) }

  /// The inverse is `serialised()`. Throws `malformed`.
  package init(parsing configuration: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self(), named: "video configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("width", &width, in: 1...65_535, unit: "pixels")
    try visitor.varint("height", &height, in: 1...65_535, unit: "pixels")
    try visitor.varint("aspect", &aspect.numerator, in: 1...Self.maximumTerm)
    try visitor.varint("to", &aspect.denominator, in: 1...Self.maximumTerm)
    var (frames, seconds) = rate ?? (0, 1)
    try visitor.varint("rate", &frames, in: 0...Self.maximumTerm, unit: "frames")
    if frames > 0 { try visitor.varint("in", &seconds, in: 1...Self.maximumTerm, unit: "seconds") }
    rate = frames > 0 ? (frames, seconds) : nil
    try visitor.packed("shape") { shape in
      shape.unsigned("turns", &turns, bits: 2)
      shape.flag("full range", &isFullRange)
      shape.unsigned("chroma location", &chromaLocation, bits: 3, in: 0...6)
    }
    try visitor.packed("source") { source in
      source.unsigned("bits - 1", &higherBits, bits: 4)
      source.enumeration("family", &family, bits: 4)
    }
    try visitor.unsigned("primaries", &primaries)
    try visitor.unsigned("transfer", &transfer)
    try visitor.unsigned("matrix", &matrix)
  }
}

/// Which way of fitting made a video's segments. It does nothing to decoding.
package enum NetworkFamily: UInt8, FieldEnumeration {
  case hnerv = 0
  case nerv = 1
  case nervpp = 2
  case nirvana = 3

  package var label: String { "\(self)" }
}

/// What a payload of codec 8 begins with; the segment's data (14.3) follow to its end:
///
///     flags      1 byte: bit 0 last, bits 1...2 timing, bits 3...7 reserved
///     first      varint, at most 2^40: the number of its first frame in the video
///     frames     varint, 1...4096
///     duration   varint, 1...2^40 ticks, with steady timing: of each frame, and the gap between two
///     times      otherwise, for each frame: gap varint, 1...2^40 ticks from the frame before, not of the first nor with seamless timing;
///                duration varint, 1...2^40 ticks
// bitstream-spec 14.2
package struct VideoPayloadHeader: BitstreamStructure, Equatable, Sendable {
  package static let maximumFrames: UInt32 = 4096
  package static let maximumTicks: UInt64 = 1 << 40
  package static let maximumFirst: UInt64 = 1 << 40

  package enum Timing: UInt8, FieldEnumeration {
    /// All frames last as long, and each begins where the one before ends.
    case steady = 0
    /// Each begins where the one before ends.
    case seamless = 1
    case free = 2

    package var label: String { "\(self)" }
  }

  package var isLast = false
  package private(set) var timing = Timing.steady
  /// Its first frame's number in the video.
  package var first: UInt64 = 0
  /// 1...4096 frames, in ticks: `gap` from the frame before, 0 of the first.
  package private(set) var times: [(gap: UInt64, duration: UInt64)] = [(0, 1)]

  package init() {}

  /// Of frames with these times, ascending, and durations; `isLast` and `first` are still to be set.
  package init(times: [(time: Int64, duration: Int64)]) {
    self.times = times.indices.map { i in
      (i == 0 ? 0 : UInt64(times[i].time - times[i - 1].time), UInt64(times[i].duration))
    }
    timing = Self.timing(of: self.times)
  }

  private static func timing(of times: [(gap: UInt64, duration: UInt64)]) -> Timing {
    let isSeamless = times.indices.dropFirst().allSatisfy { times[$0].gap == times[$0 - 1].duration }
    return !isSeamless ? .free : times.allSatisfy { $0.duration == times[0].duration } ? .steady : .seamless
  }

  package static func == (a: Self, b: Self) -> Bool {
    a.isLast == b.isLast && a.timing == b.timing && a.first == b.first && a.times.elementsEqual(b.times, by: ==)
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.packed("flags") { flags in
      flags.flag("last", &isLast)
      flags.enumeration("timing", &timing, bits: 2)
    }
    try visitor.varint("first", &first, in: 0...Self.maximumFirst)
    var count = UInt32(times.count)
    try visitor.varint("frames", &count, in: 1...Self.maximumFrames)
    if visitor.isReading {
      if timing != .steady { try visitor.expect(UInt64(count), itemsOf: 1, in: "frames") }
      times = [(gap: UInt64, duration: UInt64)](repeating: (0, 1), count: Int(count))
    }
    let ticks = 1...Self.maximumTicks
    if timing == .steady {
      try visitor.varint("duration", &times[0].duration, in: ticks, unit: "ticks")
      let duration = times[0].duration
      for i in times.indices.dropFirst() { times[i] = (duration, duration) }
      return
    }
    for i in times.indices {
      if i > 0 {
        if timing == .free { try visitor.varint("gap", &times[i].gap, in: ticks, unit: "ticks") } else { times[i].gap = times[i - 1].duration }
      }
      try visitor.varint("duration", &times[i].duration, in: ticks, unit: "ticks")
    }
    // Each order of times is written in one way.
    let shortest = Self.timing(of: times)
    try visitor.require(shortest == timing, "times", "their timing is \(shortest.label), not \(timing.label)")
  }
}
