/// Why bytes could not be read or values could not be written: a code, where it happened and why.
///
/// Two errors are equal when their codes are equal; place and wording are for people.
package struct BitstreamError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Code: Hashable, Sendable {
    /// The first eight bytes are not those of an `.ncb` file; the damage says what probably happened to them.
    case badMagic(MagicDamage)
    /// The data stops before it is complete.
    case truncated
    /// A chunk's CRC-32 does not match its bytes.
    case badChecksum
    /// The file is of a major version that this reader does not know.
    case unsupportedMajor
    /// A chunk that must be understood is of a type that this reader does not know.
    case unknownCriticalChunk
    /// The bytes are intact but break a rule of the specification.
    case malformed
    /// A known chunk stands where the order of chunks forbids it.
    case misplacedChunk
    /// Something that may exist once exists twice.
    case duplicate
    /// Something that the file shall have is not there.
    case missing
    /// Bytes follow the end chunk.
    case trailingData
    /// A length, count or dimension is larger than the limits that the caller set.
    case limitExceeded
    /// A value given by the caller cannot be written.
    case invalidValue
    /// The operating system could not read or write.
    case inputOutput
  }

  package let code: Code
  /// Byte offset from the start of the data that was read or written; nil where there is none.
  package let offset: Int?
  /// Chunk and field, outermost first, such as `track header > time base > numerator`.
  package let element: String
  /// What was found and what was expected, without a full stop.
  package let reason: String

  package init(_ code: Code, at offset: Int?, in element: String, _ reason: String) {
    self.code = code
    self.offset = offset
    self.element = element
    self.reason = reason
  }

  package static func == (left: Self, right: Self) -> Bool { left.code == right.code }

  /// What was wrong, where, and what to do about it.
  package var description: String {
    var place = element
    if let offset { place += place.isEmpty ? "byte \(offset)" : ", byte \(offset)" }
    let head = place.isEmpty ? summary : "\(summary) (\(place))"
    return advice.isEmpty ? "\(head): \(reason)." : "\(head): \(reason). \(advice)"
  }

  private var summary: String {
    switch code {
    case .badMagic: "not a readable .ncb file"
    case .truncated: "the data is cut short"
    case .badChecksum: "the data is damaged"
    case .unsupportedMajor: "the file is of an unsupported version"
    case .unknownCriticalChunk: "the file needs a feature that is unknown here"
    case .malformed: "the data breaks the format's rules"
    case .misplacedChunk: "a chunk is in the wrong place"
    case .duplicate: "something is there twice"
    case .missing: "something is missing"
    case .trailingData: "there is data after the end"
    case .limitExceeded: "a limit is exceeded"
    case .invalidValue: "a value cannot be written"
    case .inputOutput: "reading or writing failed"
    }
  }

  private var advice: String {
    switch code {
    case .badMagic(.notNCB): "Check that this is the right file."
    case .badMagic: "Get the file again with a transfer that treats it as binary."
    case .truncated, .badChecksum, .trailingData: "Get the file again from where it came from."
    case .unsupportedMajor, .unknownCriticalChunk: "Use a newer version of nccodec."
    case .limitExceeded: "Raise the limit if you trust this file."
    case .malformed, .misplacedChunk, .duplicate, .missing:
      "The program that wrote it is at fault or newer than this one."
    case .invalidValue, .inputOutput: ""
    }
  }
}
