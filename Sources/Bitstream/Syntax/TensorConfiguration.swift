/// The configuration of codec 4, a named tensor that is carried along losslessly:
///
///     name      text behind a varint length, at most 1024 bytes
///     type      text behind a varint length, at most 64 bytes, as the file named it
///     shape     list of varints, at most 16
///     element   varint, 1...64: bytes of an element, by which its bytes are told apart
///     bytes     varint, of the tensor
// bitstream-spec 10.6
package struct TensorConfiguration: BitstreamStructure, Equatable, Sendable {
  package struct Dimension: BitstreamStructure, Equatable, Sendable {
    package var count: UInt64

    package init(_ count: UInt64 = 0) { self.count = count }

    package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
      try visitor.varint("count", &count, in: 0...1 << 48)
    }
  }

  package var name = ""
  package var type = ""
  package var shape: [Dimension] = []
  package var elementBytes: UInt32 = 1
  package var byteCount: UInt64 = 0

  package init() {}

  /// The inverse is `serialised()`. Throws `malformed` or `limitExceeded`.
  package init(parsing configuration: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self(), named: "tensor configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.text("name", &name, .prefixed(limit: 1024))
    try visitor.text("type", &type, .prefixed(limit: 64))
    try visitor.list("shape", &shape, limit: 16, blank: Dimension())
    try visitor.varint("element", &elementBytes, in: 1...64, unit: "bytes")
    try visitor.varint("bytes", &byteCount, in: 0...1 << 48)
  }
}
