import Glibc
import Synchronization

/// A file that appears whole or not at all.
///
/// Bytes go to a temporary file in the target's directory; `commit()` makes them durable and renames. Without
/// `commit()`, by an error or a signal, nothing of it remains and the target is as it was. A new file gets mode 0666 less
/// the umask; one that is replaced keeps its mode. A symbolic link's target is replaced, not the link. The path "-" is
/// standard output; devices and pipes are written directly.
package struct AtomicFile: ~Copyable {
  private enum Target {
    /// Standard output, a device or a pipe.
    case direct
    /// `slot` is where signal handlers find the temporary's name; `final` is absolute or relative, links resolved.
    case temporary(slot: Int, path: String, final: String)
  }

  private let name: String
  private let descriptor: Int32
  private let target: Target
  private let overwrite: Bool
  private var isCommitted = false

  /// Opens the temporary, so that a missing directory, missing permission or existing target is known before any work.
  ///
  /// Throws `MediaIOError`: `exists` when the target exists and `overwrite` is false, `system` otherwise.
  package init(_ path: String, overwrite: Bool = false) throws(MediaIOError) {
    let opened = try AtomicFile.open(path, overwrite: overwrite)
    name = path == "-" ? "standard output" : path
    descriptor = opened.descriptor
    target = opened.target
    self.overwrite = overwrite
  }

  private static func open(_ path: String, overwrite: Bool) throws(MediaIOError) -> (
    descriptor: Int32, target: Target
  ) {
    if path == "-" { return (STDOUT_FILENO, .direct) }
    var status = stat()
    let exists = stat(path, &status) == 0
    let kind = status.st_mode & S_IFMT
    if exists, kind == S_IFDIR { throw MediaIOError(.system, at: path, "is a directory") }
    if exists, kind != S_IFREG {
      let descriptor = Glibc.open(path, O_WRONLY | O_CLOEXEC)
      if descriptor < 0 { throw .system(path) }
      return (descriptor, .direct)
    }
    if exists, !overwrite { throw MediaIOError(.exists, at: path, "exists already and is not overwritten") }

    var final = path
    if exists, let resolved = realpath(path, nil) {
      final = String(cString: resolved)
      free(resolved)
    }
    let temporary = try openTemporary(beside: final, name: path)
    if exists { fchmod(temporary.descriptor, status.st_mode & 0o7777) }
    return (temporary.descriptor, .temporary(slot: temporary.slot, path: temporary.path, final: final))
  }

  package mutating func write(_ bytes: ArraySlice<UInt8>) throws(MediaIOError) {
    try FileIO.writeAll(bytes, to: descriptor, name: name)
  }

  package mutating func write(_ bytes: [UInt8]) throws(MediaIOError) { try write(bytes[...]) }

  /// Whether bytes can go to any place of the file: not where it is a pipe or a device.
  package var takesPlaces: Bool {
    if case .temporary = target { true } else { false }
  }

  /// Writes all of `bytes` from byte `offset` on, of a file that `takesPlaces`; what lies between is 0. Leaves where `write(_:)`
  /// goes on as it is.
  package mutating func write(_ bytes: [UInt8], at offset: Int) throws(MediaIOError) {
    var done = 0
    while done < bytes.count {
      let wrote = bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress! + done, $0.count - done, off_t(offset + done)) }
      if wrote < 0 {
        if errno == EINTR { continue }
        throw .system(name)
      }
      done += wrote
    }
  }

  /// Makes the file durable and gives it its name. Throws `MediaIOError`; then the target is as it was.
  package consuming func commit() throws(MediaIOError) {
    guard case .temporary(_, let path, let final) = target else { return }
    guard fsync(descriptor) == 0 else { throw .system(name) }
    if overwrite {
      guard rename(path, final) == 0 else { throw .system(name) }
    } else {
      // link, unlike rename, refuses to replace what may have appeared since `init`.
      if link(path, final) == 0 {
        unlink(path)
      } else if errno == EEXIST {
        throw MediaIOError(.exists, at: name, "exists already and is not overwritten")
      } else {
        // No hard links on this file system: claim the name, then replace the empty claim.
        let claim = Glibc.open(final, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard claim >= 0 else { throw .system(name) }
        close(claim)
        guard rename(path, final) == 0 else {
          let code = errno
          unlink(final)
          throw .system(name, code)
        }
      }
    }
    isCommitted = true
    // The name lives in the directory; failing to flush that is not worth failing for.
    let directory = Glibc.open(AtomicFile.directory(of: final), O_RDONLY | O_CLOEXEC)
    if directory >= 0 {
      fsync(directory)
      close(directory)
    }
  }

  deinit {
    guard case .temporary(let slot, let path, _) = target else {
      if descriptor != STDOUT_FILENO { close(descriptor) }
      return
    }
    close(descriptor)
    if !isCommitted { unlink(path) }
    TemporaryNames.remove(slot)
  }

  /// Unlinks every temporary that is open now, or those whose paths begin so. Safe to call from a signal handler.
  package static func removeTemporaries(beginning prefix: UnsafePointer<CChar>? = nil) { TemporaryNames.unlinkAll(prefix) }

  /// Makes SIGINT, SIGTERM and SIGHUP remove the temporaries before they end the process, for programs that do not
  /// handle them otherwise. A signal that is ignored stays so, as under nohup; one that is blocked is let through, as
  /// children of threads that block signals inherit that.
  package static func removeTemporariesOnSignals() {
    TemporaryNames.prepare()
    var through = sigset_t()
    sigemptyset(&through)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      var before = sigaction()
      sigaction(number, nil, &before)
      if unsafeBitCast(before.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) {
        continue
      }
      signal(number) { number in
        AtomicFile.removeTemporaries()
        signal(number, SIG_DFL)
        raise(number)
      }
      sigaddset(&through, number)
    }
    pthread_sigmask(SIG_UNBLOCK, &through, nil)
  }

  private static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func openTemporary(beside path: String, name: String) throws(MediaIOError) -> (
    descriptor: Int32, slot: Int, path: String
  ) {
    for _ in 0..<100 {
      let tag = String(UInt64.random(in: .min ... .max), radix: 36)
      let temporary = "\(directory(of: path))/.nccodec-\(tag).tmp"
      // Registered before it exists: a signal between the two would leave it behind otherwise.
      let slot = TemporaryNames.add(temporary)
      let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (descriptor, slot, temporary) }
      let code = errno
      TemporaryNames.remove(slot)
      if code != EEXIST { throw .system(name, code) }
    }
    throw .system(name, EEXIST)
  }
}

