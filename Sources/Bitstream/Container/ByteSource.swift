#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes that can be read from any place, such as a file that is not loaded.
package protocol ByteSource: Sendable {
  /// Bytes of the whole source; constant.
  var byteCount: Int { get }
  /// The bytes of `range`, which lies within `0..<byteCount`. Throws `inputOutput`, or `truncated` if the source has
  /// become shorter.
  func read(_ range: Range<Int>) throws(BitstreamError) -> ArraySlice<UInt8>
}

/// Bytes in memory; what is read from it is not copied.
package struct MemorySource: ByteSource {
  private let bytes: ArraySlice<UInt8>

  package init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }
  package init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

  package var byteCount: Int { bytes.count }

  package func read(_ range: Range<Int>) -> ArraySlice<UInt8> {
    bytes[bytes.startIndex + range.lowerBound..<bytes.startIndex + range.upperBound]
  }
}

/// A regular file, read with `pread`, so that one source serves several tasks.
package final class FileSource: ByteSource {
  private let descriptor: CInt
  package let byteCount: Int
  private let path: String

  /// Opens the file at `path`. Throws `inputOutput` if that fails or if it is not a regular file.
  package init(path: String) throws(BitstreamError) {
    self.path = path
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.failure("it cannot be opened", path, at: nil) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw BitstreamError(.inputOutput, at: nil, in: path, "it is not a regular file")
    }
    self.descriptor = descriptor
    byteCount = Int(status.st_size)
  }

  deinit { close(descriptor) }

  package func read(_ range: Range<Int>) throws(BitstreamError) -> ArraySlice<UInt8> {
    precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "reads lie within the source")
    var filled = 0
    var problem: CInt = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      while filled < range.count {
        let target = UnsafeMutableRawBufferPointer(buffer)
        let got = pread(
          descriptor, target.baseAddress! + filled, range.count - filled, off_t(range.lowerBound + filled))
        if got < 0, errno == EINTR { continue }
        if got < 0 { problem = errno }
        if got <= 0 { break }
        filled += got
      }
      count = filled
    }
    if problem != 0 {
      errno = problem
      throw Self.failure("it cannot be read", path, at: range.lowerBound + filled)
    }
    guard filled == range.count else {
      throw BitstreamError(
        .truncated, at: range.lowerBound + filled, in: path, "the file became shorter while being read")
    }
    return bytes[...]
  }

  private static func failure(_ what: String, _ path: String, at offset: Int?) -> BitstreamError {
    BitstreamError(.inputOutput, at: offset, in: path, "\(what): \(String(cString: strerror(errno)))")
  }
}
