import Foundation
import Media
import MediaIO
import Testing

struct KVCacheTests {
  private static func fixture(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Fixtures/KV/\(name)").path
  }

  /// Without loss, a file comes back as it was where our writer orders it as its maker did, and its tensors do anyhow.
  @Test(arguments: ["stacked.safetensors", "huggingface.safetensors", "fused.npy", "stored.npz", "plain.ggsq", "transposed.ggsq"])
  func losslessThereAndBack(name: String) throws {
    let folder = try Folder()
    let original = try KVCacheReader.read(Self.fixture(name))
    let encoding = try Command.run("encode", "--lossless", Self.fixture(name), "c.ncb", in: folder)
    #expect(encoding.status == 0, "\(encoding.errors)")
    #expect(encoding.text.contains("bits per element, lossless"))
    let end = String(name.split(separator: ".").last!)
    let decoding = try Command.run("decode", "c.ncb", "back.\(end)", in: folder)
    #expect(decoding.status == 0, "\(decoding.errors)")
    #expect(folder.names == ["back.\(end)", "c.ncb"])
    let back = try KVCacheReader.read(folder.read("back.\(end)"))
    #expect(back.layers.count == original.layers.count && back.source == original.source)
    for (a, b) in zip(original.layers, back.layers) {
      #expect(a.keys.hasSameBits(as: b.keys) && (a.values == nil || a.values!.hasSameBits(as: b.values!)))
    }
  }

  @Test func partsAndOtherFormats() throws {
    let folder = try Folder()
    #expect(try Command.run("encode", "--quality", "70", "--chunk", "2", Self.fixture("stacked.safetensors"), "c.ncb", in: folder).status == 0)
    let outcome = try Command.run("decode", "--tokens", "1:4", "--layers", "1:2", "c.ncb", "part.npz", in: folder)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let part = try KVCacheReader.read(folder.read("part.npz"))
    #expect(part.layers.count == 1 && part.tokens == 3)
    let piped = try Command.run("decode", "--format", "safetensors", "c.ncb", "-", in: folder)
    #expect(try KVCacheReader.read(piped.output).tokens == 6)
    #expect(try Command.run("decode", "--tokens", "1:99", "c.ncb", "x.npz", in: folder).status == 1)
    #expect(folder.names == ["c.ncb", "part.npz"])
  }

  @Test func infoAndVerify() throws {
    let folder = try Folder()
    #expect(try Command.run("encode", Self.fixture("stacked.safetensors"), "c.ncb", in: folder).status == 0)
    let info = try Command.run("info", "c.ncb", in: folder).text
    for line in ["cache:       2 layers, tokens 0 to 6", "codec:       3 (kv), static, 1 parts", "scheme: static"] {
      #expect(info.contains(line), "\(line)")
    }
    let json = try JSONSerialization.jsonObject(with: Data(Command.run("info", "--json", "c.ncb", in: folder).output)) as? [String: Any]
    #expect((json?["cache"] as? [String: Any])?["tokens"] as? Int == 6)
    #expect(try Command.run("verify", "c.ncb", in: folder).text.contains("cache of 2 layers, 6 tokens decoded"))
  }

