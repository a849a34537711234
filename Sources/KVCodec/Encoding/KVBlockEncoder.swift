import Bitstream
import CKernels
import EntropyCoding
import Glibc
import Media
import Tensors

extension KVBlock {
  /// Quantises a tensor by `rule` and codes it. The inverse is `restore(_:into:)`.
  static func write(_ tensor: KVTensor, rule: KVStepRule) throws -> [UInt8] {
    let quantised = try KVQuantised(tensor, rule: rule)
    var bytes: [UInt8] = []
    func append(_ part: [UInt8]) {
      Varint.append(UInt64(part.count), to: &bytes)
      bytes += part
    }
    append(quantised.steps.serialised())
    append(
      try quantised.ordered.withUnsafeBufferPointer {
        try BlockRANS.encode($0, with: zip(quantised.steps.tables, quantised.counts).map { ($0, $1) }, allOccur: true)
      })
    bytes += quantised.packedLowBits
    bytes += quantised.escapes(of: tensor)
    return bytes
  }
}

/// How a block is quantised.
struct KVStepRule {
  /// The step of all its channels, by the root mean square of their deviations from their means.
  var coarseness: Float
  /// So many tokens at the start are kept exactly.
  var exactTokens = 0
}

/// A tensor's symbols, and how they came to be.
struct KVQuantised {
  let steps: KVSteps
  /// [class, head, channel, token], and how many of them each class has.
  let ordered: [UInt8]
  let counts: [Int]
  /// The columns in that order, by head and channel: where each one stands.
  private let columns: [Int]
  /// [head, token, channel]; empty without low bits.
  private let low: [UInt16]
  private let escapeCount: Int

  /// Deviations that symbols reach to either side at least, before they take low bits.
  private static let reach: Float = 9
  /// Elements that a class has at least.
  private static let leastElements = 2048

  init(_ tensor: KVTensor, rule: KVStepRule) throws {
    let exact = min(rule.exactTokens, tensor.tokens)
    let moments = Self.moments(tensor.tokens(in: exact..<tensor.tokens))
    let mean = (moments.reduce(0) { $0 + $1.deviation * $1.deviation } / Float(moments.count)).squareRoot()
    var indices: [UInt8] = [], middles: [Int32] = [], spreads: [Float] = []
    for m in moments {
      let (index, middle) = Self.step(
        rule.coarseness * mean, mean: m.mean, largest: m.largest, element: tensor.element)
      indices.append(index)
      middles.append(middle)
      spreads.append(m.deviation / (4 * KVSteps.unit(Int(index))))
    }
    // 127 symbols to either side, each 2^lowBits steps.
    let widest = spreads.max() ?? 0
    var lowBits = 0
    while lowBits < KVSteps.maximumLowBits, Float(127 << lowBits) < Self.reach * widest { lowBits += 1 }
    let classes = Self.classes(spreads, elements: tensor.tokens)

    func steps(_ tables: [BlockRANS.Table]) -> KVSteps {
      KVSteps(
        heads: tensor.heads, channels: tensor.channels, indices: indices, middles: middles, classes: classes.of, lowBits: lowBits,
        tables: tables)
    }
    let plain = steps([BlockRANS.Table](repeating: Self.anyTable, count: classes.count))
    let order = plain.order
    columns = order.columns
    (ordered, low, escapeCount) = Self.quantise(tensor, plain, columns, exact: exact)
    counts = order.counts.map { $0 * tensor.tokens }
    var (tables, end) = ([BlockRANS.Table](), 0)
    for count in counts {
      tables.append(try Self.table(ordered[end..<end + count]))
      end += count
    }
    self.steps = steps(tables)
  }

  private static let anyTable = try! BlockRANS.Table(CategoricalModel(widths: [4096], precision: 12))

  private struct Moments {
    var mean: Float
    var deviation: Float
    var largest: Float
  }

