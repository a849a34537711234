import Foundation
import Media
import MediaIO
import Testing

struct KVReductionCommandTests {
  @Test(arguments: [["--keep-tokens", "50"], ["--keep-tokens", "0.5"], ["--keep-tokens", "50%", "--merge-tokens"]])
  func halfOfTheTokens(options: [String]) throws {
    let folder = try Folder()
    let bytes = try KVStoreCommandTests.cache(KVStoreCommandTests.text(100, 0, after: 0))
    try folder.write("c.safetensors", bytes)
    let encoding = try Command.finish(Command.process(["encode", "--lossless"] + options + ["c.safetensors", "c.ncb"], in: folder))
    #expect(encoding.status == 0 && encoding.text.contains("cache of 2 layers, 50 tokens"), "\(encoding.errors)")
    #expect(encoding.text.hasSuffix("lossless, reduced from 100 tokens\n"))
    #expect(try Command.run("decode", "c.ncb", "back.safetensors", in: folder).status == 0)
    let (whole, back) = (try KVCacheReader.read(bytes), try KVCacheReader.read(folder.read("back.safetensors")))
    #expect(back.tokens == 50 && back.tokenIDs == whole.tokenIDs)
    let positions = try #require(back.others.first { $0.name == KVCache.positionsName })
    #expect(positions.dtype == "I32" && positions.shape == [2, 2, 50])
    let numbers = try #require(positions.integers)
    #expect(numbers[..<4] == [0, 1, 2, 3] && numbers[18..<50].elementsEqual(68..<100))
    if options.count == 2 {
      for i in 0..<200 {
        let (layer, head) = (i / 100, i / 50 % 2)
        let same = back.layers[layer].keys.withRow(head: head, token: i % 50) { a in
          whole.layers[layer].keys.withRow(head: head, token: Int(numbers[i])) { a.elementsEqual($0) }
        }
        #expect(same)
      }
    }
    // A position for all heads, and prefixes, are no longer to be had.
    let state = try Command.run("decode", "--format", "llama", "c.ncb", "state.bin", in: folder)
    #expect(state.status == 1 && state.errors.contains("tokens of their own"))
    #expect(try Command.run("kv", "store", "add", "st", "back.safetensors", in: folder).status == 1)
    #expect(try Command.run("encode", "--keep-tokens", "40", "back.safetensors", "again.ncb", in: folder).status == 1)
    #expect(folder.names == ["back.safetensors", "c.ncb", "c.safetensors"])
  }

  @Test func wrongNumbers() throws {
    let folder = try Folder()
    try folder.write("c.safetensors", KVStoreCommandTests.cache(KVStoreCommandTests.text(100, 0, after: 0)))
    for wrong in [["--keep-tokens", "0"], ["--keep-tokens", "1.5"], ["--keep-tokens", "half"], ["--keep-tokens", "101%"], ["--merge-tokens"]] {
      #expect(try Command.finish(Command.process(["encode"] + wrong + ["c.safetensors", "c.ncb"], in: folder)).status == 2, "\(wrong)")
    }
    let few = try Command.run("encode", "--keep-tokens", "20", "c.safetensors", "c.ncb", in: folder)
    #expect(few.status == 1 && few.errors.contains("Keep more"))
  }
}
