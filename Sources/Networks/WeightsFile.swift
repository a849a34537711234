import Bitstream

/// A model's tensors by name, as they stand in a weights file:
///
///     magic    "NCWT"
///     version  1 byte, 1
///     codec    1 byte
///     model    u16, the model's number in the registry of its codec
///     count    u16
///     count times
///       name   1 byte length, then ASCII
///       type   1 byte: 0 int16, 1 int32, 2 uint8, 3 float16
///       rank   1 byte, 1...4
///       shape  rank times u32
///       data   product of shape values, last axis fastest
///     crc      u32, CRC-32 of all bytes before it
///
/// All numbers are little-endian.
// bitstream-spec 7
package struct WeightsFile: Sendable {
  /// What a track header calls this model.
  package let modelID: UInt32
  package let codec: UInt8
  private let bytes: [UInt8]
  private let entries: [String: Entry]

  private struct Entry {
    let type: ElementType
    let shape: [Int]
    let offset: Int
  }

  private enum ElementType: UInt8 {
    case int16, int32, uint8, float16

    var size: Int {
      switch self {
      case .int16, .float16: 2
      case .int32: 4
      case .uint8: 1
      }
    }
  }

  /// Throws `WeightsError` for anything that breaks the grammar, the checksum or the length.
  package init(parsing bytes: [UInt8]) throws(WeightsError) {
    guard bytes.count >= 14, bytes.starts(with: "NCWT".utf8) else {
      throw WeightsError(.notWeights, "start", "this is no weights file")
    }
    let body = bytes.count - 4
    let stored = Self.number(bytes, body, 4)
    guard UInt64(Checksum.crc32(bytes[..<body])) == stored else {
      throw WeightsError(.damaged, "checksum", "the bytes do not match it")
    }
    guard bytes[4] == 1 else { throw WeightsError(.unsupported, "version", "\(bytes[4]) is unknown") }
    var at = 10
    func take(_ count: Int, _ what: String) throws(WeightsError) -> Int {
      guard count <= body - at else { throw WeightsError(.damaged, what, "the file ends too early") }
      defer { at += count }
      return at
    }
    var entries: [String: Entry] = [:]
    for index in 0..<Int(Self.number(bytes, 8, 2)) {
      let place = "tensor \(index)"
      let length = Int(bytes[try take(1, place)])
      let start = try take(length, place)
      let name = String(decoding: bytes[start..<start + length], as: UTF8.self)
      let head = try take(2, name)
      guard let type = ElementType(rawValue: bytes[head]), (1...4).contains(bytes[head + 1]) else {
        throw WeightsError(.unsupported, name, "type \(bytes[head]), rank \(bytes[head + 1])")
      }
      let rank = Int(bytes[head + 1])
      let dimensions = try take(4 * rank, name)
      let shape = (0..<rank).map { Int(Self.number(bytes, dimensions + 4 * $0, 4)) }
      var size = type.size
      for dimension in shape {
        let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
        guard !overflow, dimension > 0, product <= body else {
          throw WeightsError(.damaged, name, "shape \(shape) does not fit the file")
        }
        size = product
      }
      let offset = try take(size, name)
      guard entries.updateValue(Entry(type: type, shape: shape, offset: offset), forKey: name) == nil else {
        throw WeightsError(.damaged, name, "stands there twice")
      }
    }
    guard at == body else { throw WeightsError(.damaged, "end", "\(body - at) bytes are left over") }
    self.entries = entries
    self.bytes = bytes
    codec = bytes[5]
    modelID = UInt32(Self.number(bytes, 6, 2))
  }

  private static func number(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
  }

  /// Whether a tensor of this name exists.
  package func contains(_ name: String) -> Bool { entries[name] != nil }

  /// The shape of `name`; throws `missing`.
  package func shape(_ name: String) throws(WeightsError) -> [Int] {
    guard let entry = entries[name] else { throw WeightsError(.missing, name, "the model lacks it") }
    return entry.shape
  }

  /// The int16 tensor `name`, which must have `shape` (nil matches any length of an axis).
  package func int16(_ name: String, _ shape: Int?...) throws(WeightsError) -> [Int16] {
    try integers(name, .int16, shape)
  }

  package func int32(_ name: String, _ shape: Int?...) throws(WeightsError) -> [Int32] {
    try integers(name, .int32, shape)
  }

  package func uint8(_ name: String, _ shape: Int?...) throws(WeightsError) -> [UInt8] {
    try integers(name, .uint8, shape)
  }

  /// A float16 tensor, widened; its values are finite.
  package func float(_ name: String, _ shape: Int?...) throws(WeightsError) -> [Float] {
    let halves: [UInt16] = try integers(name, .float16, shape)
    return halves.map { half in
      // Exponent and fraction in float's places, then the difference of the two biases; exact for subnormals too.
      let magnitude = Float(bitPattern: UInt32(half & 0x7FFF) << 13) * 0x1p112
      return half & 0x8000 == 0 ? magnitude : -magnitude
    }
  }

  private func integers<T: FixedWidthInteger>(
    _ name: String, _ type: ElementType, _ shape: [Int?]
  ) throws(WeightsError) -> [T] {
    guard let entry = entries[name] else { throw WeightsError(.missing, name, "the model lacks it") }
    guard entry.type == type, entry.shape.count == shape.count,
      zip(entry.shape, shape).allSatisfy({ $1 == nil || $0 == $1 })
    else {
      throw WeightsError(.wrongShape, name, "\(entry.type) \(entry.shape), expected \(type) \(shape.map { $0 ?? 0 })")
    }
    let count = entry.shape.reduce(1, *)
    return bytes.withUnsafeBytes { raw in
      [T](unsafeUninitializedCapacity: count) { out, initialised in
        UnsafeMutableRawBufferPointer(out).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: raw[entry.offset..<entry.offset + count * type.size]))
        for i in 0..<count { out[i] = T(littleEndian: out[i]) }
        initialised = count
      }
    }
  }
}

/// Why a model cannot be used. Equal by code.
package struct WeightsError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable {
    case notWeights, damaged, unsupported, missing, wrongShape, outOfRange
  }

  package let code: Code
  package let element: String
  package let reason: String

  package init(_ code: Code, _ element: String, _ reason: String) {
    self.code = code
    self.element = element
    self.reason = reason
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }

  package var description: String { "the model cannot be used (\(element)): \(reason)" }
}
