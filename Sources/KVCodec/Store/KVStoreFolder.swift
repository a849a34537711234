import Coding
import Glibc

/// The files of a store. Those of one name have one content, so that all there is to guard is that they are whole:
///
///     store.lock                  shared by who adds or gets, exclusive to who collects
///     KEY/root                    a root's description
///     KEY/KEY-PARENT.ncb          its chunks
///     KEY/.chunk-*.tmp            what is being written, or was when a process ended
struct KVStoreFolder: Sendable {
  static let lockName = "store.lock"
  private static let temporaryPrefix = ".chunk-"
  private static let temporarySuffix = ".tmp"

  let path: String

  static func isTemporary(_ name: String) -> Bool { name.hasPrefix(temporaryPrefix) && name.hasSuffix(temporarySuffix) }

  func path(_ names: String...) -> String { ([path] + names).joined(separator: "/") }

  /// A lock that lasts as long as the value. flock belongs to the open file, so it keeps tasks apart as it does processes.
  final class Lock: Sendable {
    private let descriptor: Int32
    fileprivate init(_ descriptor: Int32) { self.descriptor = descriptor }
    deinit { close(descriptor) }
  }

  /// Waits for the lock. `creating`: makes the folder and the lock where they are not there yet.
  ///
  /// Throws `CodecError` (inputOutput), also where the folder is no store.
  func lock(exclusively: Bool, creating: Bool = false) throws(CodecError) -> Lock {
    if creating, mkdir(path, 0o777) != 0, errno != EEXIST { throw .system(path) }
    let file = path(Self.lockName)
    let descriptor = open(file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (creating ? O_CREAT : 0), 0o666)
    guard descriptor >= 0 else {
      if errno == ENOENT || errno == ENOTDIR {
        throw CodecError(.inputOutput, "\(path): is no KV store. Check the name; adding a cache makes one.")
      }
      throw .system(file)
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw CodecError(.inputOutput, "\(file): is no regular file, so this is no KV store.")
    }
    while flock(descriptor, exclusively ? LOCK_EX : LOCK_SH) != 0 {
      if errno == EINTR { continue }
      let error = CodecError.system(file)
      close(descriptor)
      throw error
    }
    return Lock(descriptor)
  }

  /// What is in a folder, sorted. Throws `CodecError` (inputOutput).
  static func names(in folder: String) throws(CodecError) -> [String] {
    guard let stream = opendir(folder) else { throw .system(folder) }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  struct Status {
    let bytes: Int
    /// Nanoseconds since 1970: when a chunk was last added or got, as its time of modification keeps it.
    let lastUse: Int64
  }

  /// Nil for what is not there or no regular file; links are not followed.
  static func status(of file: String) -> Status? {
    var status = stat()
    guard lstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
    let (seconds, _) = Int64(status.st_mtim.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
    return Status(bytes: Int(status.st_size), lastUse: seconds &+ Int64(status.st_mtim.tv_nsec))
  }

  /// Whether anything has that name.
  static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Nanoseconds since 1970.
  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }

  /// Marks as used now. A store that may only be read stays as it is.
  static func touch(_ file: String) { utimensat(AT_FDCWD, file, nil, AT_SYMLINK_NOFOLLOW) }

  /// Throws `CodecError`: inputOutput, or limitExceeded beyond `limit` bytes. Nil where there is no regular file.
  static func read(_ file: String, limit: Int) throws(CodecError) -> [UInt8]? {
    guard status(of: file) != nil else { return nil }
    let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw .system(file) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let got = Glibc.read(descriptor, &part, part.count)
      if got < 0, errno == EINTR { continue }
      guard got >= 0 else { throw .system(file) }
      if got == 0 { return bytes }
      bytes += part[..<got]
      guard bytes.count <= limit else { throw CodecError(.limitExceeded, "\(file) has more than \(limit) bytes") }
    }
  }

  /// Writes a file of a root's folder, whole or not at all: durable before it has its name. Returns whether it did: not where
  /// another has written it meanwhile and `replacing` is false.
  ///
  /// Throws `CodecError` (inputOutput); then the folder is as it was.
  static func write(_ bytes: [UInt8], to name: String, in folder: String, replacing: Bool) throws(CodecError) -> Bool {
    let final = "\(folder)/\(name)"
    let temporary = "\(folder)/\(temporaryPrefix)\(String(UInt64.random(in: .min ... .max), radix: 36))\(temporarySuffix)"
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw .system(folder) }
    var isOpen = true
    defer { unlink(temporary) }  // gone already where it was renamed
    defer { if isOpen { close(descriptor) } }
    var done = 0
    while done < bytes.count {
      let wrote = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
      if wrote < 0, errno == EINTR { continue }
      guard wrote >= 0 else { throw .system(final) }
      done += wrote
    }
    guard fsync(descriptor) == 0 else { throw .system(final) }
    isOpen = false
    guard close(descriptor) == 0 else { throw .system(final) }
    if !replacing {
      // link, unlike rename, refuses to replace.
      if link(temporary, final) == 0 { return true }
      if errno == EEXIST { return false }
      // No hard links on this file system: what is replaced then has the same content.
    }
    guard rename(temporary, final) == 0 else { throw .system(final) }
    return true
  }

  /// Makes names in a folder durable, as far as the file system does that.
  static func synchronise(_ folder: String) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }
}

extension CodecError {
  /// The operating system's last error.
  static func system(_ place: String) -> CodecError {
    CodecError(.inputOutput, "\(place): \(String(cString: strerror(errno)))")
  }
}
