extension KVNamedTensor {
  /// The numbers of a tensor of integers, in its order; nil for other types, and for bytes that do not fit the shape.
  package var integers: [Int64]? {
    switch dtype {
    case "I8": numbers(of: Int8.self)
    case "U8": numbers(of: UInt8.self)
    case "I16": numbers(of: Int16.self)
    case "U16": numbers(of: UInt16.self)
    case "I32": numbers(of: Int32.self)
    case "U32": numbers(of: UInt32.self)
    case "I64": numbers(of: Int64.self)
    case "U64": numbers(of: UInt64.self)
    default: nil
    }
  }

  private func numbers<T: FixedWidthInteger>(of type: T.Type) -> [Int64]? {
    let size = T.bitWidth / 8
    var count = 1
    for length in shape {
      let (product, overflows) = count.multipliedReportingOverflow(by: length)
      guard !overflows, length >= 0 else { return nil }
      count = product
    }
    guard byteCount % size == 0, byteCount / size == count else { return nil }
    return withUnsafeBytes { bytes in
      // Above Int64's range are no token ids; their bits do.
      (0..<count).map { Int64(truncatingIfNeeded: T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * size, as: T.self))) }
    }
  }

  /// Integers as `I32`, or as `I64` where one of them needs it.
  package init(name: String, shape: [Int], integers: [Int64]) {
    if integers.allSatisfy({ Int32(exactly: $0) != nil }) {
      self.init(
        name: name, dtype: "I32", shape: shape,
        bytes: integers.flatMap { number in Swift.withUnsafeBytes(of: Int32(truncatingIfNeeded: number).littleEndian) { Array($0) } })
    } else {
      self.init(
        name: name, dtype: "I64", shape: shape,
        bytes: integers.flatMap { number in Swift.withUnsafeBytes(of: number.littleEndian) { Array($0) } })
    }
  }
}

extension KVCache {
  /// The tensor that holds the text's token ids.
  public static let tokensName = "tokens"

  /// The tensor of a cache whose heads have kept some tokens only: their positions, `[layer, kv_head, kept]`, ascending. Its last
  /// ones are the text's last token, so what follows stands one behind them.
  public static let positionsName = "positions"

  /// The ids of the tensor `tokens`, which may go on behind the cache's end; nil where there is none, or none of integers in
  /// one row.
  public var tokenIDs: [Int64]? {
    guard let tensor = others.first(where: { $0.name == Self.tokensName }), tensor.shape.count(where: { $0 != 1 }) <= 1
    else { return nil }
    return tensor.integers
  }
}
