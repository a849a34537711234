import Foundation
import Glibc
import Testing

struct TerminalTests {
  /// Starts an encoding that waits for its input, the temporary file open.
  private func waiting(in folder: Folder, errors: FileHandle = .nullDevice) throws -> (Process, Pipe) {
    let process = Command.process(["encode", "-", "out.ncb"], in: folder)
    let input = Pipe()
    process.standardInput = input
    process.standardOutput = FileHandle.nullDevice
    process.standardError = errors
    try process.run()
    Command.limit(process)
    let end = Date(timeIntervalSinceNow: 10)
    while folder.names.isEmpty, Date() < end { usleep(2000) }
    return (process, input)
  }

  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func signalsLeaveNothingBehind(number: Int32) throws {
    let folder = try Folder()
    let (process, input) = try waiting(in: folder)
    #expect(folder.names.count == 1 && folder.names[0].hasSuffix(".tmp"))
    kill(process.processIdentifier, number)
    process.waitUntilExit()
    // A shell makes 128 + the number of it, 130 for Ctrl-C.
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == number)
    #expect(folder.names.isEmpty)
    try input.fileHandleForWriting.close()
  }

  @Test func progressAppearsOnATerminalAfterASecond() throws {
    let folder = try Folder()
    let terminal = try PseudoTerminal()
    let start = Date()
    let (process, input) = try waiting(in: folder, errors: terminal.handle)
    let shown = terminal.output(containing: "\u{1B}[K", within: 5)
    #expect(shown == "\rreading 0 %\u{1B}[K")
    #expect(Date().timeIntervalSince(start) >= 1)
    try input.fileHandleForWriting.write(contentsOf: Data(contentsOf: URL(fileURLWithPath: Fixture.photo)))
    try input.fileHandleForWriting.close()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0 && folder.names == ["out.ncb"])
    // The line is gone in the end.
    #expect(terminal.output(containing: "\r\u{1B}[K", within: 1).hasSuffix("\r\u{1B}[K"))
  }

  @Test func binaryDataDoesNotGoToATerminal() throws {
    for arguments in [["encode", Fixture.photo, "-"], ["decode", Fixture.photo, "-"]] {
      let terminal = try PseudoTerminal()
      let process = Command.process(arguments)
      let errors = Pipe()
      process.standardOutput = terminal.handle
      process.standardError = errors
      try process.run()
      Command.limit(process)
      process.waitUntilExit()
      let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      #expect(process.terminationStatus == 1 && text.hasPrefix("nccodec: standard output is a terminal"))
      #expect(terminal.output(containing: "x", within: 0.1).isEmpty)
    }
  }
}
