import Foundation
import Media
import MediaIO
import Testing

/// Levels, appending and plans.
struct KVLevelTests {
  private static let stacked = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Fixtures/KV/stacked.safetensors").path

  private static func hasSameBits(_ a: KVCache, _ b: KVCache) -> Bool {
    a.layers.count == b.layers.count && zip(a.layers, b.layers).allSatisfy { a, b in
      guard let v = a.values, let w = b.values else { return false }
      return a.keys.hasSameBits(as: b.keys) && v.hasSameBits(as: w)
    }
  }

  private static func object(_ text: [UInt8]) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any])
  }

  @Test func levelsThereAndBack() throws {
    let folder = try Folder()
    let encoding = try Command.run("encode", "--levels", "20,90,55", "--chunk", "2", Self.stacked, "c.ncb", in: folder)
    #expect(encoding.status == 0 && encoding.text.contains("qualities 90, 55, 20"), "\(encoding.errors)")
    func decoded(_ arguments: String...) throws -> KVCache {
      let outcome = try Command.finish(Command.process(["decode", "--force"] + arguments + ["c.ncb", "out.safetensors"], in: folder))
      #expect(outcome.status == 0, "\(outcome.errors)")
      return try KVCacheReader.read(folder.read("out.safetensors"))
    }
    for (level, quality) in ["90", "55", "20"].enumerated() {
      #expect(try Command.run("encode", "--force", "--quality", quality, "--chunk", "2", Self.stacked, "one.ncb", in: folder).status == 0)
      #expect(try Command.run("decode", "--force", "one.ncb", "one.safetensors", in: folder).status == 0)
      let one = try KVCacheReader.read(folder.read("one.safetensors"))
      #expect(Self.hasSameBits(try decoded("--level", "\(level)"), one))
      #expect(Self.hasSameBits(try decoded("--choose", "\(level),\(level),\(level)"), one))
      if level == 0 { #expect(Self.hasSameBits(try decoded(), one)) }
    }
    let info = try Command.run("info", "c.ncb", in: folder).text
    for line in ["codec:       3 (kv), static, 3 parts", "  level 0:   quality 90, ", "  level 2:   quality 20, "] {
      #expect(info.contains(line), "\(line)")
    }
    let cache = try #require(try Self.object(Command.run("info", "--json", "c.ncb", in: folder).output)["cache"] as? [String: Any])
    #expect((cache["levels"] as? [[String: Any]])?.map { $0["quality"] as? Int } == [90, 55, 20])
    let words = try Command.run("verify", "c.ncb", in: folder).text.split(separator: " ")
    #expect(words.suffix(5).prefix(2) == ["of", "samples"] && Set(words.suffix(3)).count == 3)
    // Damage in the worst level alone shows too.
    var bytes = try folder.read("c.ncb")
    bytes[bytes.count / 2] ^= 1
    try folder.write("bad.ncb", bytes)
    #expect(try Command.run("verify", "bad.ncb", in: folder).status == 1)
    for wrong in [["--choose", "0,1"], ["--choose", "0,1,3"], ["--level", "3"]] {
      let outcome = try Command.finish(Command.process(["decode"] + wrong + ["c.ncb", "no.safetensors"], in: folder))
      #expect(outcome.status == 1 && outcome.errors.contains("level"), "\(wrong)")
    }
    #expect(!folder.names.contains("no.safetensors"))
  }

  @Test func appendingThereAndBack() throws {
    let folder = try Folder()
    for (range, name) in [("0:3", "first"), ("3:6", "rest"), ("4:6", "late")] {
      #expect(try Command.run("encode", "--lossless", "--force", Self.stacked, "all.ncb", in: folder).status == 0)
      #expect(try Command.run("decode", "--tokens", range, "all.ncb", "\(name).safetensors", in: folder).status == 0)
    }
    for more in [Self.stacked, "rest.safetensors"] {
      #expect(try Command.run("encode", "--force", "--lossless", "first.safetensors", "c.ncb", in: folder).status == 0)
      let outcome = try Command.run("encode", "--append", more, "c.ncb", in: folder)
      #expect(outcome.status == 0 && outcome.text.contains("tokens 3 to 6 appended"), "\(outcome.errors)")
      #expect(try Command.run("decode", "--force", "c.ncb", "back.safetensors", in: folder).status == 0)
      #expect(Self.hasSameBits(try KVCacheReader.read(folder.read("back.safetensors")), try KVCacheReader.read(Self.stacked)))
    }
    // Nothing is touched by what fails.
    let before = try folder.read("c.ncb")
    let names = folder.names
    for (more, reason) in [(Self.stacked, "nothing after the file's end at 6"), (Fixture.photo, "is no KV cache")] {
      let outcome = try Command.run("encode", "--append", more, "c.ncb", in: folder)
      #expect(outcome.status == 1 && outcome.errorLines.count == 1 && outcome.errors.contains(reason), "\(outcome.errors)")
    }
    #expect(try Command.run("encode", "--append", "--quality", "20", Self.stacked, "c.ncb", in: folder).errors.contains("is lossless"))
    #expect(try folder.read("c.ncb") == before)
    #expect(try Command.run("encode", "--force", "--quality", "20", "first.safetensors", "q.ncb", in: folder).status == 0)
    let gap = try Command.run("encode", "--append", "late.safetensors", "q.ncb", in: folder)
    #expect(gap.status == 1 && gap.errors.contains("begins at token 4, after the file's end at 3"))
    let quality = try Command.run("encode", "--append", "--quality", "30", Self.stacked, "q.ncb", in: folder)
    #expect(quality.status == 1 && quality.errors.contains("is of quality 20"))
    let report = try Self.object(Command.run("encode", "--append", "--json", Self.stacked, "q.ncb", in: folder).output)
    #expect(report["quality"] as? Int == 20 && report["firstPosition"] as? Int == 3 && report["positions"] as? Int == 3)
    #expect(try Command.run("encode", "--append", Self.stacked, "none.ncb", in: folder).status == 1)
    #expect(folder.names == (names + ["q.ncb"]).sorted())
  }

  @Test func plans() throws {
    let folder = try Folder()
    #expect(try Command.run("encode", "--levels", "20,90", "--chunk", "2", Self.stacked, "c.ncb", in: folder).status == 0)
    let fast = try Command.run("kv", "plan", "c.ncb", "--bandwidth", "1Gbps", "--deadline", "1s", in: folder)
    #expect(fast.status == 0 && fast.errors.isEmpty)
    let lines = fast.text.split(separator: "\n")
    #expect(lines.count == 6)
    #expect(lines[0].split(separator: " ") == ["part", "tokens", "bytes", "level", "quality", "there", "after"])
    #expect(lines[1].split(separator: " ").prefix(2) == ["0", "0..2"] && lines[1].split(separator: " ")[3...4] == ["0", "90"])
    #expect(lines[4].hasPrefix("ahead: ") && lines[4].hasSuffix("mean quality 90.0, even quality 90.0"))
    #expect(lines[5].hasPrefix("cachegen for comparison: "))
    let late = try Command.run("kv", "plan", "c.ncb", "--bandwidth", "1kbps", "--deadline", "1ms", in: folder)
    #expect(late.status == 3 && late.errorLines.count == 1 && late.errors.contains("cannot be met") && late.text.contains("too late"))
    let json = try Self.object(
      Command.run(
        "kv", "plan", "c.ncb", "--bandwidth", "1kB/s", "--deadline", "2min", "--recompute-rate", "1", "--rule", "cachegen", "--json", in: folder).output)
    #expect(json["met"] as? Bool == true && json["rule"] as? String == "cachegen" && json["bytesPerSecond"] as? Double == 1000)
    #expect(json["deadline"] as? Double == 120 && (json["levels"] as? [Int])?.count == 3 && (json["parts"] as? [Any])?.count == 3)
    let text = try Self.object(
      Command.run("kv", "plan", "c.ncb", "--bandwidth", "1 bps", "--deadline", "900 s", "--recompute-rate", "1e9", "--json", in: folder).output)
    #expect((text["computedTokens"] as? Int ?? 0) > 0)
    // What the plan says is what decode takes.
    let choice = (json["levels"] as? [Int] ?? []).map(String.init).joined(separator: ",")
    #expect(try Command.run("decode", "--choose", choice, "c.ncb", "out.safetensors", in: folder).status == 0)
    #expect(try Command.run("kv", "plan", Fixture.photo, "--bandwidth", "1Gbps", "--deadline", "1s").status == 1)
  }

  @Test(arguments: [
    ["encode", "--levels", "20,20", "a", "b"], ["encode", "--levels", "20,101", "a", "b"], ["encode", "--levels", "", "a", "b"],
    ["encode", "--levels", "20,", "a", "b"], ["encode", "--levels", "20", "--lossless", "a", "b"],
    ["encode", "--levels", "20", "--quality", "3", "a", "b"], ["encode", "--append", "--levels", "3", "a", "b"],
    ["encode", "--append", "--chunk", "3", "a", "b"], ["encode", "--append", "a", "-"],
    ["encode", "--append", "--codec", "overfit", "a", "b"], ["encode", "--levels", "99999999999999999999", "a", "b"],
    ["decode", "--level", "-1", "a", "b"], ["decode", "--choose", "1,x", "a", "b"], ["decode", "--level", "1", "--choose", "1", "a", "b"],
    ["kv", "plan", "a", "--bandwidth", "1.5", "--deadline", "1s"], ["kv", "plan", "a", "--bandwidth", "0Gbps", "--deadline", "1s"],
    ["kv", "plan", "a", "--bandwidth", "-1Gbps", "--deadline", "1s"], ["kv", "plan", "a", "--bandwidth", "1Gbps", "--deadline", "1h"],
    ["kv", "plan", "a", "--bandwidth", "1Gbps", "--deadline", "ms"], ["kv", "plan", "a", "--bandwidth", "1Gbps"],
    ["kv", "plan", "a", "--bandwidth", "1Gbps", "--deadline", "1s", "--recompute-rate", "0"],
    ["kv", "plan", "a", "--bandwidth", "1Gbps", "--deadline", "1s", "--rule", "x"],
  ]) func whatMakesNoSenseIsUsage(arguments: [String]) throws {
    let outcome = try Command.finish(Command.process(arguments))
    #expect(outcome.status == 2 && outcome.errorLines.count == 1, "\(arguments): \(outcome.errors)")
  }
}