  @Test func pipesAndWrongOptions() throws {
    let folder = try Folder()
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: Self.fixture("stacked.safetensors"))))
    let encoded = try Command.run("encode", "-", "-", input: bytes)
    #expect(encoded.status == 0 && encoded.output.starts(with: [0x8E, 0x4E, 0x43, 0x42]))
    let decoded = try Command.run("decode", "-", "-", input: encoded.output)
    #expect(try KVCacheReader.read(decoded.output).tokens == 6)
    for wrong in [["--codec", "kv", "--effort", "10"], ["--codec", "kv", "--segment", "0"], ["--codec", "kv", "--psnr", "30"], ["--codec", "overfit", "--bits", "3"], ["--bits", "0"]] {
      let outcome = try Command.finish(Command.process(["encode"] + wrong + [Self.fixture("stacked.safetensors"), "c.ncb"], in: folder))
      #expect(outcome.status == 2, "\(wrong): \(outcome.errors)")
    }
    let picture = try Command.run("encode", "--bits", "3", Fixture.path("rgb8.png"), "c.ncb", in: folder)
    #expect(picture.status == 1 && picture.errors.contains("is no KV cache"))
    #expect(try Command.run("encode", Self.fixture("broken-version.ggsq"), "c.ncb", in: folder).status == 1)
    #expect(folder.names == [])
  }

  @Test(arguments: [("paper", "1"), ("released", "3")]) func cacheGen(variant: String, level: String) throws {
    let folder = try Folder()
    let encoding = try Command.run(
      "encode", "--codec", "cachegen", "--level", level, "--variant", variant, Self.fixture("plain.ggsq"), "c.ncb", in: folder)
    #expect(encoding.status == 0, "\(encoding.errors)")
    #expect(encoding.text.contains("bits per element, CacheGen (\(variant)), level \(level)"))
    #expect(try Command.run("info", "c.ncb", in: folder).text.contains("codec:       3 (kv), cachegen, 1 parts"))
    #expect(try Command.run("decode", "c.ncb", "back.ggsq", in: folder).status == 0)
    let original = try KVCacheReader.read(Self.fixture("plain.ggsq")), back = try KVCacheReader.read(folder.read("back.ggsq"))
    #expect(back.layers.count == original.layers.count && back.tokens == original.tokens && back.source == original.source)
  }

  @Test func cacheGenReportsAndRefuses() throws {
    let folder = try Folder()
    let input = Self.fixture("stacked.safetensors")
    let report = try Command.run("encode", "--json", "--codec", "cachegen", input, "c.ncb", in: folder)
    let json = try JSONSerialization.jsonObject(with: Data(report.output)) as? [String: Any]
    #expect(json?["codec"] as? String == "cachegen" && json?["level"] as? Int == 2 && json?["variant"] as? String == "paper")
    #expect(json?["lossless"] as? Bool == false)
    for wrong in [
      ["--level", "2"], ["--codec", "kv", "--variant", "paper"], ["--codec", "cachegen", "--level", "4"],
      ["--codec", "cachegen", "--variant", "other"], ["--codec", "cachegen", "--quality", "50"], ["--codec", "cachegen", "--bits", "3"],
      ["--codec", "cachegen", "--lossless"], ["--codec", "cachegen", "--effort", "5"],
    ] {
      let outcome = try Command.finish(Command.process(["encode"] + wrong + [input, "d.ncb"], in: folder))
      #expect(outcome.status == 2, "\(wrong): \(outcome.errors)")
    }
    #expect(folder.names == ["c.ncb"])
  }

  /// The same elements at every SIMD level: of symbols in 32 lanes, anchors, differences and escapes.
  @Test(arguments: ["cachegen-f16-paper2", "cachegen-f16-released1", "cachegen-bf16-paper3-chunk64"])
  func cacheGenIsTheSameAtEveryLevel(name: String) throws {
    let file = URL(fileURLWithPath: Self.fixture("")).deletingLastPathComponent().appendingPathComponent("KVStreams/\(name).ncb").path
    var crcs: Set<String> = []
    for level in ["scalar", "sse4", "avx2", "avx512"] {
      let process = Command.process(["verify", file])
      process.environment?["NCCODEC_SIMD"] = level
      let outcome = try Command.finish(process)
      #expect(outcome.status == 0, "\(outcome.errors)")
      crcs.insert(String(outcome.text.split(separator: " ").last ?? ""))
    }
    #expect(crcs.count == 1 && crcs.first?.isEmpty == false, "\(crcs)")
  }

  /// What flags say goes before what the file says, and what it lacks.
  @Test func flagsSayWhatFilesDoNot() throws {
    let folder = try Folder()
    let refused = try Command.run("encode", "--lossless", Self.fixture("bits.npz"), "c.ncb", in: folder)
    #expect(refused.status == 1 && refused.errors.contains("if it is bfloat16, say so"))
    #expect(try Command.run("encode", "--lossless", "--bf16", "--before-rope", Self.fixture("bits.npz"), "c.ncb", in: folder).status == 0)
    #expect(try Command.run("decode", "c.ncb", "back.safetensors", in: folder).status == 0)
    let back = try KVCacheReader.read(folder.read("back.safetensors"))
    #expect(!back.keysAreRotated && back.layers.allSatisfy { $0.keys.element == .bfloat16 && $0.values?.element == .bfloat16 })
  }

  @Test func cachesAreNoPictures() throws {
    let folder = try Folder()
    #expect(try Command.run("encode", Self.fixture("stacked.safetensors"), "c.ncb", in: folder).status == 0)
    for arguments in [["decode", "c.ncb", "back.png"], ["decode", "--png-level", "3", "c.ncb", "back.npz"]] {
      let outcome = try Command.finish(Command.process(arguments, in: folder))
      #expect(outcome.status == 1 && outcome.errors.contains("is a KV cache, which does not go to PNG"), "\(outcome.errors)")
    }
    #expect(folder.names == ["c.ncb"])
  }

  /// An aim that cannot be met is named beside what was reached.
  @Test func unreachableBits() throws {
    let folder = try Folder()
    let outcome = try Command.run("encode", "--bits", "0.001", Self.fixture("stacked.safetensors"), "c.ncb", in: folder)
    #expect(outcome.status == 0 && outcome.text.contains("quality 0 (the nearest reachable point to the 0.001 bits asked for)"))
  }

  /// Before any work, as for pictures.
  @Test func targetsThatExist() throws {
    let folder = try Folder()
    #expect(try Command.run("encode", Self.fixture("stacked.safetensors"), "c.ncb", in: folder).status == 0)
    try folder.write("there.npz", [1])
    let outcome = try Command.run("decode", "c.ncb", "there.npz", in: folder)
    #expect(outcome.status == 1 && outcome.errors.contains("--force"))
    #expect(try folder.read("there.npz") == [1])
    #expect(try Command.run("decode", "--force", "c.ncb", "there.npz", in: folder).status == 0)
    #expect(try KVCacheReader.read(folder.read("there.npz")).tokens == 6)
  }
}
