/// A structure of the specification: one list of fields, in the order of the file, that reader, writer, sizer and
/// printer all walk, so that the four cannot disagree.
package protocol BitstreamStructure {
  /// Shows every field to `visitor`, in order. Only `FieldReader` changes the fields.
  mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError)
}

extension BitstreamStructure {
  /// The structure as bytes. Throws `invalidValue` or `limitExceeded` if a field breaks its limits. The inverse is
  /// `parse(_:into:named:at:)`.
  package func serialised() throws(BitstreamError) -> [UInt8] {
    var writer = FieldWriter()
    try writer.write(self)
    return writer.bytes
  }

  /// The number of bytes of `serialised()`, found without writing them.
  package func byteCount() throws(BitstreamError) -> Int {
    var sizer = FieldSizer()
    try sizer.measure(self)
    return sizer.offset
  }

  /// The structure that fills `bytes` completely. The inverse is `serialised()`.
  ///
  /// - Parameters:
  ///   - blank: any value; it carries context such as the number of tracks, and its fields are overwritten.
  ///   - name: what errors call the structure.
  ///   - offset: where `bytes` starts in the file, added to the offsets of errors.
  package static func parse(
    _ bytes: ArraySlice<UInt8>, into blank: Self, named name: String, at offset: Int = 0
  ) throws(BitstreamError) -> Self {
    var reader = FieldReader(bytes, named: name, at: offset, shortage: .malformed)
    let structure = try reader.read(blank)
    try reader.finish()
    return structure
  }
}

/// A closed set of values of a field.
package protocol FieldEnumeration: RawRepresentable, CaseIterable, Sendable where RawValue == UInt8 {
  /// The name that the specification and `nccodec info` use.
  var label: String { get }
}

/// What a visitor is told about a field besides its value.
package struct Field: Sendable {
  package let name: String
  /// Such as "pixels" or "bytes"; nil for plain numbers.
  package let unit: String?
  /// Whether the printer leaves the field out, as it does with the lengths of byte strings.
  package let isHidden: Bool

  package init(_ name: String, unit: String? = nil, isHidden: Bool = false) {
    self.name = name
    self.unit = unit
    self.isHidden = isHidden
  }
}

/// How the end of a byte string is found. Each limit is in bytes.
package enum Extent: Sendable {
  case fixed(Int)
  /// A varint length stands before the bytes.
  case prefixed(limit: Int)
  /// The bytes go on to the end of the chunk or structure.
  case rest(limit: Int)
}
