/// The payload of a `t` chunk: `key`, UTF-8 of 1...255 bytes behind a varint length; `value`, UTF-8 to the end of the
/// chunk, at most 2^26 bytes. It describes the whole file.
// bitstream-spec 4.4
package struct TextEntry: BitstreamStructure, Equatable, Sendable {
  package var key: String
  package var value: String

  package init(key: String = "", value: String = "") {
    self.key = key
    self.value = value
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.text("key", &key, .prefixed(limit: 255))
    try visitor.require(!key.isEmpty, "key", "the key is empty")
    try visitor.text("value", &value, .rest(limit: Metadatum.maximumBytes))
  }
}
