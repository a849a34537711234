import Foundation
import Media
import MediaIO
import Testing

struct KVStoreCommandTests {
  /// Two layers of random halves that follow from the tokens before them, written as safetensors.
  static func cache(_ tokens: [Int64], model: String = "m") throws -> [UInt8] {
    func made(_ seed: UInt64) -> KVTensor {
      let tensor = KVTensor(heads: 2, tokens: tokens.count, channels: 32, element: .float16)
      for head in 0..<2 {
        var state = seed &+ UInt64(head)
        for (t, token) in tokens.enumerated() {
          state = (state ^ UInt64(bitPattern: token)) &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          tensor.withMutableRow(head: head, token: t) { row in
            for c in 0..<32 {
              let bits: UInt64 = (state >> UInt64(c)) & 0x3FF
              let value: Float = Float(bits) / 256 - 2
              row.storeBytes(of: Float16(value).bitPattern, toByteOffset: 2 * c, as: UInt16.self)
            }
          }
        }
      }
      return tensor
    }
    let layers: [KVLayer] = [0, 10].map { (seed: UInt64) -> KVLayer in KVLayer(keys: made(seed), values: made(seed + 5)) }
    return try KVCacheWriter.bytes(
      KVCache(
        layers: layers, model: model, others: [KVNamedTensor(name: "tokens", shape: [tokens.count], integers: tokens)]))
  }

  static func text(_ count: Int, _ own: Int64, after common: Int) -> [Int64] {
    (0..<count).map { $0 < common ? Int64($0 * 7 % 50) : own + Int64($0) }
  }

