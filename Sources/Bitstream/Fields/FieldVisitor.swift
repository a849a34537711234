/// One walk over the fields of a structure. Structures call the methods of the extensions below, which check ranges
/// and limits alike for every visitor; conforming types supply the requirements.
// bitstream-spec 1.6
package protocol FieldVisitor {
  /// Whether fields are set by the visit instead of being looked at.
  static var isReading: Bool { get }
  /// Bytes before the next field, from the start of the file where the visitor knows it.
  var offset: Int { get }

  /// An unsigned integer of `byteCount` (1...8) bytes, least significant first.
  mutating func visitFixed(_ field: Field, _ value: inout UInt64, byteCount: Int) throws(BitstreamError)
  mutating func visitVarint(_ field: Field, _ value: inout UInt64) throws(BitstreamError)
  /// `count` bytes, or those up to the end of the structure if `count` is nil.
  mutating func visitBytes(_ field: Field, _ value: inout ArraySlice<UInt8>, count: Int?) throws(BitstreamError)
  /// What follows, up to the matching `leave()`, belongs to the named structure or list, or to item `index` of a list.
  mutating func enter(_ name: String, index: Int?) throws(BitstreamError)
  mutating func leave()
  /// The last field in words: the name of an enumeration's case, the text that bytes are.
  mutating func describe(_ description: FieldDescription)
  /// Throws unless `count` items of at least `minimumBytes` each can follow.
  func expect(_ count: UInt64, itemsOf minimumBytes: Int, in field: String) throws(BitstreamError)
  /// An error about a field, with the names of the structures around it.
  func failure(_ code: BitstreamError.Code, in field: String, at offset: Int, _ reason: String) -> BitstreamError
}

/// What a field's raw value stands for.
package enum FieldDescription: Equatable, Sendable {
  case symbol(String)
  case text(String)
  case parts([PackedPart])
  case count(Int)
}

extension FieldVisitor {
  package var isReading: Bool { Self.isReading }

  package mutating func describe(_ description: FieldDescription) {}
  package func expect(_ count: UInt64, itemsOf minimumBytes: Int, in field: String) throws(BitstreamError) {}

  /// The error for a value outside its range: the file's fault when reading, the caller's when writing.
  package func rejection(in field: String, at offset: Int, _ reason: String) -> BitstreamError {
    failure(Self.isReading ? .malformed : .invalidValue, in: field, at: offset, reason)
  }

  /// Throws unless `condition`, a rule between fields, holds. `reason` says what is wrong.
  package func require(_ condition: Bool, _ field: String, _ reason: @autoclosure () -> String) throws(BitstreamError) {
    if !condition { throw rejection(in: field, at: offset, reason()) }
  }

  /// An integer of the full width of `T`, least significant byte first.
  package mutating func unsigned<T: FixedWidthInteger & UnsignedInteger>(
    _ name: String, _ value: inout T, in range: ClosedRange<T> = T.min...T.max, unit: String? = nil
  ) throws(BitstreamError) {
    let start = offset
    var wide = UInt64(value)
    try visitFixed(Field(name, unit: unit), &wide, byteCount: T.bitWidth / 8)
    value = try checked(wide, in: range, name, at: start)
  }

  /// An integer of 1 to 10 bytes, in the shortest form.
  package mutating func varint<T: FixedWidthInteger & UnsignedInteger>(
    _ name: String, _ value: inout T, in range: ClosedRange<T> = T.min...T.max, unit: String? = nil
  ) throws(BitstreamError) {
    let start = offset
    var wide = UInt64(value)
    try visitVarint(Field(name, unit: unit), &wide)
    value = try checked(wide, in: range, name, at: start)
  }

  /// One byte that is one of the cases of `E`.
  package mutating func enumeration<E: FieldEnumeration>(_ name: String, _ value: inout E) throws(BitstreamError) {
    let start = offset
    var wide = UInt64(value.rawValue)
    try visitFixed(Field(name), &wide, byteCount: 1)
    guard let result = E(rawValue: UInt8(truncatingIfNeeded: wide)) else {
      throw rejection(in: name, at: start, "\(wide) stands for nothing in this version of the format")
    }
    value = result
    describe(.symbol(result.label))
  }

