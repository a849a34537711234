import CZlib

/// An array of bytes as MNIST has them: idx, gzipped or not.
///
/// Two zero bytes, the type (8: unsigned bytes, the only one read), the number of dimensions, each dimension in 32 bits
/// from the highest byte, then the elements, the last dimension running fastest.
package struct IDXArray: Sendable {
  /// `[images, height, width]` or `[labels]`; every dimension is 1 or more.
  package let shape: [Int]
  /// `count` is the product of `shape`.
  package let elements: [UInt8]

  /// `location` is the file's name, `maxBytes` how many the array may have.
  ///
  /// Throws `MediaIOError`: `empty`, `unknownFormat`, `unsupported` (other types), `truncated`, `damaged`, `tooLarge`,
  /// `outOfMemory`.
  package init(reading bytes: [UInt8], at location: String, maxBytes: Int = 1 << 28) throws(MediaIOError) {
    guard !bytes.isEmpty else { throw MediaIOError(.empty, at: location, "no bytes") }
    // Of dimensions there are 255 at most.
    let limit = maxBytes.addingReportingOverflow(4 + 4 * 255)
    let data =
      bytes.starts(with: [0x1F, 0x8B])
      ? try GZIP.inflated(bytes, at: location, maxBytes: limit.overflow ? .max : limit.partialValue) : bytes
    guard data.count >= 4, data[0] == 0, data[1] == 0, data[3] >= 1 else {
      throw MediaIOError(.unknownFormat, at: location, "not an idx file")
    }
    guard data[2] == 8 else {
      throw MediaIOError(.unsupported, at: location, "elements of type \(data[2]), where 8 (unsigned bytes) is read")
    }
    let start = 4 + 4 * Int(data[3])
    guard data.count >= start else { throw MediaIOError(.truncated, at: location, "the file ends in its header") }
    var shape: [Int] = []
    var count = 1
    for i in 0..<Int(data[3]) {
      let dimension = data[(4 + 4 * i)..<(8 + 4 * i)].reduce(0) { $0 << 8 | Int($1) }
      guard dimension >= 1 else { throw MediaIOError(.damaged, at: location, "dimension \(i) is 0") }
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard !overflow, product <= maxBytes else {
        throw MediaIOError(.tooLarge, at: location, "more than \(maxBytes) elements")
      }
      shape.append(dimension)
      count = product
    }
    guard data.count - start >= count else {
      throw MediaIOError(.truncated, at: location, "\(data.count - start) bytes of \(count) elements")
    }
    guard data.count - start == count else {
      throw MediaIOError(.damaged, at: location, "\(data.count - start - count) bytes too many")
    }
    self.shape = shape
    elements = Array(data[start...])
  }
}

/// One gzip member (RFC 1952).
enum GZIP {
  /// Inflates, and checks the checksum. Takes memory in proportion to what has come out, never to what a header says.
  ///
  /// Throws `MediaIOError`: `truncated`, `damaged`, `tooLarge` beyond `maxBytes`, `outOfMemory`.
  static func inflated(_ bytes: [UInt8], at location: String, maxBytes: Int) throws(MediaIOError) -> [UInt8] {
    var stream = z_stream()
    // 16 more than the largest window: a gzip header is wanted.
    guard inflateInit2_(&stream, 16 + MAX_WBITS, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw MediaIOError(.outOfMemory, at: location, "no memory to inflate it")
    }
    defer { inflateEnd(&stream) }
    guard bytes.count <= UInt32.max else { throw MediaIOError(.tooLarge, at: location, "\(bytes.count) bytes deflated") }
    var out: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    var status = Z_OK
    var left = bytes.count
    while status == Z_OK {
      let room = piece.count
      let given = bytes.withUnsafeBufferPointer { input in
        piece.withUnsafeMutableBufferPointer { output in
          // zlib does not write through next_in, whose type lacks a const.
          stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress.map { $0 + (bytes.count - left) })
          stream.avail_in = UInt32(left)
          stream.next_out = output.baseAddress
          stream.avail_out = UInt32(room)
          status = inflate(&stream, Z_NO_FLUSH)
          left = Int(stream.avail_in)
          return room - Int(stream.avail_out)
        }
      }
      guard given <= maxBytes - out.count else {
        throw MediaIOError(.tooLarge, at: location, "more than \(maxBytes) bytes inflated")
      }
      out += piece[..<given]
    }
    switch status {
    case Z_STREAM_END where left == 0: return out
    case Z_STREAM_END: throw MediaIOError(.damaged, at: location, "\(left) bytes after the end of the gzip member")
    case Z_BUF_ERROR: throw MediaIOError(.truncated, at: location, "the gzip member ends early")
    case Z_MEM_ERROR: throw MediaIOError(.outOfMemory, at: location, "no memory to inflate it")
    default: throw MediaIOError(.damaged, at: location, "no gzip member that zlib can inflate")
    }
  }
}
