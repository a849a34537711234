import Coding
import Glibc
public import Media

/// A folder that keeps caches in chunks, each common prefix once.
///
///     let store = KVStore(at: "caches")
///     try store.add(cache)
///     let found = try store.prefix(of: tokens)    // found?.cache has the first found?.tokens of them
///
/// Chunks are `.ncb` files, named by a hash of the model, the coding and all tokens up to their end (`KVStoreFolder` has the
/// folder's layout). Any number of processes and tasks may use a folder at once, on one machine or on file systems that lock
/// across machines; one that ends in the middle leaves a temporary file at most, which `collect` removes in time.
public struct KVStore: Sendable {
  public struct Options: Sendable {
    /// How chunks are coded, and `chunkTokens`, their size. Its target is a quality or lossless. From effort 5 on each chunk is
    /// coded on its own, and no tokens are in finer steps, as any may be followed by others. Its profile, if any, is for reading
    /// too.
    public var encoder = KVCacheEncoder.Options()
    /// Stands for the model's weights, such as their hash; nil: the name that caches say. Two models of one name need it.
    public var fingerprint: String?
    /// Most memory that a cache may take that is given back, in bytes.
    public var maxMemory = 16 << 30

    public init() {}
  }

  /// What `add` did.
  public struct Added: Sendable, Equatable {
    public var tokens = 0
    /// Chunks that are new, and their files' bytes.
    public var newChunks = 0
    public var newBytes = 0
    /// Chunks that were there.
    public var sharedChunks = 0
    public var sharedBytes = 0
    /// Those of the new ones that were there and damaged.
    public var repairedChunks = 0
  }

  public let path: String
  public var options: Options
  var folder: KVStoreFolder { KVStoreFolder(path: path) }

  /// Touches nothing; `add` makes the folder.
  public init(at path: String, options: Options = Options()) {
    self.path = path.isEmpty ? "." : path
    self.options = options
  }

  /// Adds a cache's chunks where they are not there yet.
  ///
  /// `tokens`: the ids of its tokens from position 0 on, at least as many as it has; nil: those of its tensor `tokens`. Other
  /// tensors and metadata are not kept. Cancelling the surrounding task stops it; chunks added so far stay.
  ///
  /// Throws `CodecError`: invalidOption, unsupported for caches that do not begin at position 0 or have lost tokens,
  /// inputOutput; `CancellationError`.
  public func add(_ cache: KVCache, tokens: [Int64]? = nil) throws -> Added {
    let ids = try self.tokens(of: cache, tokens)
    let root = try KVStoreRoot(cache, options)
    var encoderOptions = options.encoder
    (encoderOptions.progress, encoderOptions.recentTokens) = (nil, 0)
    let encoder = KVCacheEncoder(options: encoderOptions)
    let size = root.chunkTokens
    guard (1...65_536).contains(size) else { throw CodecError(.invalidOption, "\(size) tokens in a chunk are not 1 to 65536") }
    let lock = try folder.lock(exclusively: false, creating: true)
    defer { withExtendedLifetime(lock) {} }
    var parent = root.key
    let place = try open(root)
    var added = Added(tokens: ids.count)
    for first in stride(from: 0, to: ids.count, by: size) {
      try Task.checkCancellation()
      let part = ids[first..<min(first + size, ids.count)]
      let name = KVStoreName(key: parent.next(part), parent: parent)
      let file = "\(place)/\(name.text)"
      let isThere = KVStoreFolder.exists(file)
      if isThere, isIntact(name, in: place) {
        KVStoreFolder.touch(file)
        added.sharedChunks += 1
        added.sharedBytes += KVStoreFolder.status(of: file)?.bytes ?? 0
      } else {
        let bytes = try KVStoreChunk.bytes(cache, from: first, tokens: part, parent: parent, encoder)
        if try KVStoreFolder.write(bytes, to: name.text, in: place, replacing: isThere) {
          added.newChunks += 1
          added.newBytes += bytes.count
          added.repairedChunks += isThere ? 1 : 0
        } else {
          // Another process was faster.
          added.sharedChunks += 1
          added.sharedBytes += bytes.count
        }
      }
      parent = name.key
      options.encoder.progress?(CodingProgress(fraction: Double(part.endIndex) / Double(ids.count), stage: "chunks"))
    }
    KVStoreFolder.synchronise(place)
    return added
  }

  /// As many ids as the cache has tokens. Throws `CodecError`.
  private func tokens(of cache: KVCache, _ given: [Int64]?) throws(CodecError) -> ArraySlice<Int64> {
    let count = cache.tokens
    for (number, layer) in cache.layers.enumerated() where layer.firstPosition != 0 || layer.tokens != count {
      throw CodecError(
        .unsupported, "layer \(number) has \(layer.tokens) tokens from position \(layer.firstPosition) on, others \(count) from 0: a prefix of it cannot be shared. Store caches that have kept all tokens.")
    }
    guard !cache.others.contains(where: { $0.name == KVCache.positionsName }) else {
      throw CodecError(
        .unsupported, "the cache was reduced, each head to other tokens: a prefix of it cannot be shared. Store it before it is reduced.")
    }
    guard let ids = given ?? cache.tokenIDs else {
      throw CodecError(
        .unsupported, "the cache has no tensor \"\(KVCache.tokensName)\" with the ids of its tokens, by which it is stored. Give them.")
    }
    guard ids.count >= count, count > 0 else {
      throw CodecError(.invalidOption, "there are \(ids.count) token ids for \(count) tokens. Give one for each.")
    }
    return ids[..<count]
  }

  /// The folder of a root's chunks, made if need be. Throws `CodecError`.
  private func open(_ root: KVStoreRoot) throws(CodecError) -> String {
    let place = folder.path(root.key.text)
    if mkdir(place, 0o777) != 0, errno != EEXIST { throw .system(place) }
    guard KVStoreFolder.isFolder(place) else { throw CodecError(.inputOutput, "\(place): is no folder. Remove it.") }
    let description = "\(place)/\(KVStoreRoot.fileName)"
    let bytes = try KVStoreFolder.read(description, limit: KVStoreRoot.maximumBytes)
    if bytes.flatMap({ KVStoreRoot($0, key: root.key) }) == nil {
      _ = try KVStoreFolder.write(Array(root.description.utf8), to: KVStoreRoot.fileName, in: place, replacing: bytes != nil)
      KVStoreFolder.synchronise(place)
      KVStoreFolder.synchronise(path)
    }
    return place
  }

  private func isIntact(_ name: KVStoreName, in place: String) -> Bool {
    do {
      try KVStoreChunk(name, in: place).verify()
      return true
    } catch { return false }
  }
}