  /// By head and channel.
  private static func moments(_ tensor: KVTensor) -> [Moments] {
    let (channels, tokens) = (tensor.channels, tensor.tokens)
    let kernels = kvKernels()
    var all: [Moments] = []
    for head in 0..<tensor.heads {
      var sums = [Float](repeating: 0, count: channels), squares = sums, largest = sums
      if tokens > 0 {
        kernels.moments(
          tensor.row(head: head, token: 0).baseAddress!, tensor.element.kernel, channels, tokens, tensor.tokenStride,
          &sums, &squares, &largest)
      }
      let scale = 1 / Float(max(tokens, 1))
      for c in 0..<channels {
        let mean = sums[c] * scale
        all.append(
          Moments(mean: mean, deviation: max(squares[c] * scale - mean * mean, 0).squareRoot(), largest: largest[c]))
      }
    }
    return all
  }

  /// The index of the step nearest to `wanted`, and the middle for `mean`.
  private static func step(_ wanted: Float, mean: Float, largest: Float, element: KVElement) -> (UInt8, Int32) {
    // Steps finer than the elements themselves are of no use, and middles shall stay below 2^21.
    let finest = largest * (element == .float32 ? 0x1p-20 : element == .float16 ? 0x1p-11 : 0x1p-8)
    let step = max(wanted, finest)
    guard step > 0, step.isFinite else { return (0, 0) }
    let index = Int((4 * (log2f(step) + 30)).rounded())
    let clamped = min(max(index, 0), KVSteps.maximumIndex)
    let middle = (mean / KVSteps.unit(clamped)).rounded()
    return (UInt8(clamped), middle.magnitude < 0x1p21 ? Int32(middle) : 0)
  }

  /// Channels of about the same deviation in steps share a table: half an octave makes a class, and small ones join the next.
  private static func classes(_ spreads: [Float], elements: Int) -> (of: [UInt8], count: Int) {
    let keys = spreads.map { Int((2 * log2f(max($0, 0.06))).rounded()) }
    let sorted = keys.sorted()
    var firsts: [Int] = []  // the least key of each class
    var held = Int.max / 2
    for (i, key) in sorted.enumerated() where i == 0 || key != sorted[i - 1] {
      if held >= leastElements, firsts.count < KVSteps.maximumClasses {
        firsts.append(key)
        held = 0
      }
      held += elements * (sorted[i...].firstIndex { $0 != key } ?? sorted.count) - elements * i
    }
    if firsts.count > 1, held < leastElements { firsts.removeLast() }
    guard firsts.count > 1 else { return ([UInt8](repeating: 0, count: keys.count), 1) }
    return (keys.map { key in UInt8(max(0, (firsts.firstIndex { $0 > key } ?? firsts.count) - 1)) }, firsts.count)
  }

  /// Symbols in the order in which they are coded.
  private static func quantise(
    _ tensor: KVTensor, _ steps: KVSteps, _ order: [Int], exact: Int
  ) -> (symbols: [UInt8], low: [UInt16], escapes: Int) {
    let kernels = kvKernels()
    let (count, tokens) = (tensor.elementCount, tensor.tokens)
    guard count > 0 else { return ([], [], 0) }
    var escapes = 0
    let hasLow = steps.lowBits > 0
    var low = [UInt16](repeating: 0, count: hasLow ? count : 0)
    let symbols = [UInt8](unsafeUninitializedCapacity: count) { symbols, initialised in
      var columns = [UnsafeMutablePointer<UInt8>?](repeating: nil, count: order.count)
      for (place, column) in order.enumerated() { columns[column] = symbols.baseAddress! + place * tokens }
      low.withUnsafeMutableBufferPointer { low in
        columns.withUnsafeBufferPointer { columns in
          for head in 0..<tensor.heads {
            steps.withKernelSteps(head: head) { view in
              withUnsafePointer(to: view) {
                escapes += kernels.quantise(
                  $0, tensor.row(head: head, token: 0).baseAddress!, tensor.element.kernel, tokens, tensor.tokenStride,
                  columns.baseAddress! + head * tensor.channels,
                  hasLow ? low.baseAddress! + head * tokens * tensor.channels : nil)
              }
            }
          }
        }
      }
      for place in order.indices {
        for i in place * tokens..<place * tokens + exact where symbols[i] != KVBlock.escape {
          symbols[i] = KVBlock.escape
          escapes += 1
        }
      }
      initialised = count
    }
    return (symbols, low, escapes)
  }

