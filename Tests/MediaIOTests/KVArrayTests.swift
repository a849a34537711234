import Foundation
import Media
import MediaIO
import Testing

/// safetensors and NumPy: layouts read, converted and written back.
struct KVArrayTests {
  let sample = KVSample()

  @Test(arguments: [
    "stacked.safetensors", "token-first.safetensors", "dim-first.safetensors", "past.safetensors", "lmcache.safetensors",
    "vllm.safetensors", "fused.npy", "stored.npz", "deflated.npz",
  ])
  func layoutsReadAndGoBack(name: String) throws {
    let cache = try KVFixture.read(name)
    sample.expect(cache)
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache))
    expectSame(again, cache)
    #expect(again.source == cache.source)
    // From memory as from a mapped file.
    expectSame(try KVCacheReader.read(KVFixture.bytes(name)), cache)
    // Each into every other format and back.
    for format in [KVFileFormat.safeTensors, .numPyArchive] {
      var plain = cache
      plain.others.removeAll { $0.dtype.hasPrefix("numpy:") }
      expectSame(try KVCacheReader.read(KVCacheWriter.bytes(plain, format: format)), plain)
    }
    sample.expect(try KVCacheReader.read(KVCacheWriter.bytes(cache, format: .numPy)))
  }

  @Test func metadataIsKept() throws {
    let cache = try KVFixture.read("stacked.safetensors")
    #expect(cache.model == "toy" && cache.rope == .interleaved && cache.ropeBase == 100_000 && cache.keysAreRotated)
    #expect(cache.metadata.map(\.key) == ["text"] && cache.metadata[0].value == "prose")
    #expect(cache.other("tokens")?.dtype == "I32" && cache.other("tokens")?.shape == [8])
    #expect(cache.elementCount == 2 * 2 * 2 * 6 * 4 && cache.byteCount == 2 * cache.elementCount && cache.tokens == 6)
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache))
    #expect(again.metadata.map(\.value) == ["prose"])

    let told = try KVFixture.read(
      "stacked.safetensors",
      kvOptions {
        $0.ropeLayout = .halves
        $0.ropeBase = 5
        $0.model = "other"
        $0.keysAreRotated = false
      })
    #expect(told.rope == .halves && told.ropeBase == 5 && told.model == "other" && !told.keysAreRotated)
    let toldAgain = try KVCacheReader.read(KVCacheWriter.bytes(told))
    expectSame(toldAgain, told)
    #expect(toldAgain.source == .safeTensors(.init(packing: .stacked(keys: "k_pre", values: "v"), axes: KVArrayLayout.standard.axes)))
  }

  @Test func keysBeforeRope() throws {
    let both = try KVFixture.read("both.safetensors")
    #expect(both.keysAreRotated && both.others.map(\.name) == ["k_pre"])
    let dropped = try KVFixture.read("both.safetensors", kvOptions { $0.dropsUnrotatedKeys = true })
    #expect(dropped.others.isEmpty)
    let before = try KVFixture.read("unrotated.safetensors")
    #expect(!before.keysAreRotated)
    sample.expect(before)
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(before)), before)
  }

  @Test func bfloat16() throws {
    let cache = try KVFixture.read("huggingface.safetensors")
    sample.expect(cache, element: .bfloat16)
    #expect(cache.rope == .halves)
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(cache)), cache)
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(cache, format: .numPyArchive)), cache)
    #expect(throws: MediaIOError(.unsupported)) { try KVFixture.read("bits.npz") }
    sample.expect(try KVFixture.read("bits.npz", kvOptions { $0.uint16IsBFloat16 = true }), element: .bfloat16)
  }

  @Test func unlikeKeysAndValues() throws {
    let cache = try KVFixture.read("unlike.safetensors")
    for (i, layer) in cache.layers.enumerated() {
      #expect(layer.keys.hasSameBits(as: sample.tensor(0, i)))
      #expect(try #require(layer.values).hasSameBits(as: sample.tensor(1, i, element: .float32, channels: 3)))
    }
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(cache)), cache)
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(cache, format: .numPyArchive)), cache)
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.bytes(cache, format: .numPy) }
  }

  @Test func unlikeLayers() throws {
    var cache = sample.cache()
    let short = KVSample(heads: 1, tokens: 3, channels: 5)
    cache.layers.append(KVLayer(keys: short.tensor(0, 0, element: .bfloat16), values: short.tensor(1, 0), firstPosition: 3))
    for format in [KVFileFormat.safeTensors, .numPyArchive] {
      let again = try KVCacheReader.read(KVCacheWriter.bytes(cache, format: format))
      expectSame(again, cache)
      #expect(again.source.format == format)
    }
    // One latent for keys and values.
    for i in cache.layers.indices { cache.layers[i].values = nil }
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(cache)), cache)
    cache.layers[0].values = sample.tensor(1, 0)
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.bytes(cache) }
  }

  @Test func everyElementType() throws {
    for element in KVElement.allCases {
      let cache = sample.cache(element: element)
      for format in [KVFileFormat.safeTensors, .numPyArchive, .llamaState] {
        let again = try KVCacheReader.read(
          KVCacheWriter.bytes(cache, format: format), options: kvOptions { $0.kvHeads = 2 })
        sample.expect(again, element: element)
      }
    }
  }

  /// Each order of the four axes, with and without a batch.
  @Test func everyOrder() throws {
    func orders(_ axes: [KVAxis]) -> [[KVAxis]] {
      if axes.isEmpty { return [[]] }
      return axes.flatMap { first in orders(axes.filter { $0 != first }).map { [first] + $0 } }
    }
    for order in orders([.layer, .head, .token, .channel]) {
      for axes in [order, [.batch] + order] {
        let layout = KVArrayLayout(packing: .stacked(keys: "k", values: "v"), axes: axes)
        let again = try KVCacheReader.read(KVCacheWriter.bytes(sample.cache(source: .safeTensors(layout))))
        sample.expect(again)
        #expect(again.source == .safeTensors(layout))
      }
    }
    for order in orders([.kv, .layer, .token, .width]) {
      let layout = KVArrayLayout(packing: .fused("kv"), axes: order)
      let again = try KVCacheReader.read(KVCacheWriter.bytes(sample.cache(source: .safeTensors(layout))))
      sample.expect(again)
    }
    for order in orders([.kv, .blocks, .block, .head, .channel]) {
      let layout = KVArrayLayout(
        packing: .fusedPerLayer(["layers.0.kv", "layers.1.kv"]), axes: order, blockTokens: 2)
      let again = try KVCacheReader.read(KVCacheWriter.bytes(sample.cache(source: .safeTensors(layout))))
      sample.expect(again)
      #expect(again.source == .safeTensors(layout))
    }
  }

  @Test func axesByName() throws {
    let options = kvOptions { $0.axes = "layer, tokens, heads, dim" }
    var cache = sample.cache()
    cache.source = .safeTensors(.init(packing: .stacked(keys: "k", values: "v"), axes: [.layer, .token, .head, .channel]))
    sample.expect(try KVCacheReader.read(KVCacheWriter.bytes(cache), options: options))
    for axes in ["", "layer", "layer,layer,token,head_dim", "layer,kv_head,token,hed_dim", "layer,head,token,channel,head_dim", "layer,kv_head,block,head_dim"] {
      #expect(throws: MediaIOError(.unsupported), "\(axes)") {
        try KVCacheReader.read(KVCacheWriter.bytes(cache), options: kvOptions { $0.axes = axes })
      }
    }
    let lmcache = try KVFixture.bytes("lmcache.safetensors")
    let told = try KVCacheReader.read(lmcache, options: kvOptions { $0.kvHeads = 4 })
    #expect(told.layers[0].keys.heads == 4 && told.layers[0].keys.channels == 2)
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(lmcache, options: kvOptions { $0.kvHeads = 3 }) }
  }

  /// Every bit pattern of 16 bits, NaNs with their payloads among them.
  @Test func everyBitPattern() throws {
    let tensor = KVTensor(heads: 1, tokens: 256, channels: 256, element: .float16)
    for token in 0..<256 {
      tensor.withMutableRow(head: 0, token: token) { row in
        for c in 0..<256 { row.storeBytes(of: UInt16(token << 8 | c), toByteOffset: 2 * c, as: UInt16.self) }
      }
    }
    let cache = KVCache(layers: [KVLayer(keys: tensor, values: tensor)])
    for format in KVFileFormat.allCases {
      let again = try KVCacheReader.read(
        KVCacheWriter.bytes(cache, format: format), options: kvOptions { $0.kvHeads = 1 })
      #expect(again.layers[0].keys.hasSameBits(as: tensor) && again.layers[0].values!.hasSameBits(as: tensor))
    }
  }

  @Test func othersOfEveryType() throws {
    let cache = try KVFixture.read("stored.npz")
    #expect(cache.other("words")?.dtype == "numpy:<U5")
    // safetensors has no such type.
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.bytes(cache, format: .safeTensors) }
    var twice = sample.cache()
    twice.others = [KVNamedTensor(name: "k", dtype: "U8", shape: [1], bytes: [1])]
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.bytes(twice) }
    twice.others = [KVNamedTensor(name: "none", dtype: "F64", shape: [0, 3], bytes: [])]
    expectSame(try KVCacheReader.read(KVCacheWriter.bytes(twice)), twice)
  }

  @Test func filesAppearWhole() throws {
    let folder = FileManager.default.temporaryDirectory.path + "/kv-\(UInt64.random(in: 0 ... .max))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let path = folder + "/cache.npz"
    let cache = sample.cache()
    try KVCacheWriter.write(cache, to: path, format: .numPyArchive)
    expectSame(try KVCacheReader.read(path), cache)
    #expect(throws: MediaIOError(.exists)) { try KVCacheWriter.write(cache, to: path) }
    var bad = cache
    bad.layers[0].values = nil
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.write(bad, to: path, overwrite: true) }
    sample.expect(try KVCacheReader.read(path))
    // A cache written over the file that it is read from keeps its old pages.
    try KVCacheWriter.write(KVCacheReader.read(path), to: path, overwrite: true)
    sample.expect(try KVCacheReader.read(path))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["cache.npz"])
    #expect(throws: MediaIOError(.system)) { try KVCacheReader.read(folder + "/none") }
    #expect(throws: MediaIOError(.system)) { try KVCacheReader.read(folder) }
  }

  /// What comes through a pipe cannot be mapped.
  @Test func pipes() throws {
    let path = FileManager.default.temporaryDirectory.path + "/kv-\(UInt64.random(in: 0 ... .max))"
    try #require(mkfifo(path, 0o600) == 0)
    defer { unlink(path) }
    let cache = KVCache(layers: [KVLayer(keys: KVTensor(heads: 3, tokens: 500, channels: 70, element: .float32), values: nil)])
    Thread.detachNewThread { try? KVCacheWriter.write(cache, to: path) }
    expectSame(try KVCacheReader.read(path), cache)
  }

  @Test func formatsByContent() throws {
    for name in try FileManager.default.contentsOfDirectory(atPath: KVFixture.folder) where !name.hasSuffix(".py") {
      #expect(KVCacheReader.recognises(try KVFixture.bytes(name).prefix(KVCacheReader.prefixBytes)), "\(name)")
    }
    for bytes in [[], Array("NCB".utf8), Array("hello, world".utf8), [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13]] {
      #expect(!KVCacheReader.recognises(bytes))
    }
    #expect(throws: MediaIOError(.unknownFormat)) { try KVCacheReader.read(Array("hello, world".utf8)) }
    #expect(throws: MediaIOError(.empty)) { try KVCacheReader.read([UInt8]()) }
  }

  static let shared = "/work/shared/data/kv/prose-1024.safetensors"

  /// The project's test cache, where it is at hand.
  @Test(.enabled(if: FileManager.default.fileExists(atPath: shared), "no \(shared) here"))
  func realCache() throws {
    let cache = try KVCacheReader.read(Self.shared)
    #expect(cache.layers.count == 30 && cache.tokens == 1024 && cache.elementCount == 30 * 2 * 3 * 1024 * 64)
    #expect(cache.rope == .interleaved && cache.ropeBase == 100_000 && cache.model == "SmolLM2-135M-Instruct.Q4_1.gguf")
    #expect(cache.metadata.map(\.key).sorted() == ["prefix", "text"])
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache))
    expectSame(again, cache)
    let state = try KVCacheReader.read(
      KVCacheWriter.bytes(cache, format: .llamaState), options: kvOptions { $0.kvHeads = 3 })
    #expect(state.layers[29].values!.hasSameBits(as: cache.layers[29].values!))
    #expect(state.other("tokens")?.shape == [1024])
  }
}
