import Bitstream
import CKernels
import Coding
import EntropyCoding
import Media
import Tensors

/// One layer's keys or values of one payload in CacheGen's scheme: every group's first token is an anchor, quantised by its
/// own largest magnitude; the others are differences from their anchor in a step per channel. A group of one token makes every token
/// an anchor, which is what LMCache's released code does.
///
///     group      varint, 1...65536: tokens of a group, the last one being shorter
///     limit      1 byte, 1...127: what an anchor's largest magnitude is quantised to
///     maxima     of each anchor the largest magnitude, an element, finite and not below 0
///     side       varint length, then a range-coded payload: CacheGenSymbols of anchors, then of the others, if there are any
///     symbols    varint length, then a block rANS payload: of anchors, then of the others
///     escapes    the elements whose symbol is 0, as they are, to the end
///
/// Symbols stand in the order [class, head, channel, token], escapes in the order [token, head, channel]. `restore` reads it;
/// the inverse is `CacheGenBlock.write`.
// bitstream-spec 10.9
enum CacheGenBlock {
  static let maximumGroup = 65_536
  static let maximumLimit = 127

  /// Reads the block into `tensor`, all of it, which is writable.
  ///
  /// Throws `EntropyError` or `CodecError` (malformed); the tensor's contents are then unspecified.
  static func restore(_ bytes: ArraySlice<UInt8>, into tensor: KVTensor) throws {
    var fields = KVFields(bytes)
    let group = try fields.varint("tokens of a group")
    guard group >= 1, group <= UInt64(maximumGroup) else { throw CodecError.damagedKV("a group has \(group) tokens") }
    let limit = Int(try fields.take(1, "limits").first!)
    guard (1...maximumLimit).contains(limit) else { throw CodecError.damagedKV("anchors are quantised to \(limit)") }
    let counts = Self.counts(tokens: tensor.tokens, group: Int(group))
    let maxima = try self.maxima(&fields, count: counts.anchors, tensor.element)
    let columns = tensor.heads * tensor.channels
    var side = RangeDecoder(Array(try fields.prefixed("tables")))
    var kinds = [try CacheGenSymbols(from: &side, columns: columns, hasSteps: false)]
    if counts.others > 0 { kinds.append(try CacheGenSymbols(from: &side, columns: columns, hasSteps: true)) }
    try side.finish()

    let runs = zip(kinds, [counts.anchors, counts.others]).flatMap { kind, tokens in
      zip(kind.tables, kind.order.counts).map { ($0, $1 * tokens) }
    }
    let payload = Array(try fields.prefixed("symbols"))
    let symbols = try [UInt8](unsafeUninitializedCapacity: tensor.elementCount) { symbols, initialised in
      try BlockRANS.decode(
        payload, with: runs, into: UnsafeMutableBufferPointer(rebasing: symbols[..<tensor.elementCount]))
      initialised = tensor.elementCount
    }
    let escapes = Array(fields.rest())
    let taken = try symbols.withUnsafeBufferPointer {
      try restore($0, kinds, counts, Int(group), limit: Float(limit), maxima, escapes, into: tensor)
    }
    guard taken == escapes.count else { throw CodecError.damagedKV("\(escapes.count - taken) bytes follow a block's last escape") }
  }

  /// How many tokens are anchors, and how many are not.
  static func counts(tokens: Int, group: Int) -> (anchors: Int, others: Int) {
    let anchors = (tokens + group - 1) / group
    return (anchors, tokens - anchors)
  }

  private static func maxima(_ fields: inout KVFields, count: Int, _ element: KVElement) throws -> [Float] {
    let bytes = Array(try fields.take(count * element.bytes, "largest magnitudes"))
    var maxima = [Float](repeating: 0, count: count)
    guard count > 0 else { return maxima }
    kvKernels().to_float(bytes, element.kernel, &maxima, count)
    for m in maxima where !(m.isFinite && m >= 0) { throw CodecError.damagedKV("a largest magnitude is \(m)") }
    return maxima
  }