  /// The distribution of symbols.
  private static func table(_ symbols: ArraySlice<UInt8>) throws -> BlockRANS.Table {
    var counts = [UInt32](repeating: 0, count: 256)
    symbols.withUnsafeBufferPointer { symbols in
      if let start = symbols.baseAddress { nc_kv_count(start, symbols.count, &counts) }
    }
    // A table has at least one symbol.
    if symbols.isEmpty { counts[128] = 1 }
    return try BlockRANS.Table(CategoricalModel(counts: counts, precision: 12), forDecoding: false)
  }

  fileprivate var packedLowBits: [UInt8] {
    let bits = steps.lowBits
    guard bits > 0 else { return [] }
    let size = (low.count * bits + 7) / 8
    return [UInt8](unsafeUninitializedCapacity: size) { packed, initialised in
      var (word, held, at) = (UInt32(0), 0, 0)
      for value in low {
        word = word << UInt32(bits) | UInt32(value)
        held += bits
        while held >= 8 {
          held -= 8
          packed[at] = UInt8(truncatingIfNeeded: word >> UInt32(held))
          at += 1
        }
      }
      if held > 0 { packed[at] = UInt8(truncatingIfNeeded: word << UInt32(8 - held)) }
      initialised = size
    }
  }

  fileprivate func escapes(of tensor: KVTensor) -> [UInt8] {
    guard escapeCount > 0 else { return [] }
    let size = tensor.element.bytes
    var bytes: [UInt8] = []
    bytes.reserveCapacity(escapeCount * size)
    ordered.withUnsafeBufferPointer { ordered in
      var starts = [UnsafePointer<UInt8>](repeating: ordered.baseAddress!, count: columns.count)
      for (place, column) in columns.enumerated() { starts[column] = ordered.baseAddress! + place * tensor.tokens }
      for place in KVBlock.places(of: starts, in: tensor, atMost: escapeCount) ?? [] {
        let (row, channel) = place.quotientAndRemainder(dividingBy: tensor.channels)
        let (head, token) = row.quotientAndRemainder(dividingBy: tensor.tokens)
        tensor.withRow(head: head, token: token) { bytes += $0[channel * size..<(channel + 1) * size] }
      }
    }
    return bytes
  }
}

extension KVSteps {
  /// The inverse of `init(parsing:heads:channels:)`.
  func serialised() -> [UInt8] {
    var encoder = RangeEncoder()
    encoder.encodeBypass(UInt32(lowBits), bits: 4)
    encoder.encodeBypass(UInt32(tables.count - 1), bits: 4)
    let least = indices.min() ?? 0
    let span = Int((indices.max() ?? 0) - least)
    encoder.encodeBypass(UInt32(least), bits: 8)
    encoder.encodeBypass(UInt32(span), bits: 8)
    var index = AdaptiveModel(symbolCount: max(2, span + 1)), kind = AdaptiveModel(symbolCount: max(2, tables.count))
    var middle = KVNumberModel()
    for i in indices.indices {
      // Every symbol of an adaptive model has an interval.
      if span > 0 { try! encoder.encode(Int(indices[i] - least), adapting: &index) }
      middle.encodeSigned(middles[i], into: &encoder)
      if tables.count > 1 { try! encoder.encode(Int(classes[i]), adapting: &kind) }
    }
    for table in tables { KVTable.encode(table, into: &encoder) }
    return encoder.finish()
  }
}