/// The names of open temporaries, where a signal handler can reach them: a fixed table of C strings, no locks.
private enum TemporaryNames {
  // Names beyond this many at once are not seen by signal handlers; slot -1 stands for them.
  static let capacity = 16
  static let room = Int(PATH_MAX)

  private static let isFree: UInt8 = 0
  private static let isChanging: UInt8 = 1
  private static let isNamed: UInt8 = 2

  private struct Table {
    let states: UnsafeMutablePointer<Atomic<UInt8>>
    /// `capacity` strings of `room` bytes; one may be read while its state is `isNamed`.
    let names: UnsafeMutablePointer<CChar>
  }

  private nonisolated(unsafe) static let table: Table = {
    let states = UnsafeMutablePointer<Atomic<UInt8>>.allocate(capacity: capacity)
    for i in 0..<capacity { (states + i).initialize(to: Atomic(isFree)) }
    let names = UnsafeMutablePointer<CChar>.allocate(capacity: capacity * room)
    names.initialize(repeating: 0, count: capacity * room)
    return Table(states: states, names: names)
  }()

  /// Makes the table, which a signal handler must not be the first to do.
  static func prepare() { _ = table }

  static func add(_ path: String) -> Int {
    guard path.utf8.count < room else { return -1 }
    for slot in 0..<capacity
    where table.states[slot].compareExchange(
      expected: isFree, desired: isChanging, ordering: .sequentiallyConsistent
    ).exchanged {
      strcpy(table.names + slot * room, path)
      table.states[slot].store(isNamed, ordering: .sequentiallyConsistent)
      return slot
    }
    return -1
  }

  static func remove(_ slot: Int) {
    if slot >= 0 { table.states[slot].store(isFree, ordering: .sequentiallyConsistent) }
  }

  static func unlinkAll(_ prefix: UnsafePointer<CChar>?) {
    for slot in 0..<capacity where table.states[slot].load(ordering: .sequentiallyConsistent) == isNamed {
      let name = table.names + slot * room
      if prefix.map({ strncmp(name, $0, strlen($0)) == 0 }) ?? true { unlink(name) }
    }
  }
}