  /// Returns how many bytes of `escapes` were taken. `symbols`: by kind, [class, head, channel, token].
  private static func restore(
    _ symbols: UnsafeBufferPointer<UInt8>, _ kinds: [CacheGenSymbols], _ counts: (anchors: Int, others: Int), _ group: Int,
    limit: Float, _ maxima: [Float], _ escapes: [UInt8], into tensor: KVTensor
  ) throws -> Int {
    let (channels, size) = (tensor.channels, tensor.element.bytes)
    let columns = tensor.heads * channels
    let places = kinds.enumerated().map { number, kind in
      kind.places(tokens: number == 0 ? counts.anchors : counts.others, from: number == 0 ? 0 : columns * counts.anchors)
    }
    let steps = kinds.last?.steps.map(\.value) ?? []
    let kernels = kvKernels()
    var anchor = [Float](repeating: 0, count: columns), row = anchor
    var taken = 0
    for token in 0..<tensor.tokens {
      let (number, within) = token.quotientAndRemainder(dividingBy: group)
      let (kind, index) = within == 0 ? (0, number) : (1, token - number - 1)
      let shifts = kinds[kind].shifts
      var hasEscapes = false
      for c in 0..<columns {
        let symbol = symbols[places[kind][c] + index]
        hasEscapes = hasEscapes || symbol == KVBlock.escape
        let level = Float(Int(symbol) - 128 + shifts[c])
        let x = kind == 0 ? level / limit * maxima[number] : anchor[c] + level * steps[c]
        row[c] = min(max(x, -Float.greatestFiniteMagnitude), Float.greatestFiniteMagnitude)
      }
      for head in 0..<tensor.heads {
        let to = tensor.row(head: head, token: token)
        row.withUnsafeBufferPointer {
          kernels.from_float($0.baseAddress! + head * channels, to.baseAddress!, tensor.element.kernel, channels)
        }
        if hasEscapes {
          for c in 0..<channels where symbols[places[kind][head * channels + c] + index] == KVBlock.escape {
            guard taken + size <= escapes.count else { throw CodecError.damagedKV("there are fewer escapes than symbols for them") }
            for b in 0..<size { to[c * size + b] = escapes[taken + b] }
            taken += size
          }
        }
        guard kind == 0 else { continue }
        // What the group's others differ from is the anchor as it is decoded; nothing differs from what is no number.
        anchor.withUnsafeMutableBufferPointer { anchor in
          let from = anchor.baseAddress! + head * channels
          kernels.to_float(to.baseAddress!, tensor.element.kernel, from, channels)
          for c in 0..<channels where !from[c].isFinite { from[c] = 0 }
        }
      }
    }
    return taken
  }
}

/// A step, (32 + mantissa) * 2^(octave - 37).
// bitstream-spec 10.9
struct CacheGenStep: Equatable {
  static let maximumOctave = 63

  /// 0...63
  let octave: Int
  /// 0...31
  let mantissa: Int

  var value: Float { Float(sign: .plus, exponent: octave - 37, significand: Float(32 + mantissa)) }

  init(octave: Int, mantissa: Int) { (self.octave, self.mantissa) = (octave, mantissa) }

  /// The nearest to `wanted`.
  init(nearest wanted: Float) {
    guard wanted.isFinite, wanted >= 0x1p-32 else {
      self.init(octave: wanted < 1 ? 0 : Self.maximumOctave, mantissa: 0)
      return
    }
    let exponent = Int(wanted.exponent), rounded = Int((wanted.significand * 32).rounded())
    // 1 rounded up to 2 is the next octave's first.
    let (octave, mantissa) = rounded == 64 ? (exponent + 33, 0) : (exponent + 32, rounded - 32)
    self.init(octave: min(octave, Self.maximumOctave), mantissa: octave > Self.maximumOctave ? 31 : mantissa)
  }
}

/// How a block's anchors or its other tokens are distributed, a column being a channel of a head:
///
///     classes - 1     bypass, 6 bits
///     least, span     bypass, 6 bits each: octaves of steps are least...least + span, at most 63; not of anchors
///     for each column:
///       step          not of anchors: octave - least, an adaptive symbol of span + 1, unless span is 0; mantissa, bypass, 5 bits
///       shift         a signed number, -127...127: what symbol 128 stands for
///       class         an adaptive symbol of as many as there are, unless there is one
///     for each class: the table of its symbols, a KVTable
///
/// LMCache sends a table of 33 x int16 per column instead.
// bitstream-spec 10.9
struct CacheGenSymbols {
  static let maximumClasses = 64
  static let maximumShift = 127

