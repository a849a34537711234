import Foundation
import Media
import MediaIO
import Testing

struct KVProfileTests {
  private static func stream(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/KVStreams/\(name)").path
  }

  /// From a cache to a profile, and with it to a file and back.
  @Test func calibratedEncodedDecoded() throws {
    let folder = try Folder()
    func run(_ arguments: String..., status: Int32 = 0) throws -> String {
      let outcome = try Command.finish(Command.process(arguments, in: folder))
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      return outcome.text + outcome.errors
    }
    _ = try run("decode", "--profile", Self.stream("small.ncprofile"), Self.stream("profile-f16-q30.ncb"), "a.safetensors")
    let report = try run("kv", "calibrate", "--state", "16", "--out", "p.ncprofile", "a.safetensors")
    #expect(report.contains("from 1 caches") && report.contains("of made up"))
    _ = try run("encode", "--effort", "9", "--profile", "p.ncprofile", "--quality", "80", "a.safetensors", "c.ncb")
    #expect(try run("info", "c.ncb").contains("3 (kv), profile, 2 parts"))
    #expect(try run("verify", "--profile", "p.ncprofile", "c.ncb").contains("intact"))
    _ = try run("decode", "--profile", "p.ncprofile", "--tokens", "256:300", "c.ncb", "b.npz")
    #expect(try KVCacheReader.read(folder.read("b.npz")).tokens == 44)

    #expect(try run("decode", "c.ncb", "x.npz", status: 1).contains("Give it with --profile"))
    #expect(try run("decode", "--profile", Self.stream("small.ncprofile"), "c.ncb", "x.npz", status: 1).contains("is given"))
    #expect(try run("decode", "--profile", "a.safetensors", "c.ncb", "x.npz", status: 1).contains("no profile"))
    #expect(try run("encode", "--effort", "9", "a.safetensors", "x.ncb", status: 1).contains("needs a profile"))
    #expect(try run("encode", "--profile", "p.ncprofile", "a.safetensors", "x.ncb", status: 2).contains("--effort 9"))
    #expect(try run("kv", "calibrate", "--state", "17", "--out", "x", "a.safetensors", status: 2).contains("multiple of 16"))
    #expect(try run("kv", "calibrate", "--out", "x.ncprofile", "a.safetensors", status: 1).contains("too few"))
    #expect(Set(folder.names) == ["a.safetensors", "p.ncprofile", "c.ncb", "b.npz"])
  }

  /// At effort 5, tokens are added in a segment of their own.
  @Test func adaptiveFilesGrow() throws {
    let folder = try Folder()
    func run(_ arguments: String..., status: Int32 = 0) throws -> String {
      let outcome = try Command.finish(Command.process(arguments, in: folder))
      #expect(outcome.status == status, "\(arguments): \(outcome.errors)")
      return outcome.text + outcome.errors
    }
    _ = try run("decode", "--tokens", "0:120", Self.stream("adaptive-f16-q30.ncb"), "a.safetensors")
    _ = try run("decode", Self.stream("adaptive-f16-q30.ncb"), "b.safetensors")
    _ = try run("encode", "--effort", "5", "--quality", "60", "a.safetensors", "c.ncb")
    #expect(try run("encode", "--append", "b.safetensors", "c.ncb").contains("tokens 120 to 200 appended"))
    #expect(try run("encode", "--append", "--effort", "5", "b.safetensors", "c.ncb", status: 2).contains("--append"))
    #expect(try run("verify", "c.ncb").contains("4 layers, 200 tokens"))
    _ = try run("decode", "--tokens", "130:131", "c.ncb", "d.safetensors")
    #expect(try KVCacheReader.read(folder.read("d.safetensors")).tokens == 1)
  }
}
