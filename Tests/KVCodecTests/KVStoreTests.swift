import Coding
import Foundation
import KVCodec
import Media
import Testing

/// A folder of its own for one test, gone with the value.
final class StoreFolder: Sendable {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("kvstore-\(UUID().uuidString)").path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func store(lossless: Bool = true, chunk: Int = 16, fingerprint: String? = nil) -> KVStore {
    var options = KVStore.Options()
    options.encoder.target = lossless ? .lossless : .quality(50)
    options.encoder.chunkTokens = chunk
    options.fingerprint = fingerprint
    return KVStore(at: path, options: options)
  }

  /// Paths of all files below, from the folder on, sorted.
  var files: [String] {
    get throws {
      try FileManager.default.subpathsOfDirectory(atPath: path).filter {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: "\(path)/\($0)", isDirectory: &isFolder) && !isFolder.boolValue
      }.sorted()
    }
  }

  var chunks: [String] { get throws { try files.filter { $0.hasSuffix(".ncb") } } }

  /// Makes a file look as if it had been used `seconds` ago.
  func age(_ file: String, _ seconds: Double) throws {
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSinceNow: -seconds)], ofItemAtPath: "\(path)/\(file)")
  }
}

@Suite struct KVStoreTests {
  /// A cache whose elements follow from its tokens, as they do in a model: those of equal prefixes are equal.
  static func cache(_ tokens: [Int64], model: String = "made up", element: KVElement = .float16) -> KVCache {
    var hashes: [UInt64] = []
    for token in tokens {
      var noise = Noise((hashes.last ?? 7) &* 31 &+ UInt64(bitPattern: token))
      hashes.append(noise.next())
    }
    func made(_ seed: UInt64, _ channels: Int) -> KVTensor {
      tensor(heads: 2, tokens: tokens.count, channels: channels, element: element) { h, t, c in
        var noise = Noise(hashes[t] ^ seed &* 977 ^ UInt64(h * 64 + c))
        return noise.normal()
      }
    }
    let layers = (0..<3).map { KVLayer(keys: made(UInt64($0), 8), values: $0 == 2 ? nil : made(UInt64($0) + 10, 5)) }
    return KVCache(
      layers: layers, rope: .halves, ropeBase: 1e6, model: model,
      others: [KVNamedTensor(name: "tokens", shape: [tokens.count], integers: tokens)])
  }

  static func hasPrefix(_ cache: KVCache, of whole: KVCache, _ count: Int) -> Bool {
    cache.layers.count == whole.layers.count
      && zip(cache.layers, whole.layers).allSatisfy { a, b in
        a.firstPosition == 0 && a.keys.hasSameBits(as: b.keys.tokens(in: 0..<count)) && (a.values == nil) == (b.values == nil)
          && (a.values == nil || a.values!.hasSameBits(as: b.values!.tokens(in: 0..<count)))
      }
  }

  static let text: [Int64] = (0..<50).map { $0 * 37 % 101 + ($0 == 3 ? 1 << 40 : 0) }

  @Test func whatIsAddedComesBack() throws {
    let folder = try StoreFolder(), store = folder.store()
    let cache = Self.cache(Self.text)
    let added = try store.add(cache)
    #expect(added.tokens == 50 && added.newChunks == 4 && added.sharedChunks == 0 && added.newBytes > 0)
    let found = try #require(try store.prefix(of: Self.text))
    #expect(found.tokens == 50 && found.chunks == 4 && found.coding == "lossless")
    #expect(Self.hasPrefix(found.cache, of: cache, 50))
    #expect(found.cache.tokenIDs == Self.text && found.cache.metadata.isEmpty)
    #expect(found.cache.rope == .halves && found.cache.ropeBase == 1e6 && found.cache.model == "made up")
    // Again: nothing is new.
    let again = try store.add(cache)
    #expect(again.newChunks == 0 && again.newBytes == 0 && again.sharedChunks == 4 && again.sharedBytes == added.newBytes)
  }

