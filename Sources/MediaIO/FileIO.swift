import Glibc

/// Whole files in and out. The path "-" is standard input or output.
package enum FileIO {
  /// Reads a file, or standard input for "-"; `start` are the bytes that were read from a pipe before.
  ///
  /// Throws `MediaIOError`: `system` with the operating system's reason, `tooLarge` beyond `limit` bytes.
  package static func read(_ path: String, after start: [UInt8] = [], limit: Int = 1 << 31) throws(MediaIOError) -> [UInt8] {
    let name = path == "-" ? "standard input" : path
    let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(name) }
    defer { if path != "-" { close(descriptor) } }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(name) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw MediaIOError(.system, at: name, "is a directory") }

    // A regular file's size is only a hint: it may grow, and pipes have none.
    let hint = status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : 0
    guard hint <= limit else { throw MediaIOError(.tooLarge, at: name, "\(hint) bytes, of which \(limit) are allowed") }
    var bytes = start + [UInt8](repeating: 0, count: max(hint + 1, 1 << 16))
    var count = start.count
    while true {
      if count == bytes.count { bytes.append(contentsOf: repeatElement(0, count: bytes.count)) }
      let got = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + count, $0.count - count) }
      if got < 0 {
        if errno == EINTR { continue }
        throw .system(name)
      }
      if got == 0 { break }
      count += got
      guard count <= limit else { throw MediaIOError(.tooLarge, at: name, "more than \(limit) bytes") }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
  }

  /// The first bytes of a regular file, `count` or all that there are; of anything else none. Of standard input ("-") they are
  /// taken, whatever it is.
  ///
  /// Throws `MediaIOError`.
  package static func read(_ path: String, prefix count: Int) throws(MediaIOError) -> [UInt8] {
    if path == "-" { return try read(STDIN_FILENO, "standard input", upTo: count) }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .system(path) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(path) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw MediaIOError(.system, at: path, "is a directory") }
    // What a pipe has given is gone, so nothing is taken from one.
    guard status.st_mode & S_IFMT == S_IFREG else { return [] }
    return try read(descriptor, path, upTo: count)
  }

  /// The next bytes, fewer than `count` only at the end.
  private static func read(_ descriptor: Int32, _ name: String, upTo count: Int) throws(MediaIOError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var got = 0
    while got < count {
      let n = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + got, count - got) }
      if n < 0 {
        if errno == EINTR { continue }
        throw .system(name)
      }
      if n == 0 { break }
      got += n
    }
    return Array(bytes.prefix(got))
  }

  /// What standard input has, at most `count` bytes; none at its end only. Throws `MediaIOError`.
  package static func readSome(_ count: Int) throws(MediaIOError) -> [UInt8] {
    var (problem, got) = (Int32(0), 0)
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { memory, filled in
      repeat { got = Glibc.read(STDIN_FILENO, memory.baseAddress, count) } while got < 0 && errno == EINTR
      problem = errno
      filled = max(0, got)
    }
    if got < 0 { throw .system("standard input", problem) }
    return bytes
  }

  /// Writes a file atomically (`AtomicFile`), or to standard output for "-".
  package static func write(_ bytes: [UInt8], to path: String, overwrite: Bool = false) throws(MediaIOError) {
    var file = try AtomicFile(path, overwrite: overwrite)
    try file.write(bytes)
    try file.commit()
  }

  /// Writes all of `bytes`, however many calls that takes.
  static func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, name: String) throws(MediaIOError) {
    var done = 0
    while done < bytes.count {
      let wrote = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
      if wrote < 0 {
        if errno == EINTR { continue }
        throw .system(name)
      }
      done += wrote
    }
  }
}

extension MediaIOError {
  /// The operating system's last error.
  static func system(_ location: String, _ code: Int32 = errno) -> MediaIOError {
    MediaIOError(code == EEXIST ? .exists : .system, at: location, String(cString: strerror(code)))
  }
}
