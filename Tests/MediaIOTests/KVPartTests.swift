import Foundation
import Media
import MediaIO
import Testing

/// Files written part by part are those that are written at once.
struct KVPartTests {
  /// Gives a cache to a writer in parts of `chunk` positions, of which layers may have none.
  private static func write(_ cache: KVCache, to path: String, format: KVFileFormat? = nil, chunk: Int) throws {
    let writer = try KVPartWriter(path, format: format, overwrite: true)
    var blank = cache
    blank.others = []
    blank.layers = cache.layers.map { layer in
      KVLayer(
        keys: Self.blank(layer.keys), values: layer.values.map(Self.blank), firstPosition: layer.firstPosition)
    }
    try writer.begin(
      blank, others: cache.others.map { KVNamedShape(name: $0.name, dtype: $0.dtype, shape: $0.shape, byteCount: $0.byteCount) })
    let first = cache.layers.map(\.firstPosition).min()!
    let end = cache.layers.map { $0.firstPosition + $0.tokens }.max()!
    for start in stride(from: first, to: end, by: chunk) {
      let positions = start..<min(start + chunk, end)
      try writer.write(
        cache.layers.map { layer in
          let own = positions.clamped(to: layer.firstPosition..<(layer.firstPosition + layer.tokens))
          let tokens = (own.lowerBound - layer.firstPosition)..<(own.upperBound - layer.firstPosition)
          return KVLayer(
            keys: layer.keys.tokens(in: tokens), values: layer.values?.tokens(in: tokens),
            firstPosition: max(positions.lowerBound, layer.firstPosition))
        })
    }
    for (number, other) in cache.others.enumerated() {
      for start in stride(from: 0, to: other.byteCount, by: 7) {
        try writer.write(other: number, Array(other.bytes[start..<min(start + 7, other.byteCount)]), at: start)
      }
    }
    #expect(try !FileManager.default.contentsOfDirectory(atPath: (path as NSString).deletingLastPathComponent).contains("out"))
    try writer.commit()
  }

  private static func blank(_ tensor: KVTensor) -> KVTensor {
    KVTensor(
      blankHeads: tensor.heads, tokens: tensor.tokens, channels: tensor.channels, element: tensor.element,
      zeros: KVStorage(zeroed: 4 * tensor.channels)!)!
  }

  @Test(arguments: [
    "stacked.safetensors", "token-first.safetensors", "dim-first.safetensors", "past.safetensors", "lmcache.safetensors",
    "vllm.safetensors", "fused.npy", "stored.npz", "deflated.npz", "both.safetensors", "huggingface.safetensors",
    "unlike.safetensors", "plain.ggsq", "transposed.ggsq", "latent.ggsq",
  ], [1, 2, 4, 100])
  func sameFile(name: String, chunk: Int) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kvparts-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("out").path
    let cache = try KVFixture.read(name)
    try Self.write(cache, to: path, chunk: chunk)
    #expect(try FileIO.read(path) == KVCacheWriter.bytes(cache), "\(name) in parts of \(chunk)")
    try FileManager.default.removeItem(atPath: path)
    var plain = cache
    plain.others.removeAll { $0.dtype.hasPrefix("numpy:") }
    try Self.write(plain, to: path, format: .safeTensors, chunk: chunk)
    #expect(try FileIO.read(path) == KVCacheWriter.bytes(plain, format: .safeTensors))
  }

  /// Layers that begin at different positions.
  @Test(arguments: [1, 3]) func windows(chunk: Int) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kvparts-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("out").path
    var cache = KVSample().cache()
    cache.layers[1] = KVLayer(
      keys: cache.layers[1].keys.tokens(in: 4..<6), values: cache.layers[1].values?.tokens(in: 4..<6), firstPosition: 4)
    try Self.write(cache, to: path, chunk: chunk)
    #expect(try FileIO.read(path) == KVCacheWriter.bytes(cache))
  }

  /// What has to be held has a limit, and nothing remains of what was refused.
  @Test func limit() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("kvparts-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let cache = KVSample().cache()
    for format in [KVFileFormat.numPyArchive, .safeTensors] {
      let isRefused = format == .numPyArchive
      do {
        let writer = try KVPartWriter(folder.path + "/out", format: format, maxMemory: cache.byteCount - 1)
        if isRefused {
          #expect(throws: MediaIOError(.tooLarge, at: "", "")) { try writer.begin(cache, others: []) }
        } else {
          try writer.begin(cache, others: [])
        }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }
  }
}
