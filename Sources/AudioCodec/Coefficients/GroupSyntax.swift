/// What goes before a frame's coefficients, bit by bit: written and read by the same code.
// bitstream-spec 11.5
protocol GroupBits: AnyObject {
  /// A bit whose probability adapts in `context`. Gives `bit`, or the bit that was read.
  func side(_ bit: Int, _ context: Int) throws -> Int
  /// `bits` (1...16) of the same probability. Gives `value`, or what was read.
  func raw(_ value: Int, bits: Int) throws -> Int
}

/// The first bits of a group.
struct GroupHeader: Equatable {
  static let stepBits = 12
  /// The step is 2^(index / 128 - 24), full scale being 1.
  var stepIndex = 0
  /// Whether bands have steps of their own.
  var hasOffsets = false
  /// Whether bands without coefficients are filled with noise.
  var hasNoise = false
  /// Eighths of what is usual that noise has in place of coefficients of magnitude 0 in other bands.
  var holes = 0

  mutating func visit(_ bits: some GroupBits) throws {
    stepIndex = try bits.raw(stepIndex, bits: Self.stepBits)
    hasOffsets = try bits.raw(hasOffsets ? 1 : 0, bits: 1) == 1
    hasNoise = try bits.raw(hasNoise ? 1 : 0, bits: 1) == 1
    if hasNoise { holes = try bits.raw(holes, bits: 4) }
  }
}

/// What a frame of one channel or a pair says before its coefficients.
struct FrameShape: Equatable {
  /// Coefficients are coded below so many 64ths of the frame's bins.
  var bandwidth = 64
  /// Of the blocks, in the order of time: a block of depth d is 2^-d of the frame.
  var depths = [0]
  /// Of each band, in 16ths of half a turn: what the two channels are turned by. None for one channel.
  var angles: [Int] = []
}

/// What is remembered of the frames before, in a group.
struct FrameMemory {
  private enum Context {
    static let bandwidth = 0
    static let tree = 8
    static let angles = 32
    static let steps = 40
    static let noise = 160
  }

  static let escapeContext = 400
  static let maximumOffset = 40
  static let noiseLevels = 16

  private var bandwidth = 64
  private var lastDepth = 0
  private var angles: [Int]
  private var isFirst = true
  /// [channel][band]
  private var offsets, noise: [[Int]]
  private var hasOffsets, hasNoise: [Bool]

  init(channels: Int, bands: Int) {
    angles = channels == 2 ? [Int](repeating: 0, count: bands) : []
    offsets = [[Int]](repeating: [Int](repeating: 0, count: bands), count: channels)
    noise = offsets
    hasOffsets = [Bool](repeating: false, count: channels)
    hasNoise = hasOffsets
  }

  mutating func visit(_ shape: inout FrameShape, _ bits: some GroupBits) throws {
    if try bits.side(shape.bandwidth == bandwidth ? 0 : 1, Context.bandwidth) == 1 {
      bandwidth = try bits.raw(shape.bandwidth, bits: 7)
      guard bandwidth <= 64 else { throw GroupError("a bandwidth of \(bandwidth)") }
    }
    shape.bandwidth = bandwidth
    var depths: [Int] = []
    try visitTree(shape.depths, into: &depths, depth: 0, bits)
    shape.depths = depths
    guard !angles.isEmpty else { return }
    if shape.angles.isEmpty { shape.angles = angles }
    if try bits.side(shape.angles == angles ? 0 : 1, Context.angles) == 1 {
      var changed = 0
      for b in angles.indices {
        changed = try bits.side(shape.angles[b] == angles[b] ? 0 : 1, Context.angles + 1 + changed)
        if changed == 1 { angles[b] = try bits.raw(shape.angles[b], bits: 4) }
      }
    }
    shape.angles = angles
  }

  private mutating func visitTree(_ wanted: [Int], into depths: inout [Int], depth: Int, _ bits: some GroupBits) throws {
    if depth < AudioGeometry.depth {
      // When writing, the next block of the list tells whether this one is cut.
      let isCut = depths.count < wanted.count && wanted[depths.count] > depth
      if try bits.side(isCut ? 1 : 0, Context.tree + depth * 5 + lastDepth) == 1 {
        try visitTree(wanted, into: &depths, depth: depth + 1, bits)
        try visitTree(wanted, into: &depths, depth: depth + 1, bits)
        return
      }
    }
    depths.append(depth)
    lastDepth = depth
  }

  /// The steps' offsets of a channel's bands, in quarters of an octave.
  mutating func visitOffsets(_ values: inout [Int], channel: Int, _ bits: some GroupBits) throws {
    let known = hasOffsets[channel]
    var change = 0
    for b in values.indices {
      let expected = known ? offsets[channel][b] : b > 0 ? offsets[channel][b - 1] : 0
      change = try visit(values[b] - expected, known, change, b, Context.steps, bits)
      let value = expected + change
      guard abs(value) <= Self.maximumOffset else { throw GroupError("a step's offset of \(value)") }
      (values[b], offsets[channel][b]) = (value, value)
    }
    hasOffsets[channel] = true
  }

  /// Levels of noise, 0...15, of those bands that `isFilled` names.
  mutating func visitNoise(_ values: inout [Int], _ isFilled: [Bool], channel: Int, _ bits: some GroupBits) throws {
    let known = hasNoise[channel]
    var (change, below) = (0, 0)
    for b in values.indices where isFilled[b] {
      let expected = known ? noise[channel][b] : below
      change = try visit(values[b] - expected, known, change, b, Context.noise, bits)
      let value = expected + change
      guard (0..<Self.noiseLevels).contains(value) else { throw GroupError("a level of noise of \(value)") }
      (values[b], noise[channel][b]) = (value, value)
      below = value
      hasNoise[channel] = true
    }
  }

  /// A small signed number, in contexts of `change`, the one before it.
  private func visit(
    _ value: Int, _ known: Bool, _ change: Int, _ band: Int, _ first: Int, _ bits: some GroupBits
  ) throws -> Int {
    let kind = known ? 1 + min(2, abs(change)) : 0
    let zone = band < 8 ? 0 : band < 18 ? 1 : 2
    guard try bits.side(value == 0 ? 0 : 1, first + kind * 3 + zone) == 1 else { return 0 }
    let isNegative = try bits.side(value < 0 ? 1 : 0, first + 12 + (known ? 3 : 0) + change.signum() + 1)
    var size = 1
    while try bits.side(abs(value) > size ? 1 : 0, first + 20 + kind * 16 + min(size, 16) - 1) == 1 {
      size += 1
      guard size <= 2 * Self.maximumOffset else { throw GroupError("a change of more than \(2 * Self.maximumOffset)") }
    }
    return isNegative == 1 ? -size : size
  }
}

/// What in a group's bits cannot be.
struct GroupError: Error {
  let reason: String

  init(_ reason: String) { self.reason = reason }
}
