import Bitstream
import CKernels
import Coding
import EntropyCoding
import Glibc
import Media
import Tensors

/// One layer's keys or values of one payload, quantised in a step per channel:
///
///     side      varint length, then a range-coded payload of that many bytes: steps, middles, classes, tables of symbols
///     symbols   varint length, then a block rANS payload of that many bytes
///     low       bit string: the symbols' low bits, filled up to a whole byte
///     escapes   the elements whose symbol is 0, as they are, to the end
///
/// Symbols stand in the order [class, head, channel, token], low bits and escapes in the order [head, token, channel]. `restore`
/// reads it; the inverse is `KVBlock.write`.
// bitstream-spec 10.3
enum KVBlock {
  /// What symbol 0 means: the element stands among the escapes.
  static let escape: UInt8 = 0

  /// Reads the block into `tensor`, all of it, which is writable.
  ///
  /// Throws `EntropyError` or `CodecError` (malformed); the tensor's contents are then unspecified.
  static func restore(_ bytes: ArraySlice<UInt8>, into tensor: KVTensor) throws {
    var fields = KVFields(bytes)
    let steps = try KVSteps(
      parsing: Array(try fields.prefixed("steps")), heads: tensor.heads, channels: tensor.channels)
    let (count, tokens) = (tensor.elementCount, tensor.tokens)
    let payload = Array(try fields.prefixed("symbols"))
    let low = try lowBits(&fields, count: count, bits: steps.lowBits)
    let order = steps.order
    try withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { symbols in
      try BlockRANS.decode(payload, with: zip(steps.tables, order.counts).map { ($0, $1 * tokens) }, into: symbols)
      guard count > 0, let start = symbols.baseAddress else { return }
      var columns = [UnsafePointer<UInt8>?](repeating: nil, count: order.columns.count)
      for (place, column) in order.columns.enumerated() { columns[column] = UnsafePointer(start + place * tokens) }
      columns.withUnsafeBufferPointer { columns in
        low.withUnsafeBufferPointer { low in
          for head in 0..<tensor.heads {
            steps.withKernelSteps(head: head) { view in
              withUnsafePointer(to: view) {
                kvKernels().restore(
                  $0, columns.baseAddress! + head * tensor.channels,
                  low.isEmpty ? nil : low.baseAddress! + head * tokens * tensor.channels, tokens,
                  tensor.row(head: head, token: 0).baseAddress!, tensor.element.kernel, tensor.tokenStride)
              }
            }
          }
        }
      }
      let mayEscape = steps.tables.contains { $0.model.widths[Int(escape)] > 0 }
      try restoreEscapes(fields.rest(), mayEscape ? columns.map { $0! } : [], into: tensor)
    }
  }

  private static func lowBits(_ fields: inout KVFields, count: Int, bits: Int) throws -> [UInt16] {
    guard bits > 0 else { return [] }
    let packed = try fields.take((count * bits + 7) / 8, "low bits")
    return [UInt16](unsafeUninitializedCapacity: count) { low, initialised in
      packed.withUnsafeBufferPointer { packed in
        var (word, held, at) = (UInt32(0), 0, 0)
        for i in 0..<count {
          while held < bits {
            word = word << 8 | UInt32(packed[at])
            at += 1
            held += 8
          }
          held -= bits
          low[i] = UInt16(truncatingIfNeeded: word >> UInt32(held)) & (1 << UInt16(bits) - 1)
        }
      }
      initialised = count
    }
  }

  /// `columns`: each channel's symbols; none if none of them can be an escape.
  private static func restoreEscapes(
    _ escapes: ArraySlice<UInt8>, _ columns: [UnsafePointer<UInt8>], into tensor: KVTensor
  ) throws {
    let size = tensor.element.bytes
    guard let places = self.places(of: columns, in: tensor, atMost: escapes.count / size) else {
      throw CodecError.damagedKV("there are fewer escapes than symbols for them")
    }
    escapes.withUnsafeBytes { escapes in
      for (i, place) in places.enumerated() {
        let (row, channel) = place.quotientAndRemainder(dividingBy: tensor.channels)
        let (head, token) = row.quotientAndRemainder(dividingBy: tensor.tokens)
        let to = tensor.row(head: head, token: token)
        for b in 0..<size { to[channel * size + b] = escapes[i * size + b] }
      }
    }
    let left = escapes.count - places.count * size
    guard left == 0 else { throw CodecError.damagedKV("\(left) bytes follow a block's last escape") }
  }

  /// Where the escapes are, rising, as indices of [head, token, channel]; nil if there are more than `limit`.
  static func places(of columns: [UnsafePointer<UInt8>], in tensor: KVTensor, atMost limit: Int) -> [Int]? {
    var places: [Int] = []
    for (column, symbols) in columns.enumerated() {
      let (head, channel) = column.quotientAndRemainder(dividingBy: tensor.channels)
      var token = 0
      while token < tensor.tokens, let found = memchr(symbols + token, Int32(escape), tensor.tokens - token) {
        token = UnsafeRawPointer(symbols).distance(to: found)
        guard places.count < limit else { return nil }
        places.append((head * tensor.tokens + token) * tensor.channels + channel)
        token += 1
      }
    }
    return places.sorted()
  }
}

/// The parts of a byte string, each held against what is there before it is taken.
struct KVFields {
  private var left: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { left = bytes }

  mutating func varint(_ what: String) throws -> UInt64 {
    guard case .value(let value, let digits) = Varint.decode(left) else {
      throw CodecError.damagedKV("the number of \(what) is cut short or too long")
    }
    left = left.dropFirst(digits)
    return value
  }

  mutating func take(_ count: Int, _ what: String) throws -> ArraySlice<UInt8> {
    guard count <= left.count else { throw CodecError.damagedKV("the \(what) are cut short") }
    defer { left = left.dropFirst(count) }
    return left.prefix(count)
  }

  /// A varint length and that many bytes.
  mutating func prefixed(_ what: String) throws -> ArraySlice<UInt8> {
    let length = try varint("bytes of \(what)")
    guard length <= UInt64(left.count) else { throw CodecError.damagedKV("the \(what) are cut short") }
    return try take(Int(length), what)
  }

  var isEmpty: Bool { left.isEmpty }

  mutating func rest() -> ArraySlice<UInt8> {
    defer { left = left.suffix(0) }
    return left
  }
}

extension CodecError {
  static func damagedKV(_ what: String) -> CodecError {
    CodecError(.malformed, "the cache's data is damaged: \(what). Get the file again from where it came from.")
  }
}

extension KVElement {
  /// The kernels' number for it.
  var kernel: Int32 {
    switch self {
    case .float16: Int32(NC_KV_F16)
    case .bfloat16: Int32(NC_KV_BF16)
    case .float32: Int32(NC_KV_F32)
    }
  }
}

/// The best kernels that this CPU has and NCCODEC_SIMD allows.
func kvKernels() -> nc_kv { nc_kv_at(Kernels.current.level.rawValue)!.pointee }
