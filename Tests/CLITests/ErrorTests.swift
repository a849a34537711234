import Foundation
import Testing

/// Every failure: exit code 1, one line that says what and where, nothing written.
struct ErrorTests {
  static let intact: [UInt8] = {
    do {
      let outcome = try Command.run("encode", Fixture.photo, "-")
      precondition(outcome.status == 0, outcome.errors)
      return outcome.output
    } catch { fatalError("\(error)") }
  }()

  private static func changed(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = intact
    change(&bytes)
    return bytes
  }

  private func expectFailure(
    _ arguments: [String], in folder: Folder, input: [UInt8] = [], saying words: [String],
    _ location: Testing.SourceLocation = #_sourceLocation
  ) throws {
    let before = folder.names
    let outcome = try Command.finish(Command.process(arguments, in: folder), input: input)
    #expect(outcome.status == 1 && !outcome.isKilled, sourceLocation: location)
    #expect(outcome.output.isEmpty, sourceLocation: location)
    #expect(outcome.errorLines.count == 1 && outcome.errors.hasPrefix("nccodec: "), sourceLocation: location)
    for word in words {
      #expect(outcome.errors.contains(word), "\(word) in: \(outcome.errors)", sourceLocation: location)
    }
    #expect(folder.names == before, sourceLocation: location)
  }

  static let damaged: [(name: String, bytes: [UInt8], words: [String])] = [
    ("empty", [], ["the file is empty"]),
    ("truncated", Array(intact.prefix(500)), ["cut short", "payload, byte 25", "Get the file again"]),
    ("cut before the end", Array(intact.dropLast(6)), ["cut short", "ends before its end chunk"]),
    ("flipped in the payload", changed { $0[1000] ^= 4 }, ["damaged", "payload", "checksum", "Get the file again"]),
    ("flipped in a header", changed { $0[15] ^= 1 }, ["damaged", "byte 10", "checksum"]),
    ("followed by more", intact + [0], ["after the end", "1 bytes follow"]),
    ("PNG", [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13], ["looks like a PNG picture"]),
    ("line endings", [0x8E, 0x4E, 0x43, 0x42, 0x0A, 0x1A, 0x0A] + intact.dropFirst(8), ["line endings", "as binary"]),
    ("re-encoded", [0xC2] + intact, ["re-encoded", "as binary"]),
    ("newer", NCBBytes.file(major: 2, [NCBBytes.track(), NCBBytes.payload, NCBBytes.end]), ["version 2.0", "newer"]),
    ("critical", NCBBytes.file([NCBBytes.track(), ("Q", [1]), NCBBytes.end]), ["chunk 'Q'", "newer version of nccodec"]),
    ("huge", NCBBytes.file([NCBBytes.track(width: 65535, height: 65535), NCBBytes.payload, NCBBytes.end]),
      ["65535 x 65535 pixels", "need the library"]),
    ("too wide", NCBBytes.file([NCBBytes.track(width: 70000), NCBBytes.payload, NCBBytes.end]), ["width", "70000"]),
    ("no pixels", NCBBytes.file([NCBBytes.track(height: 0), NCBBytes.payload, NCBBytes.end]), ["height"]),
    ("model", NCBBytes.file([NCBBytes.track(model: 99), NCBBytes.payload, NCBBytes.end]), ["model 99", "Use the version"]),
    ("codec", NCBBytes.file([NCBBytes.track(codec: 77), NCBBytes.payload, NCBBytes.end]), ["codec 77", "newer version"]),
    ("no payload", NCBBytes.file([NCBBytes.track(), NCBBytes.end]), ["track 0", "it has no payload"]),
    ("noise", NCBBytes.file([NCBBytes.track(), NCBBytes.payload, NCBBytes.end]), ["the picture's data is damaged"]),
  ]

