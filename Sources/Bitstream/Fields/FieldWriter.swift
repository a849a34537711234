/// Appends the fields of structures to bytes. The inverse is `FieldReader`.
package struct FieldWriter: FieldVisitor, Sendable {
  package static let isReading = false
  package private(set) var bytes: [UInt8] = []
  private var path: [String] = []

  package init() {}

  package var offset: Int { bytes.count }

  /// Appends `structure`; on an error nothing is appended.
  package mutating func write(_ structure: some BitstreamStructure, named name: String = "") throws(BitstreamError) {
    let start = bytes.count
    let outer = path
    do {
      var copy = structure
      if name.isEmpty { try copy.visitFields(&self) } else { try self.structure(name, &copy) }
    } catch {
      bytes.removeSubrange(start...)
      path = outer
      throw error
    }
  }

  package mutating func visitFixed(_ field: Field, _ value: inout UInt64, byteCount: Int) {
    for position in 0..<byteCount {
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * position)))
    }
  }

  package mutating func visitVarint(_ field: Field, _ value: inout UInt64) { Varint.append(value, to: &bytes) }

  package mutating func visitBytes(_ field: Field, _ value: inout ArraySlice<UInt8>, count: Int?) {
    bytes.append(contentsOf: value)
  }

  package mutating func enter(_ name: String, index: Int?) { path.append(name) }
  package mutating func leave() { path.removeLast() }

  package func failure(
    _ code: BitstreamError.Code, in field: String, at offset: Int, _ reason: String
  ) -> BitstreamError {
    BitstreamError(code, at: offset, in: (path + [field]).joined(separator: " > "), reason)
  }
}

/// Counts the bytes that `FieldWriter` would append, without memory for them.
package struct FieldSizer: FieldVisitor, Sendable {
  package static let isReading = false
  package private(set) var offset = 0
  private var path: [String] = []

  package init() {}

  package mutating func measure(_ structure: some BitstreamStructure) throws(BitstreamError) {
    var copy = structure
    try copy.visitFields(&self)
  }

  package mutating func visitFixed(_ field: Field, _ value: inout UInt64, byteCount: Int) { offset += byteCount }
  package mutating func visitVarint(_ field: Field, _ value: inout UInt64) { offset += Varint.byteCount(of: value) }
  package mutating func visitBytes(_ field: Field, _ value: inout ArraySlice<UInt8>, count: Int?) {
    offset += value.count
  }

  package mutating func enter(_ name: String, index: Int?) { path.append(name) }
  package mutating func leave() { path.removeLast() }

  package func failure(
    _ code: BitstreamError.Code, in field: String, at offset: Int, _ reason: String
  ) -> BitstreamError {
    BitstreamError(code, at: offset, in: (path + [field]).joined(separator: " > "), reason)
  }
}
