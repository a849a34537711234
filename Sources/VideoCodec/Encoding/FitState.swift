import Autograd

/// Writes what a fit needs to go on: numbers, little-endian.
struct FitStateWriter {
  private(set) var bytes: [UInt8] = []

  mutating func append<Number: FixedWidthInteger>(_ numbers: [Number]) {
    bytes.reserveCapacity(bytes.count + numbers.count * MemoryLayout<Number>.size)
    for number in numbers { withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) } }
  }

  mutating func append(_ floats: [Float]) { append(floats.map(\.bitPattern)) }
}

/// Reads what `FitStateWriter` wrote. What is not there is nil, or false.
struct FitStateReader {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  mutating func numbers<Number: FixedWidthInteger>(_ count: Int, of type: Number.Type) -> [Number]? {
    let size = MemoryLayout<Number>.size
    guard count >= 0, count <= rest.count / size else { return nil }
    defer { rest = rest.dropFirst(count * size) }
    return rest.withUnsafeBytes { bytes in
      (0..<count).map { Number(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * size, as: Number.self)) }
    }
  }

  mutating func load(_ parameters: [Parameter]) -> Bool {
    for parameter in parameters {
      guard let bits = numbers(parameter.count, of: UInt32.self) else { return false }
      parameter.load(bits.map(Float.init(bitPattern:)))
    }
    return true
  }

  mutating func floats(_ count: Int) -> [Float]? { numbers(count, of: UInt32.self)?.map(Float.init(bitPattern:)) }

  /// All that is left.
  mutating func floats() -> [Float]? { rest.count % 4 == 0 ? floats(rest.count / 4) : nil }
}
