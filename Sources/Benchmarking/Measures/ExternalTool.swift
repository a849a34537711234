import FoundationEssentials
import Glibc
import MediaIO

/// Another program that measures pictures: found on the PATH, run on files in a folder that goes away afterwards.
package struct ExternalTool: Sendable {
  package let name: String
  /// Where it was found.
  package let path: String

  /// Nil where no folder of `searchPath` (as PATH has it) holds an executable of that name.
  package init?(_ name: String, searchPath: String) {
    for folder in searchPath.split(separator: ":") where folder.hasPrefix("/") {
      let path = "\(folder)/\(name)"
      var status = stat()
      guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(path, X_OK) == 0 else { continue }
      (self.name, self.path) = (name, path)
      return
    }
    return nil
  }

  /// The PATH of this process.
  package static var searchPath: String { getenv("PATH").map { String(cString: $0) } ?? "" }

  package struct Output {
    package let status: Int32
    /// The first 64 KB of each.
    package let output, errors: String

    /// The last line of its errors that says something, for messages.
    package var complaint: String {
      let lines = (output + "\n" + errors).split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }
      let line = lines.last.map(String.init) ?? "it said nothing"
      return line.count > 200 ? line.prefix(200) + "..." : line
    }
  }

  /// Runs it in `folder`, without standard input, in a process group of its own: Ctrl-C at the terminal is for us alone,
  /// and when time is up whatever it started ends with it.
  ///
  /// Throws `MeasureError`: `failed` where it cannot be started, ends by a signal or with an error, `timedOut` after
  /// `seconds`.
  package func run(_ arguments: [String], in folder: String, seconds: Double, mayFail: Bool = false) throws -> Output {
    // Into files, so that a program which talks a lot fills no pipe that nobody reads.
    let (output, errors) = ("\(folder)/output.txt", "\(folder)/errors.txt")
    let process = try start(arguments, in: folder, output: output, errors: errors)
    guard let status = Self.wait(for: process, seconds: seconds) else {
      throw MeasureError(.timedOut, "\(name): not done after \(Int(seconds.rounded(.up))) s, and ended.")
    }
    // As wait(2) has it: the signal in the low seven bits, the exit code above them.
    let result = Output(status: status >> 8 & 255, output: Self.text(output), errors: Self.text(errors))
    guard status & 127 == 0 else {
      throw MeasureError(.failed, "\(name): ended by signal \(status & 127): \(result.complaint).")
    }
    guard result.status == 0 || mayFail else {
      throw MeasureError(.failed, "\(name): exit code \(result.status): \(result.complaint).")
    }
    return result
  }

  private func start(_ arguments: [String], in folder: String, output: String, errors: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    // Numbers with points, messages in English.
    let environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C"]) { $1 }.map { "\($0)=\($1)" }
    // The shell changes the folder and becomes the program: some programs' options cannot hold any file name.
    let shell = "/bin/sh"
    let line = [shell, "-c", "cd \"$1\" && shift && exec \"$@\"", shell, folder, path] + arguments
    var words = line.map { strdup($0) } + [nil]
    var variables = environment.map { strdup($0) } + [nil]
    defer { for word in words + variables { free(word) } }
    var process: pid_t = 0
    let code = posix_spawn(&process, shell, &actions, &attributes, &words, &variables)
    guard code == 0 else {
      throw MeasureError(.failed, "\(name): \(path) cannot be started: \(String(cString: strerror(code))).")
    }
    return process
  }

  /// What wait(2) tells of the process; nil where it was ended after `seconds`, with its group.
  private static func wait(for process: pid_t, seconds: Double) -> Int32? {
    let clock = ContinuousClock()
    var status: Int32 = 0
    /// Whether it ended before `time`, without collecting it, as its number must stay its group's.
    func hasEnded(before time: ContinuousClock.Instant) -> Bool {
      var pause: UInt32 = 500  // microseconds
      while true {
        var info = siginfo_t()
        if waitid(P_PID, id_t(process), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_signo == SIGCHLD { return true }
        if clock.now >= time { return false }
        usleep(pause)
        pause = min(2 * pause, 10_000)
      }
    }
    let isInTime = hasEnded(before: clock.now + .seconds(seconds))
    if !isInTime {
      kill(-process, SIGTERM)
      _ = hasEnded(before: clock.now + .seconds(2))
    }
    // Also of a program that ended well nothing stays behind.
    kill(-process, SIGKILL)
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return isInTime ? status : nil
  }

  /// The start of a file, or nothing.
  private static func text(_ path: String) -> String {
    String(decoding: (try? FileIO.read(path, prefix: 1 << 16)) ?? [], as: UTF8.self)
  }

  /// Calls `body` with the path of a new folder that only this user can read, and removes it.
  package static func withFolder<R>(_ body: (String) throws -> R) throws -> R {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/nccodec-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw MeasureError(.failed, "\(parent): \(String(cString: strerror(errno))). Set TMPDIR to a folder with space.")
    }
    let folder = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
  }

  /// Writes a file for a program, into a folder of `withFolder`: not atomically, as nobody else looks there.
  package static func write(_ bytes: [UInt8], to path: String) throws {
    do { try Data(bytes).write(to: URL(filePath: path)) } catch {
      throw MeasureError(.failed, "\(path): cannot be written. Set TMPDIR to a folder with space.")
    }
  }

  /// The Debian package that it is from, with its version; its path where there is no telling.
  package var origin: String {
    guard let dpkg = ExternalTool("dpkg-query", searchPath: "/usr/bin"), path.hasPrefix("/usr/") else { return path }
    let found = try? Self.withFolder { folder -> String? in
      let owner = try dpkg.run(["--search", path], in: folder, seconds: 20).output
      guard let package = owner.split(separator: ":").first else { return nil }
      let version = try dpkg.run(
        ["--show", "--showformat", "${Package} ${Version}\n", String(package)], in: folder, seconds: 20).output
      return version.split(separator: "\n").first.map(String.init)
    }
    return (found ?? nil) ?? path
  }
}
