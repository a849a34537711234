import Foundation
import MediaIO
import Testing

/// One after another, because `removeTemporaries` removes everybody's.
@Suite(.serialized) struct FileTests {
  /// A fresh directory for `body`, removed afterwards.
  static func inDirectory(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/nccodec-test-XXXXXX".utf8CString)
    let path = String(cString: try #require(mkdtemp(&template)))
    defer { try? FileManager.default.removeItem(atPath: path) }
    try body(path)
  }

  static func names(_ directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
  }

  static func mode(_ path: String) -> UInt32 {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
  }

  @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 300_000])
  func roundTrip(count: Int) throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    try Self.inDirectory { directory in
      try FileIO.write(bytes, to: directory + "/a")
      #expect(try FileIO.read(directory + "/a") == bytes)
      #expect(try Self.names(directory) == ["a"])
    }
  }

  @Test func modes() throws {
    try Self.inDirectory { directory in
      let mask = umask(0)
      umask(mask)
      try FileIO.write([1], to: directory + "/new")
      #expect(Self.mode(directory + "/new") == 0o666 & ~mask)
      chmod(directory + "/new", 0o640)
      try FileIO.write([2], to: directory + "/new", overwrite: true)
      #expect(Self.mode(directory + "/new") == 0o640)
    }
  }

  @Test func existingFilesAreKept() throws {
    try Self.inDirectory { directory in
      let path = directory + "/a"
      try FileIO.write([1], to: path)
      #expect(throws: MediaIOError(.exists)) { try FileIO.write([2], to: path) }
      #expect(try FileIO.read(path) == [1])
      try FileIO.write([3], to: path, overwrite: true)
      #expect(try FileIO.read(path) == [3])

      // One that appears after opening is kept as well.
      var file = try AtomicFile(directory + "/b")
      try file.write([4])
      try FileIO.write([5], to: directory + "/b")
      do {
        try file.commit()
        Issue.record("overwrote a file that appeared meanwhile")
      } catch { #expect(error as? MediaIOError == MediaIOError(.exists)) }
      #expect(try FileIO.read(directory + "/b") == [5])
      #expect(try Self.names(directory) == ["a", "b"])
    }
  }

  @Test func nothingIsLeftWithoutCommit() throws {
    try Self.inDirectory { directory in
      do {
        var file = try AtomicFile(directory + "/a")
        try file.write([1, 2, 3])
        #expect(try Self.names(directory).count == 1)
      }
      #expect(try Self.names(directory) == [])
    }
  }

  /// What a signal handler does.
  @Test func removingTemporaries() throws {
    try Self.inDirectory { directory in
      let first = try AtomicFile(directory + "/a")
      let second = try AtomicFile(directory + "/b")
      #expect(try Self.names(directory).count == 2)
      // Other tests are writing files, too.
      AtomicFile.removeTemporaries(beginning: directory + "/")
      #expect(try Self.names(directory) == [])
      do {
        try first.commit()
        Issue.record("committed a removed file")
      } catch { #expect(error as? MediaIOError == MediaIOError(.system)) }
      _ = consume second
    }
  }

  @Test func symbolicLinksAreFollowed() throws {
    try Self.inDirectory { directory in
      try FileIO.write([1], to: directory + "/real")
      symlink("real", directory + "/link")
      try FileIO.write([2], to: directory + "/link", overwrite: true)
      #expect(try FileIO.read(directory + "/real") == [2])
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: directory + "/link") == "real")
    }
  }

  @Test func systemErrorsSayWhy() throws {
    func message(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "none"
    }
    #expect(message { _ = try FileIO.read("/nowhere/a") } == "/nowhere/a: No such file or directory")
    #expect(message { _ = try FileIO.read("/tmp") } == "/tmp: is a directory")
    #expect(message { try FileIO.write([1], to: "/nowhere/a") } == "/nowhere/a: No such file or directory")
    #expect(message { try FileIO.write([1], to: "/tmp") } == "/tmp: is a directory")
    #expect(message { try FileIO.write([1], to: "/dev/full") } == "/dev/full: No space left on device")
    #expect(message { try FileIO.write([1], to: "/proc/nccodec") }.hasPrefix("/proc/nccodec: "))
    #expect(throws: Never.self) { try FileIO.write([1], to: "/dev/null") }
  }

  @Test func readLimit() throws {
    try Self.inDirectory { directory in
      try FileIO.write(.init(repeating: 1, count: 1000), to: directory + "/a")
      #expect(try FileIO.read(directory + "/a", limit: 1000).count == 1000)
      #expect(throws: MediaIOError(.tooLarge)) { try FileIO.read(directory + "/a", limit: 999) }
    }
    #expect(throws: MediaIOError(.tooLarge)) { try FileIO.read("/dev/zero", limit: 1 << 20) }
  }
}