  /// `byteCount` bytes (1...8) that hold several values, least significant bit first. `parts` is called twice when
  /// reading and shall show the same values each time; bits that it does not show are reserved and zero.
  package mutating func packed(
    _ name: String, byteCount: Int = 1, _ parts: (inout PackedFields) -> Void
  ) throws(BitstreamError) {
    let start = offset
    var gathered = PackedFields(bitCount: byteCount * 8)
    parts(&gathered)
    if !Self.isReading, let problem = gathered.problem {
      throw rejection(in: "\(name) > \(problem.part)", at: start, problem.reason)
    }
    var word = gathered.word
    try visitFixed(Field(name), &word, byteCount: byteCount)
    var shown = gathered
    if Self.isReading {
      shown = PackedFields(reading: word, bitCount: byteCount * 8)
      parts(&shown)
      shown.checkReservedBits()
      if let problem = shown.problem {
        throw rejection(in: "\(name) > \(problem.part)", at: start, problem.reason)
      }
    }
    describe(.parts(shown.parts))
  }

  /// A byte string.
  package mutating func bytes(
    _ name: String, _ value: inout ArraySlice<UInt8>, _ extent: Extent
  ) throws(BitstreamError) {
    let start = offset
    switch extent {
    case .fixed(let count):
      if !Self.isReading {
        try require(value.count == count, name, "there are \(value.count) bytes instead of \(count)")
      }
      try visitBytes(Field(name), &value, count: count)
    case .prefixed(let limit):
      var count = UInt64(value.count)
      try visitVarint(Field("length of \(name)", unit: "bytes", isHidden: true), &count)
      guard count <= UInt64(limit) else {
        throw failure(.limitExceeded, in: name, at: start, "\(count) bytes are more than the \(limit) allowed")
      }
      try visitBytes(Field(name), &value, count: Int(count))
    case .rest(let limit):
      try visitBytes(Field(name), &value, count: nil)
      guard value.count <= limit else {
        throw failure(.limitExceeded, in: name, at: start, "\(value.count) bytes are more than the \(limit) allowed")
      }
    }
  }

  /// Well-formed UTF-8.
  package mutating func text(_ name: String, _ value: inout String, _ extent: Extent) throws(BitstreamError) {
    let start = offset
    var utf8 = ArraySlice(value.utf8)
    try bytes(name, &utf8, extent)
    if Self.isReading {
      guard let string = String(validating: utf8, as: UTF8.self) else {
        throw rejection(in: name, at: start, "the text is not well-formed UTF-8")
      }
      value = string
    }
    describe(.text(value))
  }

  /// A structure that is there only if `isPresent`, which an earlier field says.
  package mutating func optional<S: BitstreamStructure>(
    _ name: String, _ value: inout S?, isPresent: Bool, blank: @autoclosure () -> S
  ) throws(BitstreamError) {
    guard isPresent else {
      if !Self.isReading { try require(value == nil, name, "there is a value where none may be") }
      value = nil
      return
    }
    if !Self.isReading { try require(value != nil, name, "there is no value where one shall be") }
    var present = value ?? blank()
    try structure(name, &present)
    value = present
  }

  package mutating func structure<S: BitstreamStructure>(
    _ name: String, _ value: inout S, index: Int? = nil
  ) throws(BitstreamError) {
    try enter(name, index: index)
    try value.visitFields(&self)
    leave()
  }

  /// A varint count of at most `limit`, then that many structures of at least `minimumBytes` each. When reading, each
  /// starts as `blank`.
  package mutating func list<S: BitstreamStructure>(
    _ name: String, _ values: inout [S], limit: Int, minimumBytes: Int = 1, blank: S
  ) throws(BitstreamError) {
    let start = offset
    try enter(name, index: nil)
    var count = UInt64(values.count)
    try visitVarint(Field("count", isHidden: true), &count)
    guard count <= UInt64(limit) else {
      throw failure(.limitExceeded, in: "count", at: start, "\(count) items are more than the \(limit) allowed")
    }
    try expect(count, itemsOf: minimumBytes, in: "count")
    describe(.count(Int(count)))
    if Self.isReading {
      values = []
      values.reserveCapacity(Int(count))
      for index in 0..<Int(count) {
        var item = blank
        try structure("\(index)", &item, index: index)
        values.append(item)
      }
    } else {
      for index in values.indices {
        try structure("\(index)", &values[index], index: index)
      }
    }
    leave()
  }

  private func checked<T: FixedWidthInteger & UnsignedInteger>(
    _ wide: UInt64, in range: ClosedRange<T>, _ name: String, at start: Int
  ) throws(BitstreamError) -> T {
    guard let value = T(exactly: wide), range.contains(value) else {
      let expected = range.lowerBound == range.upperBound
        ? "\(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
      throw rejection(in: name, at: start, "\(wide) is found where \(expected) is allowed")
    }
    return value
  }
}
