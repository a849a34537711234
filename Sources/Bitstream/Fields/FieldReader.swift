/// Sets the fields of structures from bytes. The inverse is `FieldWriter`.
///
/// `read(_:)` either succeeds or leaves the cursor where it was. Nothing is allocated before the bytes for it are known
/// to be there; byte strings are slices of the input.
package struct FieldReader: FieldVisitor, Sendable {
  package static let isReading = true
  /// Structures inside structures that are followed before the data is called malformed.
  package static let maximumDepth = 16

  private let bytes: ArraySlice<UInt8>
  /// The offset in the file of the first of `bytes`.
  private let base: Int
  private let shortage: BitstreamError.Code
  /// An index into `bytes`: startIndex...endIndex.
  private var cursor: Int
  /// Names of the structures around the next field, outermost first.
  private var path: [String]
  private let rootDepth: Int

  /// - Parameters:
  ///   - name: what errors call the outermost structure; may be empty.
  ///   - offset: where `bytes` starts in the file, added to the offsets of errors.
  ///   - shortage: the code of a short read: `malformed` where the length of `bytes` is known to be right.
  package init(
    _ bytes: ArraySlice<UInt8>, named name: String = "", at offset: Int = 0,
    shortage: BitstreamError.Code = .truncated
  ) {
    self.bytes = bytes
    base = offset
    self.shortage = shortage
    cursor = bytes.startIndex
    path = name.isEmpty ? [] : [name]
    rootDepth = path.count
  }

  package init(_ bytes: [UInt8], named name: String = "") { self.init(bytes[...], named: name) }

  package var offset: Int { base + cursor - bytes.startIndex }
  /// Bytes after the cursor.
  package var remaining: Int { bytes.endIndex - cursor }

  /// The next structure; see `BitstreamStructure.parse` about `blank`.
  package mutating func read<S: BitstreamStructure>(_ blank: S, named name: String = "") throws(BitstreamError) -> S {
    var attempt = self
    var structure = blank
    if name.isEmpty {
      try structure.visitFields(&attempt)
    } else {
      try attempt.structure(name, &structure)
    }
    cursor = attempt.cursor
    return structure
  }

  /// Throws `malformed` if bytes are left.
  package func finish() throws(BitstreamError) {
    if remaining > 0 {
      throw failure(.malformed, in: "", at: offset, "\(remaining) unexpected bytes follow the last field")
    }
  }

  package mutating func visitFixed(
    _ field: Field, _ value: inout UInt64, byteCount: Int
  ) throws(BitstreamError) {
    try demand(byteCount, field)
    value = 0
    for position in 0..<byteCount {
      value |= UInt64(bytes[cursor + position]) << UInt64(8 * position)
    }
    cursor += byteCount
  }

  package mutating func visitVarint(_ field: Field, _ value: inout UInt64) throws(BitstreamError) {
    switch Varint.decode(bytes[cursor...]) {
    case .value(let number, let byteCount):
      value = number
      cursor += byteCount
    case .short: throw failure(shortage, in: field.name, at: offset, "the data ends inside a number")
    case .overlong: throw failure(.malformed, in: field.name, at: offset, "a number is not in its shortest form")
    case .overflow: throw failure(.malformed, in: field.name, at: offset, "a number is above 2^64 - 1")
    }
  }

  package mutating func visitBytes(
    _ field: Field, _ value: inout ArraySlice<UInt8>, count: Int?
  ) throws(BitstreamError) {
    let count = count ?? remaining
    try demand(count, field)
    value = bytes[cursor..<cursor + count]
    cursor += count
  }

  package mutating func enter(_ name: String, index: Int?) throws(BitstreamError) {
    guard path.count - rootDepth < Self.maximumDepth else {
      throw failure(.malformed, in: name, at: offset, "structures are nested more than \(Self.maximumDepth) deep")
    }
    path.append(name)
  }

  package mutating func leave() { path.removeLast() }

  package func expect(_ count: UInt64, itemsOf minimumBytes: Int, in field: String) throws(BitstreamError) {
    guard count <= UInt64(remaining / max(1, minimumBytes)) else {
      throw failure(
        shortage, in: field, at: offset,
        "\(count) items of at least \(minimumBytes) bytes are announced and \(remaining) bytes are left")
    }
  }

  package func failure(
    _ code: BitstreamError.Code, in field: String, at offset: Int, _ reason: String
  ) -> BitstreamError {
    BitstreamError(code, at: offset, in: (path + [field]).filter { !$0.isEmpty }.joined(separator: " > "), reason)
  }

  private func demand(_ count: Int, _ field: Field) throws(BitstreamError) {
    guard count <= remaining else {
      throw failure(shortage, in: field.name, at: offset, "\(count) bytes are needed and \(remaining) are left")
    }
  }
}
