/// Turns structures into rows of name, value and unit: what `nccodec info` shows.
package struct FieldPrinter: FieldVisitor, Sendable {
  package static let isReading = false
  package private(set) var rows: [FieldRow] = []
  package private(set) var offset: Int
  private var path: [String] = []
  /// The row that `describe(_:)` is about; nil after a hidden field.
  private var lastRow: Int?

  /// - Parameter offset: where the first structure stands in its file.
  package init(at offset: Int = 0) { self.offset = offset }

  /// Adds the rows of `structure`, under a row of its own if it has a name.
  package mutating func show(
    _ structure: some BitstreamStructure, named name: String = "", index: Int? = nil
  ) throws(BitstreamError) {
    var copy = structure
    if name.isEmpty { try copy.visitFields(&self) } else { try self.structure(name, &copy, index: index) }
  }

  /// Adds a row that is no field of the file, such as the size of a chunk.
  package mutating func note(_ name: String, _ value: FieldRow.Value, unit: String? = nil) {
    append(name, value, unit: unit, byteCount: 0)
  }

  /// Moves to another place of the file.
  package mutating func move(to offset: Int) { self.offset = offset }

  package mutating func visitFixed(_ field: Field, _ value: inout UInt64, byteCount: Int) {
    add(field, .number(value), byteCount)
  }

  package mutating func visitVarint(_ field: Field, _ value: inout UInt64) {
    add(field, .number(value), Varint.byteCount(of: value))
  }

  package mutating func visitBytes(_ field: Field, _ value: inout ArraySlice<UInt8>, count: Int?) {
    add(field, .bytes(count: value.count, prefix: Array(value.prefix(16))), value.count)
  }

  package mutating func enter(_ name: String, index: Int?) {
    append(name, .group, unit: nil, byteCount: 0, index: index)
    path.append(name)
  }

  package mutating func leave() {
    path.removeLast()
    lastRow = nil
  }

  package mutating func describe(_ description: FieldDescription) {
    switch description {
    case .count(let count):
      // The count itself is hidden; the row of the list stands last.
      rows[rows.count - 1].value = .list(count)
    case .symbol(let label):
      if let lastRow, case .number(let raw) = rows[lastRow].value { rows[lastRow].value = .symbol(label, raw) }
    case .text(let text):
      if let lastRow { rows[lastRow].value = .text(text) }
    case .parts(let parts):
      guard let lastRow else { return }
      let word = rows.remove(at: lastRow)
      for part in parts {
        var row = word
        row.name = part.name
        row.value = part.value
        row.unit = part.unit
        rows.append(row)
      }
      self.lastRow = nil
    }
  }

  package func failure(
    _ code: BitstreamError.Code, in field: String, at offset: Int, _ reason: String
  ) -> BitstreamError {
    BitstreamError(code, at: offset, in: (path + [field]).joined(separator: " > "), reason)
  }

  private mutating func add(_ field: Field, _ value: FieldRow.Value, _ byteCount: Int) {
    if field.isHidden {
      lastRow = nil
    } else {
      append(field.name, value, unit: field.unit, byteCount: byteCount)
      lastRow = rows.count - 1
    }
    offset += byteCount
  }

  private mutating func append(
    _ name: String, _ value: FieldRow.Value, unit: String?, byteCount: Int, index: Int? = nil
  ) {
    rows.append(
      FieldRow(
        name: name, index: index, depth: path.count, value: value, unit: unit, offset: offset, byteCount: byteCount))
  }
}

/// One line of `FieldPrinter`.
package struct FieldRow: Equatable, Sendable {
  package enum Value: Equatable, Sendable {
    case number(UInt64)
    case flag(Bool)
    /// A case of an enumeration: its label and what the file holds for it.
    case symbol(String, UInt64)
    case text(String)
    /// A byte string: its length and at most its first 16 bytes.
    case bytes(count: Int, prefix: [UInt8])
    /// The rows that follow with a greater depth are the fields of a structure.
    case group
    /// The rows that follow with a greater depth are the items of a list of this many.
    case list(Int)
  }

  package var name: String
  /// The position in the list around it; nil outside of lists.
  package let index: Int?
  /// 0 for the outermost rows.
  package let depth: Int
  package var value: Value
  package var unit: String?
  /// Bytes from the start of the file; parts of a packed field share theirs.
  package let offset: Int
  package let byteCount: Int
}
