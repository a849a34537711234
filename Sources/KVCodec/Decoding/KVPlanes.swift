import Bitstream
import Coding
import EntropyCoding
import Media

/// Elements as they are, a byte of each at a time:
///
///     classes   1 byte, 1...16
///     side      varint length, then a range-coded payload of that many bytes: with several classes, the class of each
///               column, an adaptive symbol of as many; then a table for each class (as in KVSteps)
///     leading   for each class: varint length, then a block rANS payload of the leading bytes of its columns' elements
///     others    for each of the other bytes, from high to low: a byte, 0 or 1; after 0 the bytes as they are; after 1 varint
///               length and a range-coded table, varint length and a block rANS payload
///
/// The bytes of an element are those of its bits, the first one being the most significant; of bfloat16 and float32 the sign
/// is moved behind the others, so that the first byte is the exponent. Order: rows, then columns.
// bitstream-spec 10.4
struct KVPlanes {
  /// Bytes of an element, 1...64.
  let elementBytes: Int
  let rows: Int
  let columns: Int
  /// Whether the bits are turned left by one, which moves the sign from the first place to the last.
  let movesSign: Bool

  static let maximumClasses = 16

  init(elementBytes: Int, rows: Int, columns: Int, movesSign: Bool) {
    (self.elementBytes, self.rows, self.columns, self.movesSign) = (elementBytes, rows, columns, movesSign)
  }

  init(_ tensor: KVTensor) {
    self.init(
      elementBytes: tensor.element.bytes, rows: tensor.tokens, columns: tensor.heads * tensor.channels,
      movesSign: tensor.element != .float16)
  }

  /// The elements, [rows, columns], each little-endian. The inverse is `write(_:)`.
  ///
  /// Throws `EntropyError` or `CodecError` (malformed).
  func read(_ fields: inout KVFields) throws -> [UInt8] {
    let count = rows * columns
    let classes = Int(try fields.take(1, "classes").first!)
    guard (1...Self.maximumClasses).contains(classes) else { throw CodecError.damagedKV("there are \(classes) classes") }
    var side = RangeDecoder(Array(try fields.prefixed("tables")))
    var ofColumn = [Int](repeating: 0, count: columns)
    if classes > 1 {
      var model = AdaptiveModel(symbolCount: classes)
      for c in 0..<columns { ofColumn[c] = try side.decode(adapting: &model) }
    }
    var tables: [BlockRANS.Table] = []
    for _ in 0..<classes { tables.append(try KVTable.decode(from: &side)) }
    try side.finish()

    var elements = [UInt8](repeating: 0, count: count * elementBytes)
    for (number, table) in tables.enumerated() {
      let members = (0..<columns).filter { ofColumn[$0] == number }
      let bytes = try BlockRANS.decode(
        Array(try fields.prefixed("leading bytes")), count: members.count * rows, with: table)
      var at = 0
      for row in 0..<rows {
        for column in members {
          elements[(row * columns + column) * elementBytes + elementBytes - 1] = bytes[at]
          at += 1
        }
      }
    }
    for plane in stride(from: elementBytes - 2, through: 0, by: -1) {
      let bytes: [UInt8]
      switch try fields.take(1, "planes").first! {
      case 0: bytes = Array(try fields.take(count, "elements"))
      case 1:
        var side = RangeDecoder(Array(try fields.prefixed("a table")))
        let table = try KVTable.decode(from: &side)
        try side.finish()
        bytes = try BlockRANS.decode(Array(try fields.prefixed("elements")), count: count, with: table)
      case let mode: throw CodecError.damagedKV("bytes are coded in the unknown way \(mode)")
      }
      for i in 0..<count { elements[i * elementBytes + plane] = bytes[i] }
    }
    if movesSign { turn(&elements, left: false) }
    return elements
  }

  /// Turns the bits of each little-endian element by one.
  func turn(_ elements: inout [UInt8], left: Bool) {
    for first in stride(from: 0, to: elements.count, by: elementBytes) {
      var bits: UInt64 = 0
      for b in 0..<elementBytes { bits |= UInt64(elements[first + b]) << UInt64(8 * b) }
      let last = UInt64(8 * elementBytes - 1)
      let turned = left ? bits << 1 | bits >> last & 1 : bits >> 1 | (bits & 1) << last
      for b in 0..<elementBytes { elements[first + b] = UInt8(truncatingIfNeeded: turned >> UInt64(8 * b)) }
    }
  }

  /// Puts what `read` gave into a tensor of these sizes.
  func store(_ elements: [UInt8], into tensor: KVTensor) {
    let bytes = tensor.rowBytes
    for token in 0..<rows {
      for head in 0..<tensor.heads {
        let first = (token * tensor.heads + head) * bytes
        tensor.row(head: head, token: token).copyBytes(from: elements[first..<first + bytes])
      }
    }
  }
}

/// A table of 12-bit precision in a range-coded payload: first and span, bypass of 8 bits each, then the widths of symbols
/// first...first + span, as numbers (`KVSteps`).
// bitstream-spec 10.3
enum KVTable {
  static func decode(from decoder: inout RangeDecoder) throws -> BlockRANS.Table {
    let first = Int(try decoder.decodeBypass(bits: 8)), span = Int(try decoder.decodeBypass(bits: 8))
    guard first + span <= 255 else { throw CodecError.damagedKV("a table has a symbol \(first + span)") }
    var number = KVNumberModel()
    var widths = [UInt32](repeating: 0, count: first + span + 1)
    for s in first...first + span { widths[s] = try number.decode(from: &decoder) }
    return try BlockRANS.Table(CategoricalModel(widths: widths, precision: 12))
  }

  static func encode(_ table: BlockRANS.Table, into encoder: inout RangeEncoder) {
    let widths = table.model.widths
    let first = widths.firstIndex { $0 > 0 } ?? 0
    let last = widths.lastIndex { $0 > 0 } ?? 0
    encoder.encodeBypass(UInt32(first), bits: 8)
    encoder.encodeBypass(UInt32(last - first), bits: 8)
    var number = KVNumberModel()
    for s in first...last { number.encode(widths[s], into: &encoder) }
  }
}
