import Coding
import KVCodec
import Media
import Testing

/// Stores whose chunks are coded with transforms.
@Suite struct KVStoreEffortTests {
  private static let ids: [Int64] = (0..<150).map { Int64($0) }

  private static func cache(_ tokens: Int = 150) -> KVCache {
    var cache = AdaptiveTests.cache(tokens: tokens)
    cache.model = "made up"
    return cache
  }

  private static func store(_ folder: StoreFolder, effort: Int, quality: Int = 60, _ profile: KVProfile? = nil) -> KVStore {
    var store = folder.store(lossless: false, chunk: 64)
    (store.options.encoder.target, store.options.encoder.effort, store.options.encoder.profile) = (.quality(quality), effort, profile)
    return store
  }

  @Test func adaptiveChunks() throws {
    let folder = try StoreFolder()
    let plain = try Self.store(folder, effort: 1).add(Self.cache(), tokens: Self.ids)
    let adaptive = try Self.store(folder, effort: 5).add(Self.cache(), tokens: Self.ids)
    #expect(plain.newChunks == 3 && adaptive.newChunks == 3)
    // All adaptive efforts are one coding.
    #expect(try Self.store(folder, effort: 7).add(Self.cache(), tokens: Self.ids).sharedChunks == 3)
    var selection = KVStore.Selection()
    selection.coding = "quality 60 adaptive"
    // In the middle of a chunk, too.
    for count in [150, 100, 64] {
      let found = try #require(try folder.store().prefix(of: Array(Self.ids[..<count]), selection))
      #expect(found.tokens == count && found.coding == "quality 60 adaptive")
      let part = KVCache(layers: Self.cache().layers.map {
        KVLayer(keys: $0.keys.tokens(in: 0..<count), values: $0.values?.tokens(in: 0..<count))
      })
      #expect(AdaptiveTests.error(part, found.cache) < 0.1)
    }
    // A quality stands for all efforts.
    selection.coding = "quality 60"
    #expect(try folder.store().prefix(of: Self.ids, selection)?.tokens == 150)
    selection.coding = "quality 6"
    #expect(try folder.store().prefix(of: Self.ids, selection) == nil)
  }

  @Test func profiledChunks() throws {
    let folder = try StoreFolder(), profile = try ProfileTests.profile.get()
    let store = Self.store(folder, effort: 9, profile)
    #expect(throws: CodecError(.invalidOption, "")) { _ = try Self.store(folder, effort: 9).add(Self.cache(), tokens: Self.ids) }
    #expect(try store.add(Self.cache(), tokens: Self.ids).newChunks == 3)
    let found = try #require(try store.prefix(of: Self.ids))
    #expect(found.tokens == 150 && found.coding == "quality 60 profile \(profile.shortHash)")
    #expect(AdaptiveTests.error(Self.cache(), found.cache) < 0.1)
    // Without the profile it is asked for, and what needs none is taken where there is any.
    #expect(throws: CodecError(.unsupported, "")) { _ = try Self.store(folder, effort: 1).prefix(of: Self.ids) }
    _ = try Self.store(folder, effort: 1, quality: 20).add(Self.cache(64), tokens: Self.ids)
    #expect(try Self.store(folder, effort: 1).prefix(of: Self.ids)?.coding == "quality 20")
    #expect(try store.prefix(of: Self.ids)?.tokens == 150)
  }

  /// The last tokens of a chunk are as any others, whatever the options say.
  @Test func noTokensAreFiner() throws {
    let (a, b) = (try StoreFolder(), try StoreFolder())
    var store = Self.store(a, effort: 5)
    let first = try store.add(Self.cache(), tokens: Self.ids)
    store = Self.store(b, effort: 5)
    store.options.encoder.recentTokens = 0
    #expect(try store.add(Self.cache(), tokens: Self.ids) == first)
    #expect(try a.chunks == b.chunks)
  }
}
