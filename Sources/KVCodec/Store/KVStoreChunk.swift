import Bitstream
import Coding
import Media

/// A chunk's file: an `.ncb` file of the cache's part, its tokens' ids carried along, the key before it as metadata.
struct KVStoreChunk {
  private static let parentKey = "store.parent"

  let path: String
  /// Checked against the name.
  let tokens: [Int64]
  private let source: FileSource
  private let reader: ContainerReader<FileSource>

  /// The file of a part of a cache that begins at token `first`. Throws as the encoder does.
  static func bytes(
    _ cache: KVCache, from first: Int, tokens: ArraySlice<Int64>, parent: KVStoreKey, _ encoder: KVCacheEncoder
  ) throws -> [UInt8] {
    let range = first..<first + tokens.count
    let part = KVCache(
      layers: cache.layers.map {
        KVLayer(keys: $0.keys.tokens(in: range), values: $0.values?.tokens(in: range), firstPosition: first)
      }, keysAreRotated: cache.keysAreRotated, rope: cache.rope, ropeBase: cache.ropeBase, model: cache.model,
      others: [KVNamedTensor(name: KVCache.tokensName, shape: [tokens.count], integers: Array(tokens))],
      metadata: [(parentKey, parent.text)], source: cache.source)
    return try encoder.encode(part).bytes
  }

  /// Opens a file and reads what it says of itself. Throws `CodecError` that names the file where it is not what its name says.
  init(_ name: KVStoreName, in folder: String) throws(CodecError) {
    let path = "\(folder)/\(name.text)"
    self.path = path
    // A pipe would keep whoever opens it waiting.
    guard KVStoreFolder.status(of: path) != nil else { throw Self.damaged(path, "it is no regular file") }
    do {
      source = try FileSource(path: path)
      reader = try ContainerReader(source, checksums: .onDemand, navigation: .index)
      let isTold = reader.metadata.contains { $0 == .text(key: Self.parentKey, value: name.parent.text) }
      let tensors = try KVOthers.read(reader, maxMemory: 8 * Int(KVConfiguration.maximumChunk))
      guard isTold, let tensor = tensors.first(where: { $0.name == KVCache.tokensName }), let ids = tensor.integers,
        name.parent.next(ids) == name.key
      else { throw CodecError.damagedKV("its tokens are not those that its name stands for") }
      tokens = ids
    } catch {
      throw Self.damaged(path, error)
    }
  }

  /// Checks every checksum. Throws `CodecError` that names the file.
  func verify() throws(CodecError) {
    // From front to back: the index leads past what lies between.
    do { _ = try ContainerReader(source, checksums: .whenOpening, navigation: .scan) } catch { throw Self.damaged(path, error) }
  }

  /// The first `count` tokens, which begin at position `first`. Throws `CodecError`, which names the file where it is damaged;
  /// `CancellationError`.
  func decode(first: Int, count: Int, _ options: KVCacheDecoder.Options) throws -> KVCache {
    var options = options
    options.tokens = first..<first + count
    do {
      let cache = try KVCacheDecoder(options: options).decode(source)
      guard cache.layers.allSatisfy({ $0.tokens == count && $0.firstPosition == first }) else {
        throw CodecError.damagedKV("its tokens do not begin at \(first)")
      }
      return cache
    } catch let error as CodecError where error.code != .limitExceeded {
      throw Self.damaged(path, error)
    }
  }

  static func damaged(_ path: String, _ reason: Any) -> CodecError {
    let reason = "\(reason)"
    return CodecError(
      .malformed, "\(path): this chunk is not intact: \(reason.hasSuffix(".") ? reason : reason + ".") Add its cache again, which repairs it, or remove the file.")
  }
}

extension KVCache {
  /// Whether layers of both fit behind one another.
  func hasSameShape(as other: KVCache) -> Bool {
    func isSame(_ a: KVTensor?, _ b: KVTensor?) -> Bool {
      guard let a, let b else { return (a == nil) == (b == nil) }
      return a.heads == b.heads && a.channels == b.channels && a.element == b.element
    }
    return layers.count == other.layers.count
      && zip(layers, other.layers).allSatisfy { isSame($0.keys, $1.keys) && isSame($0.values, $1.values) }
  }
}
