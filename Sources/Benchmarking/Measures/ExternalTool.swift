import Foundation
import MediaIO

/// Another program that measures pictures: found on the PATH, run on files in a folder that goes away afterwards.
struct ExternalTool: Sendable {
  let name: String
  /// Where it was found.
  let path: String

  /// Nil where no folder of `searchPath` (as PATH has it) holds an executable of that name.
  init?(_ name: String, searchPath: String) {
    for folder in searchPath.split(separator: ":") where folder.hasPrefix("/") {
      let path = "\(folder)/\(name)"
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue,
        FileManager.default.isExecutableFile(atPath: path)
      else { continue }
      (self.name, self.path) = (name, path)
      return
    }
    return nil
  }

  /// The PATH of this process.
  static var searchPath: String { ProcessInfo.processInfo.environment["PATH"] ?? "" }

  struct Output {
    let status: Int32
    /// The first 64 KB of each.
    let output, errors: String

    /// The last line of its errors that says something, for messages.
    var complaint: String {
      let lines = (errors + "\n" + output).split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      let line = lines.last { !$0.isEmpty } ?? "it said nothing"
      return line.count > 200 ? line.prefix(200) + "..." : line
    }
  }

  /// Runs it in `folder`, without standard input.
  ///
  /// Throws `MeasureError`: `failed` where it cannot be started, ends by a signal or with an error, `timedOut` after
  /// `seconds`.
  func run(_ arguments: [String], in folder: URL, seconds: Double, mayFail: Bool = false) throws -> Output {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.standardInput = FileHandle.nullDevice
    // Into files, so that a program which talks a lot fills no pipe that nobody reads.
    let (output, errors) = (folder.appending(path: "output.txt"), folder.appending(path: "errors.txt"))
    for file in [output, errors] { FileManager.default.createFile(atPath: file.path, contents: nil) }
    let handles = try [output, errors].map { try FileHandle(forWritingTo: $0) }
    defer { for handle in handles { try? handle.close() } }
    process.standardOutput = handles[0]
    process.standardError = handles[1]
    // Numbers with points, messages in English.
    process.environment = ProcessInfo.processInfo.environment.merging(["LC_ALL": "C"]) { $1 }

    let ended = DispatchSemaphore(value: 0)
    process.terminationHandler = { _ in ended.signal() }
    do { try process.run() } catch {
      throw MeasureError(.failed, "\(name): \(path) cannot be started: \(error.localizedDescription).")
    }
    if ended.wait(timeout: .now() + seconds) == .timedOut {
      process.terminate()
      if ended.wait(timeout: .now() + 2) == .timedOut {
        kill(process.processIdentifier, SIGKILL)
        ended.wait()
      }
      throw MeasureError(.timedOut, "\(name): not done after \(Int(seconds.rounded(.up))) s, and ended.")
    }
    let result = Output(status: process.terminationStatus, output: Self.text(output), errors: Self.text(errors))
    if process.terminationReason == .uncaughtSignal {
      throw MeasureError(.failed, "\(name): ended by signal \(result.status): \(result.complaint).")
    }
    guard result.status == 0 || mayFail else {
      throw MeasureError(.failed, "\(name): exit code \(result.status): \(result.complaint).")
    }
    return result
  }

  /// The start of a file, or nothing.
  private static func text(_ file: URL) -> String {
    String(decoding: (try? FileIO.read(file.path, prefix: 1 << 16)) ?? [], as: UTF8.self)
  }

  /// Calls `body` with a new folder that only this user can read, and removes it.
  static func withFolder<R>(_ body: (URL) throws -> R) throws -> R {
    let folder = FileManager.default.temporaryDirectory.appending(path: "nccodec-\(UUID().uuidString)")
    do {
      try FileManager.default.createDirectory(
        at: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    } catch {
      throw MeasureError(.failed, "\(folder.path): \(error.localizedDescription). Set TMPDIR to a folder with space.")
    }
    defer { try? FileManager.default.removeItem(at: folder) }
    return try body(folder)
  }

  /// The Debian package that it is from, with its version; its path where there is no telling.
  var origin: String {
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
