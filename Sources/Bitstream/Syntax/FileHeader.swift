/// `magic` (8 bytes), `major` (1 byte), `minor` (1 byte).
// bitstream-spec 2.1
package struct FileHeader: BitstreamStructure, Equatable, Sendable {
  package static let byteCount = 10
  package static let current = FileHeader(major: 1, minor: 0)

  private var magic = Magic.bytes[...]
  package private(set) var major: UInt8
  /// Files of a greater minor version differ by optional chunks only, so that they are read like those of this one.
  package private(set) var minor: UInt8

  package init(major: UInt8, minor: UInt8) {
    self.major = major
    self.minor = minor
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.bytes("magic", &magic, .fixed(8))
    try visitor.unsigned("major version", &major)
    try visitor.unsigned("minor version", &minor)
  }

  /// The header at the start of a file, given at least its first 16 bytes or all that there are. Throws `badMagic`,
  /// `truncated` or `unsupportedMajor`.
  package static func read(_ start: ArraySlice<UInt8>) throws(BitstreamError) -> FileHeader {
    try Magic.check(start)
    var reader = FieldReader(start, named: "file header")
    let header = try reader.read(current)
    guard header.major == current.major else {
      let age = header.major > current.major ? "newer" : "older"
      throw BitstreamError(
        .unsupportedMajor, at: 8, in: "file header > major version",
        "the file is of version \(header.major).\(header.minor), which is \(age) than version \(current.major), "
          + "the one that is supported")
    }
    return header
  }
}
