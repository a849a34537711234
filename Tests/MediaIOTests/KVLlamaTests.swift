import Media
import MediaIO
import Testing

/// llama.cpp's sequence states.
struct KVLlamaTests {
  let sample = KVSample()
  let two = kvOptions { $0.kvHeads = 2 }

  @Test(arguments: ["plain", "transposed", "no-streams", "four-streams", "ids", "extension", "latent", "f32"])
  func statesGoBackByteForByte(name: String) throws {
    let bytes = try KVFixture.bytes(name + ".ggsq")
    let cache = try KVCacheReader.read(bytes, options: two)
    sample.expect(cache, element: name == "f32" ? .float32 : .float16, hasValues: name != "latent")
    #expect(cache.keysAreRotated && cache.rope == .interleaved && cache.notices.isEmpty)
    #expect(cache.other("tokens")?.bytes.prefix(8) == [100, 0, 0, 0, 101, 0, 0, 0])
    expectSame(try KVCacheWriter.bytes(cache), bytes)
    // Through safetensors, with the layout put back, as a codec does it.
    var through = try KVCacheReader.read(KVCacheWriter.bytes(cache, format: .safeTensors))
    through.source = cache.source
    expectSame(try KVCacheWriter.bytes(through), bytes)
  }

  @Test func layoutsAreNamed() throws {
    func section(_ name: String) throws -> KVLlamaLayout.Section {
      guard case .llamaState(let layout) = try KVFixture.read(name + ".ggsq", two).source else {
        throw MediaIOError(.unknownFormat)
      }
      return layout.sections[0]
    }
    #expect(try section("plain") == .init(layers: 2, streams: 1, stream: 0, valuesAreTransposed: false, sequence: 0))
    #expect(try section("transposed").valuesAreTransposed)
    #expect(try section("no-streams") == .init(layers: 2, streams: 0, stream: 0, valuesAreTransposed: false, sequence: 3))
    #expect(try section("four-streams") == .init(layers: 2, streams: 4, stream: 2, valuesAreTransposed: false, sequence: 2))
    #expect(try section("ids").sequence == nil && section("extension").sequence == nil)
  }