  private func json(_ outcome: Command.Outcome) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
  }

  private func hasPrefix(_ bytes: [UInt8], of whole: [UInt8], _ count: Int) throws -> Bool {
    let (part, whole) = (try KVCacheReader.read(bytes), try KVCacheReader.read(whole))
    return part.tokens == count && part.tokenIDs == whole.tokenIDs.map { Array($0.prefix(count)) }
      && zip(part.layers, whole.layers).allSatisfy { a, b in
        a.keys.hasSameBits(as: b.keys.tokens(in: 0..<count)) && a.values!.hasSameBits(as: b.values!.tokens(in: 0..<count))
      }
  }

  @Test func addGetListAndCollect() throws {
    let folder = try Folder()
    let (a, b) = (try Self.cache(Self.text(100, 1000, after: 70)), try Self.cache(Self.text(90, 2000, after: 70)))
    try folder.write("a.safetensors", a)
    try folder.write("b.safetensors", b)
    let add = ["kv", "store", "add", "--lossless", "--chunk", "32", "--json", "st"]
    let first = try json(Command.finish(Command.process(add + ["a.safetensors"], in: folder)))
    #expect(first["newChunks"] as? Int == 4 && first["sharedChunks"] as? Int == 0)
    let second = try json(Command.finish(Command.process(add + ["b.safetensors"], in: folder)))
    #expect(second["newChunks"] as? Int == 1 && second["sharedChunks"] as? Int == 2)
    #expect(try Command.run("kv", "store", "add", "--lossless", "--chunk", "32", "st", "b.safetensors", in: folder).text
      .hasPrefix("b.safetensors: 90 tokens, 0 new chunks of 0 bytes, 3 shared of "))

    // A cache's own tokens, text of numbers, an array; more than is stored, and less.
    #expect(try Command.run("kv", "store", "get", "--tokens-file", "a.safetensors", "st", "back.safetensors", in: folder).text
      == "back.safetensors: 100 of 100 tokens found, in 4 chunks, lossless\n")
    #expect(try hasPrefix(folder.read("back.safetensors"), of: a, 100))
    let ids = Self.text(75, 2000, after: 70) + [5]
    try folder.write("ids.txt", Array(("[" + ids.map(String.init).joined(separator: ", ") + "]\n").utf8))
    let piped = try Command.run("kv", "store", "get", "--tokens-file", "ids.txt", "--format", "safetensors", "st", "-", in: folder)
    #expect(piped.status == 0 && piped.errors.contains("75 of 76 tokens found"))
    #expect(try hasPrefix(piped.output, of: b, 75))
    let numbers = ids.flatMap { number in withUnsafeBytes(of: Int32(number).littleEndian) { Array($0) } }
    let header = Array("{'descr': '<i4', 'fortran_order': False, 'shape': (76,), }".utf8)
    try folder.write(
      "ids.npy", [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count), 0] + header + numbers)
    #expect(try json(Command.run("kv", "store", "get", "--tokens-file", "ids.npy", "--json", "st", "p.npz", in: folder))["found"] as? Int == 75)
    #expect(try hasPrefix(folder.read("p.npz"), of: b, 75))
    try folder.write("none.txt", Array("77777 3".utf8))
    let none = try Command.run("kv", "store", "get", "--tokens-file", "none.txt", "st", "x.npz", in: folder)
    #expect(none.status == 3 && none.errorLines.count == 1 && none.output.isEmpty)
    #expect(try Command.run("kv", "store", "get", "--tokens-file", "ids.npy", "st", "p.npz", in: folder).status == 1)

    let list = try Command.run("kv", "store", "list", "st", in: folder)
    #expect(list.text.contains("st: 5 chunks, ") && list.text.contains("\nm, lossless, chunks of 32 tokens\n"))
    #expect(list.text.contains(" 96 to 100 ") && list.text.contains(" 64 to 90 "))
    let trees = try #require(try json(Command.run("kv", "store", "list", "--json", "st", in: folder))["trees"] as? [[String: Any]])
    #expect((trees[0]["chunks"] as? [[String: Any]])?.count == 5)
    let collected = try json(Command.run("kv", "store", "gc", "--max-bytes", "0", "--json", "st", in: folder))
    #expect(collected["removedChunks"] as? Int == 5 && collected["keptBytes"] as? Int == 0)
    #expect(folder.names == ["a.safetensors", "b.safetensors", "back.safetensors", "ids.npy", "ids.txt", "none.txt", "p.npz", "st"])
  }

  /// Processes that add at the same time do each other's work at most; what they wrote is whole.
  @Test func processesAddAtOnce() throws {
    let folder = try Folder()
    let caches = try (0..<4).map { try Self.cache(Self.text(400, Int64($0 % 2 + 1) * 1000, after: 300)) }
    let processes = try caches.indices.map { i in
      try folder.write("\(i).safetensors", caches[i])
      return Command.process(["kv", "store", "add", "--lossless", "--chunk", "16", "--json", "st", "\(i).safetensors"], in: folder)
    }
    for process in processes {
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      Command.limit(process)
    }
    for process in processes {
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
    // 18 common chunks, and 7 of each of two texts.
    let list = try json(Command.run("kv", "store", "list", "--json", "st", in: folder))
    #expect(list["chunks"] as? Int == 18 + 2 * 7 && list["temporaries"] as? Int == 0)
    for i in 0..<2 {
      let got = try Command.run("kv", "store", "get", "--tokens-file", "\(i).safetensors", "--format", "safetensors", "st", "-", in: folder)
      #expect(try hasPrefix(got.output, of: caches[i], 400))
    }
  }

  /// A process that is killed anywhere leaves a store that works, and another one finishes its work.
  @Test func killedProcessesHarmNothing() throws {
    let folder = try Folder()
    let cache = try Self.cache(Self.text(3000, 0, after: 0))
    try folder.write("c.safetensors", cache)
    let add = ["kv", "store", "add", "--lossless", "--chunk", "4", "st", "c.safetensors"]
    var cut = 0
    for milliseconds in [5, 20, 40, 60, 90, 130] {
      let process = Command.process(add, in: folder)
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      usleep(UInt32(milliseconds) * 1000)
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal { cut += 1 }
      let got = try Command.run("kv", "store", "get", "--tokens-file", "c.safetensors", "--json", "--force", "st", "p.safetensors", in: folder)
      // No store yet, nothing in it yet, or a prefix.
      #expect([0, 1, 3].contains(got.status), "\(got.errors)")
      if got.status == 0 {
        let found = try #require(try json(got)["found"] as? Int)
        #expect(try hasPrefix(folder.read("p.safetensors"), of: cache, found))
      }
    }
    #expect(cut > 0)
    #expect(try Command.finish(Command.process(add, in: folder)).status == 0)
    #expect(try Command.run("kv", "store", "get", "--tokens-file", "c.safetensors", "--force", "st", "p.safetensors", in: folder).status == 0)
    #expect(try hasPrefix(folder.read("p.safetensors"), of: cache, 3000))
  }

  @Test func failuresAreOneLine() throws {
    let folder = try Folder()
    try folder.write("a.safetensors", Self.cache(Self.text(20, 0, after: 0)))
    try folder.write("nameless.safetensors", Self.cache(Self.text(20, 0, after: 0), model: ""))
    try folder.write("words.txt", Array("one two".utf8))
    #expect(try Command.run("kv", "store", "add", "st", "a.safetensors", in: folder).status == 0)
    let chunk = try #require(try FileManager.default.subpathsOfDirectory(atPath: folder.path("st")).first { $0.hasSuffix(".ncb") })
    try folder.write("st/" + chunk, Array(folder.read("st/" + chunk).dropLast(40)))
    for (arguments, words) in [
      (["get", "--tokens-file", "a.safetensors", "st", "x.npz"], [chunk, "not intact", "Add its cache again"]),
      (["get", "--tokens-file", "a.safetensors", "none", "x.npz"], ["none", "no KV store"]),
      (["get", "--tokens-file", "words.txt", "st", "x.npz"], ["words.txt", "one"]),
      (["add", "st", "nameless.safetensors"], ["nameless.safetensors", "does not name its model"]),
      (["add", "a.safetensors", "a.safetensors"], ["a.safetensors"]), (["list", "none"], ["no KV store"]),
      (["gc", "none"], ["no KV store"]),
    ] {
      let outcome = try Command.finish(Command.process(["kv", "store"] + arguments, in: folder))
      #expect(outcome.status == 1 && outcome.errorLines.count == 1 && outcome.output.isEmpty, "\(arguments): \(outcome.errors)")
      for word in words { #expect(outcome.errors.contains(word), "\(word) in: \(outcome.errors)") }
    }
    for wrong in [
      ["add", "st"], ["add", "--chunk", "0", "st", "a"], ["add", "--quality", "5", "--lossless", "st", "a"], ["get", "st", "x"],
      ["get", "--tokens-file", "a", "--format", "png", "st", "x"], ["gc", "--max-bytes", "-1", "st"], ["gc", "--older-than", "-1", "st"],
      ["list"],
    ] {
      #expect(try Command.finish(Command.process(["kv", "store"] + wrong, in: folder)).status == 2, "\(wrong)")
    }
    let repaired = try Command.run("kv", "store", "add", "st", "a.safetensors", in: folder)
    #expect(repaired.text.contains("1 of the new were damaged before"))
    #expect(try Command.run("kv", "store", "get", "--tokens-file", "a.safetensors", "st", "x.npz", in: folder).status == 0)
  }

  @Test func efforts() throws {
    let folder = try Folder()
    let cache = try Self.cache(Self.text(300, 1000, after: 70))
    try folder.write("a.safetensors", cache)
    #expect(try Command.run("kv", "calibrate", "--state", "16", "--out", "m.ncprofile", "a.safetensors", in: folder).status == 0)
    let adding = try Command.run(
      "kv", "store", "add", "--effort", "9", "--profile", "m.ncprofile", "st", "a.safetensors", in: folder)
    #expect(adding.status == 0, "\(adding.errors)")
    let without = try Command.run("kv", "store", "get", "--tokens-file", "a.safetensors", "st", "x.npz", in: folder)
    #expect(without.status == 1 && without.errors.contains("Give it with --profile."), "\(without.errors)")
    let with = try Command.run(
      "kv", "store", "get", "--profile", "m.ncprofile", "--tokens-file", "a.safetensors", "st", "x.npz", in: folder)
    #expect(with.status == 0 && with.text.contains("300 of 300 tokens found, in 2 chunks, quality 50 profile "), "\(with.text)")
    #expect(try Command.run("kv", "store", "add", "--effort", "5", "st", "a.safetensors", in: folder).status == 0)
    let adaptive = try Command.run("kv", "store", "get", "--tokens-file", "a.safetensors", "st", "y.npz", in: folder)
    #expect(adaptive.text.contains("quality 50 adaptive"), "\(adaptive.errors)")
    #expect(try Command.run("kv", "store", "add", "--profile", "m.ncprofile", "st", "a.safetensors", in: folder).status == 2)
  }
}
