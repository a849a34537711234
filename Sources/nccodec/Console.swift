import Glibc

/// What people read. Messages never mix with binary output: they leave standard output to it.
enum Console {
  enum Stream {
    case standardOutput
    case standardError

    var descriptor: Int32 { self == .standardOutput ? STDOUT_FILENO : STDERR_FILENO }
  }

  static let programName = "nccodec"

  /// Where the report of a command goes that writes `output`.
  static func reportStream(besideOutput output: String) -> Stream { output == "-" ? .standardError : .standardOutput }

  static func isTerminal(_ stream: Stream) -> Bool { isatty(stream.descriptor) == 1 }

  /// Writes a line, or lines; what cannot be written is lost, as there is nowhere left to say so.
  static func print(_ text: String, to stream: Stream) { write(text.hasSuffix("\n") ? text : text + "\n", to: stream) }

  static func write(_ text: String, to stream: Stream) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(stream.descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        return
      }
      rest = rest.dropFirst(count)
    }
  }

  /// One line on standard error, whatever the message holds.
  static func error(_ message: String) { print("\(programName): \(oneLine(message))", to: .standardError) }

  /// One line on standard error about something that is no failure.
  static func notice(_ message: String) { error("note: \(message)") }

  /// File names and texts from files may hold anything; control characters must not drive the terminal.
  static func oneLine(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0..<0x20, 0x7F..<0xA0: result += scalar == "\n" ? " " : "?"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// Throws `Failure` if bytes for `output` would go to a terminal.
  static func refuseTerminal(_ output: String, suffix: String) throws {
    guard output == "-", isTerminal(.standardOutput) else { return }
    throw Failure(
      "standard output is a terminal, which cannot show binary data. "
        + "Give a file name, or redirect: nccodec ... - > picture.\(suffix)")
  }

  /// How a file is called in messages.
  static func name(_ path: String, input: Bool) -> String {
    path == "-" ? (input ? "standard input" : "standard output") : path
  }
}