  /// By column; none of anchors.
  let steps: [CacheGenStep]
  /// By column.
  let shifts: [Int]
  /// By column.
  let classes: [Int]
  /// By class.
  let tables: [BlockRANS.Table]

  init(steps: [CacheGenStep], shifts: [Int], classes: [Int], tables: [BlockRANS.Table]) {
    (self.steps, self.shifts, self.classes, self.tables) = (steps, shifts, classes, tables)
  }

  /// Throws `EntropyError` or `CodecError` (malformed). The inverse is `encode(into:)`.
  init(from decoder: inout RangeDecoder, columns: Int, hasSteps: Bool) throws {
    let count = Int(try decoder.decodeBypass(bits: 6)) + 1
    var (least, span) = (0, 0)
    if hasSteps {
      (least, span) = (Int(try decoder.decodeBypass(bits: 6)), Int(try decoder.decodeBypass(bits: 6)))
      guard least + span <= CacheGenStep.maximumOctave else { throw CodecError.damagedKV("a block has a step of octave \(least + span)") }
    }
    var octave = AdaptiveModel(symbolCount: max(2, span + 1))
    var shift = KVNumberModel(), kind = AdaptiveModel(symbolCount: max(2, count))
    var steps: [CacheGenStep] = [], shifts: [Int] = [], classes: [Int] = []
    for _ in 0..<columns {
      if hasSteps {
        let own = least + (span > 0 ? try decoder.decode(adapting: &octave) : 0)
        steps.append(CacheGenStep(octave: own, mantissa: Int(try decoder.decodeBypass(bits: 5))))
      }
      let value = Int(try shift.decodeSigned(from: &decoder))
      guard value.magnitude <= Self.maximumShift else { throw CodecError.damagedKV("a channel's symbols are shifted by \(value)") }
      shifts.append(value)
      classes.append(count > 1 ? try decoder.decode(adapting: &kind) : 0)
    }
    (self.steps, self.shifts, self.classes) = (steps, shifts, classes)
    var tables: [BlockRANS.Table] = []
    for _ in 0..<count { tables.append(try KVTable.decode(from: &decoder)) }
    self.tables = tables
  }

  /// The inverse of `init(from:columns:)`.
  func encode(into encoder: inout RangeEncoder) {
    encoder.encodeBypass(UInt32(tables.count - 1), bits: 6)
    let least = steps.map(\.octave).min() ?? 0, span = (steps.map(\.octave).max() ?? 0) - least
    if !steps.isEmpty {
      encoder.encodeBypass(UInt32(least), bits: 6)
      encoder.encodeBypass(UInt32(span), bits: 6)
    }
    var octave = AdaptiveModel(symbolCount: max(2, span + 1))
    var shift = KVNumberModel(), kind = AdaptiveModel(symbolCount: max(2, tables.count))
    for column in shifts.indices {
      // Every symbol of an adaptive model has an interval.
      if span > 0 { try! encoder.encode(steps[column].octave - least, adapting: &octave) }
      if !steps.isEmpty { encoder.encodeBypass(UInt32(steps[column].mantissa), bits: 5) }
      shift.encodeSigned(Int32(shifts[column]), into: &encoder)
      if tables.count > 1 { try! encoder.encode(classes[column], adapting: &kind) }
    }
    for table in tables { KVTable.encode(table, into: &encoder) }
  }

  /// The columns by class and then in order, and how many each class has.
  var order: (columns: [Int], counts: [Int]) {
    var counts = [Int](repeating: 0, count: tables.count)
    for number in classes { counts[number] += 1 }
    var next = [0]
    for count in counts.dropLast() { next.append(next.last! + count) }
    var columns = [Int](repeating: 0, count: classes.count)
    for (column, number) in classes.enumerated() {
      columns[next[number]] = column
      next[number] += 1
    }
    return (columns, counts)
  }

  /// Where each column's first symbol stands, if those of the first class begin at `first`.
  func places(tokens: Int, from first: Int) -> [Int] {
    var places = [Int](repeating: 0, count: classes.count)
    for (place, column) in order.columns.enumerated() { places[column] = first + place * tokens }
    return places
  }
}