  @Test(arguments: damaged.indices)
  func decodeRejects(index: Int) throws {
    let (_, bytes, words) = Self.damaged[index]
    let folder = try Folder()
    try folder.write("in.ncb", bytes)
    try expectFailure(["decode", "in.ncb", "out.png"], in: folder, saying: ["in.ncb: "] + words)
    try expectFailure(["verify", "in.ncb"], in: folder, saying: ["in.ncb: "] + words)
  }

  @Test(arguments: [
    ("broken-crc.png", "CRC error"), ("broken-truncated.png", "ends"), ("broken-huge.png", "65535"),
    ("broken-truncated.jpg", "ends"), ("broken-huge.jpg", "65535"), ("animated.webp", "animated"),
  ])
  func encodeRejects(name: String, word: String) throws {
    try expectFailure(["encode", Fixture.path(name), "out.ncb"], in: Folder(), saying: [name, word])
  }

  @Test func encodeRejectsWhatIsNoPicture() throws {
    let folder = try Folder()
    try folder.write("text", Array("hello, world\n".utf8))
    try folder.write("empty", [])
    try folder.write("done.ncb", Self.intact)
    try expectFailure(["encode", "text", "out.ncb"], in: folder, saying: ["text: ", "PNG, JPEG", "Convert it"])
    try expectFailure(["encode", "empty", "out.ncb"], in: folder, saying: ["empty: ", "no bytes"])
    try expectFailure(["encode", "done.ncb", "out.ncb"], in: folder, saying: ["an .ncb file already", "nccodec decode"])
  }

  @Test func namesThatLeadNowhere() throws {
    let folder = try Folder()
    try folder.write("in.ncb", Self.intact)
    let noFile = "No such file or directory"
    for command in ["decode", "encode"] {
      try expectFailure([command, "missing", "out.png"], in: folder, saying: ["missing: ", noFile, "Check the name"])
      try expectFailure([command, ".", "out.png"], in: folder, saying: [".: ", "is a directory"])
      try expectFailure([command, "in.ncb", "no/out.png"], in: folder, saying: ["no/out.png: ", noFile])
      try expectFailure([command, "in.ncb", "."], in: folder, saying: [".: ", "is a directory"])
    }
    try expectFailure(["info", "missing"], in: folder, saying: ["missing: ", noFile])
    try expectFailure(["verify", "missing"], in: folder, saying: ["missing: ", noFile])
    try expectFailure(["decode", "-", "out.png"], in: folder, saying: ["standard input: ", "empty"])
    try expectFailure(["decode", "in.ncb", "/dev/full"], in: folder, saying: ["/dev/full: ", "No space", "Free some"])
  }

  @Test(.enabled(if: getuid() != 0, "root may write anywhere"))
  func folderWithoutPermission() throws {
    let folder = try Folder()
    try FileManager.default.createDirectory(atPath: folder.path("locked"), withIntermediateDirectories: false)
    chmod(folder.path("locked"), 0o500)
    try expectFailure(
      ["encode", Fixture.photo, "locked/out.ncb"], in: folder, saying: ["locked/out.ncb: ", "permission"])
  }

  @Test func aFileNameCannotDriveTheTerminal() throws {
    try expectFailure(["info", "a\u{1B}[2J\nb"], in: Folder(), saying: ["a?[2J b: "])
  }

  @Test func existingFilesAreKeptWithoutForce() throws {
    let folder = try Folder()
    try folder.write("in.ncb", Self.intact)
    try folder.write("out", [1, 2, 3])
    for command in [["encode", Fixture.photo, "out"], ["decode", "in.ncb", "out"]] {
      try expectFailure(command, in: folder, saying: ["out: exists already", "--force"])
      #expect(try folder.read("out") == [1, 2, 3])
    }
    #expect(try Command.run("encode", "--force", Fixture.photo, "out", in: folder).status == 0)
    #expect(try folder.read("out") == Self.intact)
    // A failure leaves the old file in place, --force or not.
    try expectFailure(["decode", "--force", Fixture.photo, "out"], in: folder, saying: ["looks like a PNG"])
    #expect(try folder.read("out") == Self.intact)
  }
}