  @Test func slidingWindows() throws {
    let bytes = try KVFixture.bytes("window.ggsq")
    let cache = try KVCacheReader.read(bytes, options: two)
    #expect(cache.layers.map(\.tokens) == [6, 6, 4, 4, 4] && cache.layers.map(\.firstPosition) == [0, 0, 2, 2, 2])
    #expect(cache.layers[4].keys.hasSameBits(as: KVSample(layers: 3, tokens: 4).tensor(0, 2)))
    expectSame(try KVCacheWriter.bytes(cache), bytes)
    let through = try KVCacheReader.read(KVCacheWriter.bytes(cache, format: .safeTensors))
    #expect(through.layers.map(\.firstPosition) == [0, 0, 2, 2, 2])
    // Without its layout nothing says which layers share cells.
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.bytes(through, format: .llamaState) }
  }

  /// Within half a step of each block's scale, which is itself rounded to f16; written back as f16.
  @Test(arguments: [("q8_0", 254.0), ("q4_0", 15.9)])
  func quantisedRows(name: String, steps: Double) throws {
    let wide = KVSample(heads: 2, channels: 32)
    let cache = try KVFixture.read(name + ".ggsq", two)
    for (i, layer) in cache.layers.enumerated() {
      for (kv, tensor) in [layer.keys, try #require(layer.values)].enumerated() {
        #expect(tensor.element == .float16 && tensor.channels == 32)
        for head in 0..<2 {
          for token in 0..<6 {
            let exact = (0..<32).map { Double(Float16(bitPattern: wide.bits(kv, i, head, token, $0))) }
            let bound = exact.map(abs).max()! * (name == "q4_0" ? 2 : 1) / steps * 1.16
            tensor.withRow(head: head, token: token) { row in
              for c in 0..<32 {
                let value = Double(Float16(bitPattern: row.load(fromByteOffset: 2 * c, as: UInt16.self)))
                // q4_0 here has no code for +8.
                #expect(abs(value - exact[c]) <= bound * (name == "q4_0" ? 2 : 1))
              }
            }
          }
        }
      }
    }
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache), options: two)
    expectSame(again, cache)
  }

  /// Keys of a few strong channels, turned as newer builds of llama.cpp do; heads of 128 by 128, values by 64.
  @Test(arguments: ["turned.ggsq", "unturned.ggsq"])
  func quantisedRowsAreTurnedBack(name: String) throws {
    let isTurned = name == "turned.ggsq"
    let cache = try KVFixture.read(name, kvOptions { $0.kvHeads = 1 })
    #expect(cache.notices.isEmpty != isTurned)
    for (kv, tensor) in [cache.layers[0].keys, try #require(cache.layers[0].values)].enumerated() {
      for token in 0..<8 {
        tensor.withRow(head: 0, token: token) { row in
          for c in 0..<128 {
            // `strong` of make.py.
            let exact = Double((token * 7 + c * 3 + kv) % 11 - 5) / 16 + (c % 50 == 9 ? 6 : 0)
            let value = Double(Float16(bitPattern: row.load(fromByteOffset: 2 * c, as: UInt16.self)))
            #expect(abs(value - exact) < 0.12, "\(kv) \(token) \(c)")
          }
        }
      }
    }
    let told = try KVFixture.read(
      name, kvOptions {
        $0.kvHeads = 1
        $0.quantisedRowsAreTurned = !isTurned
      })
    #expect(!told.layers[0].keys.hasSameBits(as: cache.layers[0].keys))
  }

  @Test func headsAreGuessedAloud() throws {
    let cache = KVCache(layers: [KVLayer(keys: KVSample(heads: 3, channels: 64).tensor(0, 0), values: KVSample(heads: 3, channels: 64).tensor(1, 0))])
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache, format: .llamaState))
    #expect(again.layers[0].keys.hasSameBits(as: cache.layers[0].keys))
    #expect(again.notices == ["rows of 192 were taken for 3 KV heads of 64; say how many they are"])
    #expect(try KVFixture.read("plain.ggsq").layers[0].keys.heads == 1)
    #expect(throws: MediaIOError(.damaged)) { try KVFixture.read("plain.ggsq", kvOptions { $0.kvHeads = 3 }) }
  }

  @Test func refusalsSayWhatToDo() throws {
    func message(_ name: String) throws -> String {
      do { _ = try KVFixture.read(name) } catch let error as MediaIOError { return "\(error.code) \(error)" }
      return "none"
    }
    #expect(
      try message("broken-type.ggsq")
        == "unsupported llama.cpp state: the keys of layer 0 are of ggml type 3; f32, f16, q4_0, q8_0, bf16 are read, so "
        + "load the model with one of them (--cache-type-k, --cache-type-v), at byte 128")
    #expect(
      try message("broken-order.ggsq")
        == "unsupported llama.cpp state: cell 3 holds position 4, not 3: positions must follow one another; evaluate the "
        + "prompt anew in an empty context before saving, at byte 92")
    #expect(try message("broken-version.ggsq") == "unsupported llama.cpp state: version 1; versions 2 and 3 are read")
    #expect(
      try message("session.ggsn")
        == "unsupported llama.cpp state: a whole session (version 9), of which one sequence is wanted; save it with "
        + "llama_state_seq_save_file")
    var cache = sample.cache()
    cache.keysAreRotated = false
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheWriter.bytes(cache, format: .llamaState) }
  }

  /// A decoded part of the tokens cannot keep the cells of all.
  @Test func fewerTokensThanCells() throws {
    var cache = try KVFixture.read("ids.ggsq", two)
    for i in cache.layers.indices {
      cache.layers[i].keys = cache.layers[i].keys.tokens(in: 2..<5)
      cache.layers[i].values = cache.layers[i].values?.tokens(in: 2..<5)
      cache.layers[i].firstPosition = 2
    }
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache), options: two)
    #expect(again.layers[0].tokens == 3 && again.layers[0].firstPosition == 2)
    #expect(again.layers[1].keys.hasSameBits(as: sample.tensor(0, 1).tokens(in: 2..<5)))
  }
}