  /// Chunk by chunk, in the middle of one, and not at all.
  @Test(arguments: [(0, 0), (1, 1), (15, 15), (16, 16), (17, 17), (33, 33), (48, 48), (49, 49), (50, 50), (70, 50)])
  func prefixesOfAnyLength(asked: Int, found: Int) throws {
    let folder = try StoreFolder(), store = folder.store()
    let cache = Self.cache(Self.text)
    _ = try store.add(cache)
    let tokens = Array((Self.text + [Int64](repeating: 5, count: 20)).prefix(asked))
    let prefix = try store.prefix(of: tokens)
    #expect(prefix?.tokens ?? 0 == found)
    if let prefix { #expect(Self.hasPrefix(prefix.cache, of: cache, found)) }
    // A text that goes another way after as many tokens has as much in common.
    let other = tokens.prefix(found) + [Int64](repeating: -9, count: 20)
    #expect(try store.prefix(of: Array(other))?.tokens ?? 0 == found)
  }

  @Test func commonPrefixesAreStoredOnce() throws {
    let folder = try StoreFolder(), store = folder.store()
    let longer = Array(Self.text.prefix(40)) + (0..<30).map { Int64($0) }
    let (a, b) = (Self.cache(Self.text), Self.cache(longer))
    _ = try store.add(a)
    let added = try store.add(b)
    // 40 tokens are common: two whole chunks.
    #expect(added.sharedChunks == 2 && added.newChunks == 3)
    #expect(try folder.chunks.count == 4 + 3)
    #expect(Self.hasPrefix(try #require(try store.prefix(of: Self.text)).cache, of: a, 50))
    #expect(Self.hasPrefix(try #require(try store.prefix(of: longer)).cache, of: b, 70))
    let contents = try store.contents()
    #expect(contents.trees.count == 1 && contents.chunks == 7 && contents.temporaries == 0 && contents.strangers.isEmpty)
    let chunks = contents.trees[0].chunks
    let depths = chunks.compactMap { $0.depth }
    let orders: [[Int]] = [[0, 1, 2, 3, 2, 3, 4], [0, 1, 2, 3, 4, 2, 3]]
    #expect(orders.contains(depths))
    let tokens = chunks.reduce(0) { $0 + ($1.tokens ?? 0) }
    #expect(tokens == 88)
  }

  /// The same chunk behind another prefix is another chunk.
  @Test func keysCoverAllThatCameBefore() throws {
    let folder = try StoreFolder(), store = folder.store()
    let a = Self.text, b = [99] + Self.text.dropFirst()
    _ = try store.add(Self.cache(a))
    let added = try store.add(Self.cache(b))
    #expect(added.sharedChunks == 0)
    #expect(Self.hasPrefix(try #require(try store.prefix(of: b)).cache, of: Self.cache(b), 50))
  }

  /// Models, codings, chunk sizes and element types do not mix.
  @Test func treesStayApart() throws {
    let folder = try StoreFolder()
    let cache = Self.cache(Self.text)
    for store in [folder.store(), folder.store(lossless: false), folder.store(chunk: 20), folder.store(fingerprint: "other weights")] {
      #expect(try store.add(cache).sharedChunks == 0)
    }
    #expect(try folder.store().add(Self.cache(Self.text, model: "other")).sharedChunks == 0)
    #expect(try folder.store().add(Self.cache(Self.text, element: .float32)).sharedChunks == 0)
    #expect(try folder.store().contents().trees.count == 6)
    // Two models have it: it has to be said which.
    #expect(throws: CodecError.self) { _ = try folder.store().prefix(of: Self.text) }
    var selection = KVStore.Selection()
    selection.model = "other"
    #expect(try folder.store().prefix(of: Self.text, selection)?.cache.model == "other")
    selection.model = "made up"
    selection.fingerprint = "made up"
    #expect(try folder.store().prefix(of: Self.text, selection)?.coding == "lossless")
    selection.coding = "quality 50"
    #expect(try folder.store().prefix(of: Self.text, selection)?.coding == "quality 50")
    selection.coding = "quality 51"
    #expect(try folder.store().prefix(of: Self.text, selection) == nil)
  }

  @Test func cachesThatCannotBeSharedAreRefused() throws {
    let folder = try StoreFolder(), store = folder.store()
    let cache = Self.cache(Self.text)
    func refused(_ change: (inout KVCache) -> Void, tokens: [Int64]? = nil, _ store: KVStore) {
      var other = cache
      change(&other)
      #expect(throws: CodecError.self) { _ = try store.add(other, tokens: tokens) }
    }
    refused({ $0.layers[1].firstPosition = 1 }, store)
    refused({ $0.others = [] }, store)
    refused({ _ in }, tokens: Array(Self.text.dropLast()), store)
    refused({ $0.others = [KVNamedTensor(name: "tokens", dtype: "F32", shape: [50], bytes: [UInt8](repeating: 0, count: 200))] }, store)
    refused({ $0.others.append(KVNamedTensor(name: KVCache.positionsName, shape: [0], integers: [])) }, store)
    refused({ $0.model = "" }, store)
    var aimed = store
    aimed.options.encoder.target = .bitsPerElement(3)
    refused({ _ in }, aimed)
    #expect(!FileManager.default.fileExists(atPath: folder.path))
    // More ids than tokens are those of what follows.
    #expect(try store.add(cache, tokens: Self.text + [1, 2, 3]).newChunks == 4)
    #expect(throws: CodecError.self) { _ = try KVStore(at: folder.path + "/none").prefix(of: [1]) }
    #expect(throws: CodecError.self) { _ = try KVStore(at: folder.path + "/none").contents() }
    #expect(throws: CodecError.self) { _ = try KVStore(at: folder.path + "/none").collect() }
  }

  @Test func manyTasksAddAtOnce() async throws {
    let folder = try StoreFolder()
    let texts = (0..<6).map { i in Array(Self.text.prefix(32)) + (0..<20).map { Int64(i % 3 * 100 + $0) } }
    let added = try await withThrowingTaskGroup(of: KVStore.Added.self) { group in
      for text in texts { group.addTask { try folder.store().add(Self.cache(text)) } }
      return try await group.reduce(into: []) { $0.append($1) }
    }
    // Two common chunks, and two of each of three texts; each was written by one task.
    #expect(try folder.chunks.count == 2 + 3 * 2)
    let new = added.reduce(0) { $0 + $1.newChunks }, shared = added.reduce(0) { $0 + $1.sharedChunks }
    #expect(new == 8 && shared == 16)
    for text in texts { #expect(Self.hasPrefix(try #require(try folder.store().prefix(of: text)).cache, of: Self.cache(text), 52)) }
    #expect(try folder.store().contents().temporaries == 0)
  }

  /// The codec refuses to hand out chunks of a cache that would not fit into memory that is allowed.
  @Test func memoryIsLimited() throws {
    let folder = try StoreFolder()
    var store = folder.store()
    _ = try store.add(Self.cache(Self.text))
    store.options.maxMemory = 4000
    #expect(throws: CodecError(.limitExceeded, "")) { _ = try store.prefix(of: Self.text) }
  }
}
