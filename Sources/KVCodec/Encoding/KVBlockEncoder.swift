import Bitstream
import CKernels
import EntropyCoding
import Glibc
import Media
import Tensors

extension KVBlock {
  /// Quantises a tensor with `coarseness` times each channel's deviation as its step, and codes it. The inverse is
  /// `restore(_:into:)`.
  static func write(_ tensor: KVTensor, coarseness: Float) throws -> [UInt8] {
    let quantised = KVQuantised(tensor, coarseness: coarseness)
    let table = try quantised.table()
    let steps = KVSteps(
      indices: quantised.indices, middles: quantised.middles, lowBits: quantised.lowBits, table: table)
    var bytes: [UInt8] = []
    func append(_ part: [UInt8]) {
      Varint.append(UInt64(part.count), to: &bytes)
      bytes += part
    }
    append(steps.serialised())
    append(try BlockRANS.encode(quantised.symbols, with: table))
    bytes += quantised.packedLowBits
    bytes += quantised.escapes(of: tensor)
    return bytes
  }
}

/// A tensor's symbols, and how they came to be.
struct KVQuantised {
  /// By head and channel, as `KVSteps` has them.
  private(set) var indices: [UInt8] = []
  private(set) var middles: [Int32] = []
  private(set) var lowBits = 0
  /// [head, token, channel]
  private(set) var symbols: [UInt8]
  /// Likewise; empty without low bits.
  private(set) var low: [UInt16]
  private(set) var escapeCount = 0

  /// Deviations that symbols reach to either side at least, before they take low bits.
  private static let reach: Float = 9

  init(_ tensor: KVTensor, coarseness: Float) {
    let channels = tensor.channels, tokens = tensor.tokens
    let kernels = kvKernels()
    symbols = []
    low = []
    // 127 symbols to either side, each 2^lowBits steps of `coarseness` deviations.
    while lowBits < KVSteps.maximumLowBits, Float(127 << lowBits) * coarseness < Self.reach { lowBits += 1 }
    for head in 0..<tensor.heads {
      var sums = [Float](repeating: 0, count: channels), squares = sums, largest = sums
      if tokens > 0 {
        kernels.moments(
          tensor.row(head: head, token: 0).baseAddress!, tensor.element.kernel, channels, tokens, tensor.tokenStride,
          &sums, &squares, &largest)
      }
      for c in 0..<channels {
        let mean = sums[c] / Float(max(tokens, 1))
        let variance = max(squares[c] / Float(max(tokens, 1)) - mean * mean, 0)
        let (index, middle) = Self.step(
          coarseness * variance.squareRoot(), mean: mean, largest: largest[c], element: tensor.element)
        indices.append(index)
        middles.append(middle)
      }
    }
    quantise(tensor)
  }

  /// The index whose step is nearest to `wanted`, and the middle for `mean`.
  private static func step(_ wanted: Float, mean: Float, largest: Float, element: KVElement) -> (UInt8, Int32) {
    // Steps finer than the elements themselves are of no use, and middles shall stay below 2^21.
    let finest = largest * (element == .float32 ? 0x1p-20 : element == .float16 ? 0x1p-11 : 0x1p-8)
    let step = max(wanted, finest)
    guard step > 0, step.isFinite else { return (0, 0) }
    let index = Int((4 * (log2f(step) + 32)).rounded())
    let clamped = min(max(index, 0), KVSteps.maximumIndex)
    let middle = (mean / KVSteps.step(clamped)).rounded()
    return (UInt8(clamped), middle.magnitude < 0x1p21 ? Int32(middle) : 0)
  }

  private mutating func quantise(_ tensor: KVTensor) {
    let kernels = kvKernels()
    let count = tensor.elementCount
    let steps = KVSteps(indices: indices, middles: middles, lowBits: lowBits, table: Self.anyTable)
    var escapes = 0
    let hasLow = lowBits > 0
    var lowParts = [UInt16](repeating: 0, count: hasLow ? count : 0)
    symbols = [UInt8](unsafeUninitializedCapacity: count) { symbols, initialised in
      lowParts.withUnsafeMutableBufferPointer { low in
        for head in 0..<tensor.heads where tensor.tokens > 0 {
          steps.withKernelSteps(channels: tensor.channels, head: head) { view in
            let first = head * tensor.tokens * tensor.channels
            withUnsafePointer(to: view) {
              escapes += kernels.quantise(
                $0, tensor.row(head: head, token: 0).baseAddress!, tensor.element.kernel, tensor.tokens,
                tensor.tokenStride, symbols.baseAddress! + first, hasLow ? low.baseAddress! + first : nil)
            }
          }
        }
      }
      initialised = count
    }
    low = lowParts
    escapeCount = escapes
  }

  private static let anyTable = try! BlockRANS.Table(CategoricalModel(widths: [4096], precision: 12))

  /// The distribution of the symbols.
  func table() throws -> BlockRANS.Table {
    // Four histograms, so that runs of a symbol do not wait for themselves.
    var counts = [UInt32](repeating: 0, count: 1024)
    counts.withUnsafeMutableBufferPointer { counts in
      symbols.withUnsafeBufferPointer { symbols in
        for i in 0..<symbols.count { counts[(i & 3) << 8 | Int(symbols[i])] &+= 1 }
      }
    }
    var sums = Array(counts[..<256])
    for i in 256..<1024 { sums[i & 255] += counts[i] }
    // A table has at least one symbol.
    if symbols.isEmpty { sums[128] = 1 }
    return try BlockRANS.Table(CategoricalModel(counts: sums, precision: 12))
  }

  /// Bits that symbols and low bits take, the table apart.
  var payloadBits: Double {
    var counts = [Double](repeating: 0, count: 256)
    for s in symbols { counts[Int(s)] += 1 }
    let total = Double(max(symbols.count, 1))
    let entropy = counts.reduce(0) { $1 > 0 ? $0 - $1 * log2($1 / total) : $0 }
    return entropy + Double(lowBits * symbols.count)
  }

  fileprivate var packedLowBits: [UInt8] {
    guard lowBits > 0 else { return [] }
    let bits = lowBits
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
    for (i, symbol) in symbols.enumerated() where symbol == KVBlock.escape {
      let (row, channel) = i.quotientAndRemainder(dividingBy: tensor.channels)
      let (head, token) = row.quotientAndRemainder(dividingBy: tensor.tokens)
      tensor.withRow(head: head, token: token) { bytes += $0[channel * size..<(channel + 1) * size] }
    }
    return bytes
  }
}

extension KVSteps {
  /// The inverse of `init(parsing:count:)`.
  func serialised() -> [UInt8] {
    var encoder = RangeEncoder()
    encoder.encodeBypass(UInt32(lowBits), bits: 4)
    let least = indices.min() ?? 0
    let span = Int((indices.max() ?? 0) - least)
    encoder.encodeBypass(UInt32(least), bits: 8)
    encoder.encodeBypass(UInt32(span), bits: 8)
    var index = AdaptiveModel(symbolCount: max(2, span + 1))
    var middle = KVNumberModel()
    for (i, m) in zip(indices, middles) {
      // Every symbol of an adaptive model has an interval.
      if span > 0 { try! encoder.encode(Int(i - least), adapting: &index) }
      middle.encodeSigned(m, into: &encoder)
    }
    KVTable.encode(table, into: &encoder)
    return encoder.finish()
  }
}
