import Glibc
import Media

/// The bytes of a cache's file: mapped where they lie in a regular file, read where they come through a pipe.
///
/// A file that another process shortens while it is mapped ends this one (SIGBUS), as with every mapped file.
enum KVBytes {
  /// Throws `MediaIOError`: `system`, or `tooLarge` where a pipe brings more than `limit` bytes.
  static func open(_ path: String, limit: Int) throws(MediaIOError) -> KVStorage {
    let name = path == "-" ? "standard input" : path
    let descriptor = path == "-" ? STDIN_FILENO : Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(name) }
    defer { if path != "-" { close(descriptor) } }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(name) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw MediaIOError(.system, at: name, "is a directory") }
    // Redirected input may have been read in part already.
    let isWhole = path != "-" || lseek(descriptor, 0, SEEK_CUR) == 0
    if status.st_mode & S_IFMT == S_IFREG, isWhole {
      let count = Int(status.st_size)
      // Empty files cannot be mapped; /proc's files say that they are empty.
      if count > 0 {
        guard let start = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), start != MAP_FAILED else {
          throw .system(name)
        }
        let mapping = Mapping(UnsafeMutableRawBufferPointer(start: start, count: count))
        return KVStorage(UnsafeRawBufferPointer(mapping.bytes), owner: mapping)
      }
    }
    return try read(descriptor, name: name, limit: limit)
  }

  private static func read(_ descriptor: Int32, name: String, limit: Int) throws(MediaIOError) -> KVStorage {
    var room = 1 << 16
    var count = 0
    guard var start = malloc(room) else { throw MediaIOError(.outOfMemory, at: name, "no memory to read it") }
    func failed(_ error: MediaIOError) -> MediaIOError {
      free(start)
      return error
    }
    while true {
      if count == room {
        guard let grown = realloc(start, room * 2) else {
          throw failed(MediaIOError(.outOfMemory, at: name, "no memory after \(count) bytes"))
        }
        start = grown
        room *= 2
      }
      let got = Glibc.read(descriptor, start + count, room - count)
      if got < 0 {
        if errno == EINTR { continue }
        throw failed(.system(name))
      }
      if got == 0 { break }
      count += got
      guard count <= limit else { throw failed(MediaIOError(.tooLarge, at: name, "more than \(limit) bytes")) }
    }
    let heap = Heap(UnsafeMutableRawBufferPointer(start: start, count: count))
    return KVStorage(UnsafeRawBufferPointer(heap.bytes), owner: heap)
  }

  private final class Mapping {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }
    deinit { munmap(bytes.baseAddress, bytes.count) }
  }

  private final class Heap {
    let bytes: UnsafeMutableRawBufferPointer
    init(_ bytes: UnsafeMutableRawBufferPointer) { self.bytes = bytes }
    deinit { free(bytes.baseAddress) }
  }
}

/// Takes a cache's bytes in order, in memory or on their way to a file, so that none is held whole.
struct KVByteSink: ~Copyable {
  /// What is not yet in the file; everything, without one.
  private(set) var buffer: [UInt8] = []
  private var file: AtomicFile?
  /// Bytes taken so far.
  private(set) var count = 0
  private var isCheckSumOnly = false
  private var checkSum: UInt32 = 0

  init() {}

  /// Keeps no bytes, only their CRC-32.
  init(checkSumOnly: Bool) { isCheckSumOnly = checkSumOnly }

  init(_ file: consuming AtomicFile) {
    self.file = consume file
    buffer.reserveCapacity(1 << 20)
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(MediaIOError) {
    // Small pieces are gathered; a large one fills the buffer once per round.
    var start = 0
    while start < bytes.count {
      let end = min(start + (1 << 20), bytes.count)
      buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
      count += end - start
      start = end
      if buffer.count >= 1 << 20 { try flush() }
    }
  }

  mutating func write(_ bytes: [UInt8]) throws(MediaIOError) {
    var failure: MediaIOError?
    bytes.withUnsafeBytes { do throws(MediaIOError) { try write($0) } catch { failure = error } }
    if let failure { throw failure }
  }

  /// Little-endian.
  mutating func write(_ value: some FixedWidthInteger) throws(MediaIOError) {
    buffer.append(contentsOf: littleEndian(value))
    count += value.bitWidth / 8
  }

  private mutating func flush() throws(MediaIOError) {
    if isCheckSumOnly {
      checkSum = buffer.withUnsafeBytes { CRC32.of($0, after: checkSum) }
    } else if file != nil {
      try file!.write(buffer)  // checked in the line above
    } else {
      return
    }
    buffer.removeAll(keepingCapacity: true)
  }

  /// For `checkSumOnly`.
  consuming func finishedCheckSum() throws(MediaIOError) -> UInt32 {
    try flush()
    return checkSum
  }

  /// Gives the file its name; without it nothing remains.
  consuming func commit() throws(MediaIOError) {
    try flush()
    if let file = file.take() { try file.commit() }
  }
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

extension UnsafeRawBufferPointer {
  /// The little-endian integer at a position that the caller has checked.
  func integer<T: FixedWidthInteger>(at position: Int, as type: T.Type) -> T {
    T(littleEndian: loadUnaligned(fromByteOffset: position, as: T.self))
  }
}

/// The bytes of an array of this shape; nil when a size is negative or the product overflows.
func arrayBytes(_ shape: [Int], elementBytes: Int) -> Int? {
  var product = elementBytes
  for size in shape {
    let (next, overflows) = product.multipliedReportingOverflow(by: size)
    guard size >= 0, !overflows else { return nil }
    product = next
  }
  return product
}
