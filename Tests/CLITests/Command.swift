import Foundation
import Glibc
import MediaIO
import Synchronization
import Testing

/// Runs the `nccodec` that was built beside the tests.
struct Command {
  /// What is left of a finished run.
  struct Outcome {
    let status: Int32
    /// Whether a signal ended it; `status` is then the signal's number.
    let isKilled: Bool
    let output: [UInt8]
    let errors: String

    var text: String { String(decoding: output, as: UTF8.self) }
    /// Lines of standard error.
    var errorLines: [Substring] { errors.split(separator: "\n") }
  }

  /// Beside the test executable, wherever the build folder is.
  static let binary: URL = {
    let own = URL(fileURLWithPath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "")
    var folder = own.deletingLastPathComponent()
    // A bundle, where tests are one, lies in the build folder.
    while folder.path != "/" {
      let candidate = folder.appendingPathComponent("nccodec")
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isFolder), !isFolder.boolValue {
        return candidate
      }
      folder.deleteLastPathComponent()
    }
    fatalError("no nccodec beside \(own.path): build it first (swift build)")
  }()

  static func process(_ arguments: [String], in folder: Folder? = nil) -> Process {
    let process = Process()
    process.executableURL = binary
    process.arguments = arguments
    // Help is as wide as the terminal says.
    process.environment = ProcessInfo.processInfo.environment.filter { $0.key != "COLUMNS" }
    if let folder { process.currentDirectoryURL = folder.url }
    process.standardInput = FileHandle.nullDevice
    return process
  }

  /// Runs to the end.
  static func run(_ arguments: String..., in folder: Folder? = nil, input: [UInt8] = []) throws -> Outcome {
    try finish(process(arguments, in: folder), input: input)
  }

  /// Starts a process, feeds it and waits for its end.
  static func finish(_ process: Process, input: [UInt8] = []) throws -> Outcome {
    let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
    if !input.isEmpty { process.standardInput = stdin }
    process.standardOutput = stdout
    process.standardError = stderr
    try process.run()
    limit(process)
    let errors = Mutex(Data())
    let group = DispatchGroup()
    let errorHandle = stderr.fileHandleForReading
    DispatchQueue.global().async(group: group) {
      let data = errorHandle.readDataToEndOfFile()
      errors.withLock { $0 = data }
    }
    if !input.isEmpty {
      let inputHandle = stdin.fileHandleForWriting
      DispatchQueue.global().async(group: group) {
        try? inputHandle.write(contentsOf: Data(input))
        try? inputHandle.close()
      }
    }
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    group.wait()
    return Outcome(
      status: process.terminationStatus, isKilled: process.terminationReason == .uncaughtSignal,
      output: Array(output), errors: String(decoding: errors.withLock { $0 }, as: UTF8.self))
  }

  /// Kills a process that has not ended after two minutes, so that no test waits for ever.
  static func limit(_ process: Process) {
    let identifier = process.processIdentifier
    DispatchQueue.global().asyncAfter(deadline: .now() + 120) { if process.isRunning { kill(identifier, SIGKILL) } }
  }

  /// Runs it in a folder: it shall end with status 1 and one line of error that has these words, and leave the folder as it was.
  static func expectFailure(
    _ arguments: [String], in folder: Folder, input: [UInt8] = [], saying words: [String], _ location: Testing.SourceLocation = #_sourceLocation
  ) throws {
    let before = folder.names
    let outcome = try finish(process(arguments, in: folder), input: input)
    #expect(outcome.status == 1 && !outcome.isKilled && outcome.output.isEmpty, "\(arguments)", sourceLocation: location)
    #expect(outcome.errorLines.count == 1 && outcome.errors.hasPrefix("nccodec: "), "\(outcome.errors)", sourceLocation: location)
    for word in words { #expect(outcome.errors.contains(word), "\(word) in: \(outcome.errors)", sourceLocation: location) }
    #expect(folder.names == before, sourceLocation: location)
  }
}

/// A folder of its own for one test, gone with the value.
final class Folder: Sendable {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("nccodec-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  func read(_ name: String) throws -> [UInt8] { try FileIO.read(path(name)) }

  func write(_ name: String, _ bytes: [UInt8]) throws { try FileIO.write(bytes, to: path(name), overwrite: true) }

  /// Names of all that is in it, temporaries too, sorted.
  var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? []).sorted() }
}

enum Fixture {
  static let images = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/Fixtures/Images/"

  static func path(_ name: String) -> String { images + name }

  static func read(_ name: String) throws -> ReadImage { try ImageReader.read(FileIO.read(path(name))) }

  static let photo = path("photo.png")
}

/// A terminal whose other end the test holds.
final class PseudoTerminal {
  private let main: Int32
  let handle: FileHandle

  init() throws {
    // posix_openpt and its like are not in Glibc's module; these are what they do on Linux.
    main = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
    var (isLocked, number): (Int32, Int32) = (0, 0)
    let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)  // TIOCSPTLCK, TIOCGPTN
    guard main >= 0, ioctl(main, setLock, &isLocked) == 0, ioctl(main, getNumber, &number) == 0 else {
      throw POSIXError(.init(rawValue: errno) ?? .EIO)
    }
    let side = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY | O_CLOEXEC)
    guard side >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    handle = FileHandle(fileDescriptor: side, closeOnDealloc: true)
  }

  deinit { close(main) }

  /// What has been written to the terminal within `seconds`, stopping early once it holds `text`.
  func output(containing text: String, within seconds: Double) -> String {
    var bytes: [UInt8] = []
    let end = Date(timeIntervalSinceNow: seconds)
    while Date() < end, !String(decoding: bytes, as: UTF8.self).contains(text) {
      var descriptor = pollfd(fd: main, events: Int16(POLLIN), revents: 0)
      guard poll(&descriptor, 1, 50) > 0 else { continue }
      var buffer = [UInt8](repeating: 0, count: 4096)
      let count = Glibc.read(main, &buffer, buffer.count)
      if count <= 0 { break }
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
