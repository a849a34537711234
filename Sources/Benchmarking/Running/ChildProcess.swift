import Glibc

/// Runs another program to its end. By posix_spawn, as the whole of Foundation would make every start of nccodec slower.
package enum ChildProcess {
  package struct Outcome: Sendable {
    /// Nil where a signal ended it.
    package var code: Int32?
    package var signal: Int32?
    /// Standard output, and standard error where it was asked for.
    package var output: [UInt8]

    package var text: String { String(decoding: output, as: UTF8.self) }
  }

  /// `program` is a path, or a name that is looked for in PATH. Standard input is empty. Throws `BenchError` where it cannot
  /// be started.
  package static func run(_ program: String, _ arguments: [String], takesErrors: Bool = false) throws(BenchError) -> Outcome {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw failure(program, errno) }
    // A child that another thread starts in between keeps an end open; it ends some time, and so does our waiting.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
    if takesErrors {
      posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO)
    } else {
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    }
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var child = pid_t()
    let status = posix_spawnp(&child, program, &actions, nil, words, environ)
    close(ends[1])
    guard status == 0 else { throw failure(program, status) }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(ends[0], &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      if count <= 0 { break }
      output += buffer[..<count]
    }
    var result: Int32 = 0
    while waitpid(child, &result, 0) < 0, errno == EINTR {}
    let signal = result & 0x7F
    return Outcome(code: signal == 0 ? result >> 8 & 0xFF : nil, signal: signal == 0 ? nil : signal, output: output)
  }

  private static func failure(_ program: String, _ code: Int32) -> BenchError {
    BenchError("\(program) cannot be started: \(String(cString: strerror(code)))")
  }
}
