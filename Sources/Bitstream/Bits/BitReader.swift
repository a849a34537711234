/// Takes numbers out of bytes, most significant bit first. The inverse is `BitWriter`.
///
/// A read that fails leaves the cursor where it was.
// bitstream-spec 1.4
package struct BitReader: Sendable {
  private let bytes: ArraySlice<UInt8>
  /// What the bits belong to, for errors.
  private let element: String
  /// Bits read so far: 0...8 * bytes.count.
  package private(set) var position = 0

  package init(_ bytes: ArraySlice<UInt8>, element: String = "bits") {
    self.bytes = bytes
    self.element = element
  }

  package init(_ bytes: [UInt8], element: String = "bits") { self.init(bytes[...], element: element) }

  /// Bits that are left.
  package var remaining: Int { bytes.count * 8 - position }

  /// The next `count` bits (0...64). Throws `truncated` if fewer are left.
  package mutating func read(count: Int) throws(BitstreamError) -> UInt64 {
    precondition((0...64).contains(count), "a bit count is 0...64")
    guard count <= remaining else {
      throw failure(.truncated, "\(count) bits are needed and \(remaining) are left")
    }
    var value: UInt64 = 0
    var wanted = count
    var cursor = position
    while wanted > 0 {
      let available = 8 - cursor & 7
      let taken = min(available, wanted)
      let byte = UInt64(bytes[bytes.startIndex + cursor >> 3])
      let part = byte >> UInt64(available - taken) & ((1 << UInt64(taken)) - 1)
      value = value << UInt64(taken) | part
      cursor += taken
      wanted -= taken
    }
    position = cursor
    return value
  }

  package mutating func readFlag() throws(BitstreamError) -> Bool { try read(count: 1) == 1 }

  /// Skips to the next byte border. Throws `malformed` if the skipped bits are not zero.
  package mutating func align() throws(BitstreamError) {
    let start = position
    guard try read(count: (8 - position & 7) & 7) == 0 else {
      position = start
      throw failure(.malformed, "the bits that fill up the last byte are not zero")
    }
  }

  /// Checks that nothing but the zero bits that fill the last byte is left.
  package mutating func finish() throws(BitstreamError) {
    let start = position
    try align()
    guard remaining == 0 else {
      let left = remaining / 8
      position = start
      throw failure(.malformed, "\(left) unexpected bytes are left")
    }
  }

  /// Zero bits before the next one bit, without moving; nil if there are more than `limit` or the data ends first.
  func leadingZeros(limit: Int) -> Int? {
    var cursor = position
    while cursor < bytes.count * 8, cursor - position <= limit {
      let byte = bytes[bytes.startIndex + cursor >> 3] << UInt8(cursor & 7)
      if byte != 0 {
        let zeros = cursor - position + byte.leadingZeroBitCount
        return zeros <= limit ? zeros : nil
      }
      cursor = (cursor | 7) + 1
    }
    return nil
  }

  func failure(_ code: BitstreamError.Code, _ reason: String) -> BitstreamError {
    BitstreamError(code, at: position / 8, in: element, "\(reason) (bit \(position & 7) of the byte)")
  }

  mutating func rewind(to start: Int) { position = start }
}
