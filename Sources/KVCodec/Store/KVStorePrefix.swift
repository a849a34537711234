import Coding
public import Media

extension KVStore {
  /// What a store had of a text.
  public struct Prefix: Sendable {
    /// With the ids of its tokens as the tensor `tokens`.
    public let cache: KVCache
    /// How many of those that were asked for, from the first on.
    public let tokens: Int
    /// Files that it came from.
    public let chunks: Int
    /// How they were coded: "lossless", or "quality" and a number, and from effort 5 on "adaptive", or "profile" and its hash.
    public let coding: String
  }

  /// Which of a store's caches may be given back; nil allows all.
  public struct Selection: Sendable {
    public var model: String?
    public var fingerprint: String?
    /// "lossless", or "quality" and a number, which stands for all efforts, or what `Prefix.coding` says.
    public var coding: String?

    public init() {}
  }

  /// The longest stored prefix of a text, or nil where not even its first token is stored. Its chunks count as used.
  ///
  /// The last chunk may be one that only begins as the text goes on, and is then given back in part. Among equally long prefixes,
  /// the best coding is taken; such as need another profile than the options' only where there are no others.
  ///
  /// Throws `CodecError`: inputOutput, also where there is no store; invalidOption where prefixes of several models are stored
  /// and `selection` names none; unsupported where a profile is needed; malformed, with its name, for a chunk that is damaged; limitExceeded;
  /// `CancellationError`.
  public func prefix(of tokens: [Int64], _ selection: Selection = Selection()) throws -> Prefix? {
    let lock = try folder.lock(exclusively: false)
    defer { withExtendedLifetime(lock) {} }
    var found: [(root: KVStoreRoot, path: Path)] = []
    for root in try roots() where allows(selection, root) {
      let path = try longest(tokens, under: root)
      if path.tokens > 0 { found.append((root, path)) }
    }
    let readable = found.filter { $0.root.profile == nil || $0.root.profile == options.encoder.profile?.shortHash }
    if readable.isEmpty, let other = found.first, let profile = other.root.profile {
      throw CodecError(
        .unsupported, "these tokens are stored with the profile \(profile) of \(other.root.model.debugDescription). Give it with --profile.")
    }
    found = readable
    guard let best = found.max(by: { ($0.path.tokens, $0.root.rank) < ($1.path.tokens, $1.root.rank) }) else { return nil }
    if let other = found.first(where: { ($0.root.fingerprint, $0.root.model) != (best.root.fingerprint, best.root.model) }) {
      throw CodecError(
        .invalidOption, "these tokens are stored for several models, \(other.root.fingerprint.debugDescription) and \(best.root.fingerprint.debugDescription). Say which one is meant.")
    }
    let cache = try read(best.path, tokens)
    for step in best.path.steps { KVStoreFolder.touch("\(best.path.place)/\(step.name.text)") }
    return Prefix(cache: cache, tokens: best.path.tokens, chunks: best.path.steps.count, coding: best.root.coding)
  }

  private func allows(_ selection: Selection, _ root: KVStoreRoot) -> Bool {
    (selection.model ?? root.model) == root.model && (selection.fingerprint ?? root.fingerprint) == root.fingerprint
      && (selection.coding.map { root.coding == $0 || root.coding.hasPrefix($0 + " ") } ?? true)
  }

  /// The roots with an intact description. Throws `CodecError` (inputOutput).
  func roots() throws(CodecError) -> [KVStoreRoot] {
    var roots: [KVStoreRoot] = []
    for name in try KVStoreFolder.names(in: path) {
      guard let key = KVStoreKey(name), KVStoreFolder.isFolder(folder.path(name)),
        let bytes = try KVStoreFolder.read(folder.path(name, KVStoreRoot.fileName), limit: KVStoreRoot.maximumBytes),
        let root = KVStoreRoot(bytes, key: key)
      else { continue }
      roots.append(root)
    }
    return roots
  }

  /// Chunks one behind the other, of the last one maybe not all tokens.
  private struct Path {
    let place: String
    var tokens = 0
    var steps: [(name: KVStoreName, first: Int, count: Int)] = []

    mutating func append(_ name: KVStoreName, _ count: Int) {
      steps.append((name, tokens, count))
      tokens += count
    }
  }

  private func longest(_ tokens: [Int64], under root: KVStoreRoot) throws -> Path {
    let place = folder.path(root.key.text)
    var children: [KVStoreKey: Set<KVStoreKey>] = [:]
    for name in try KVStoreFolder.names(in: place).compactMap(KVStoreName.init) {
      children[name.parent, default: []].insert(name.key)
    }
    var path = Path(place: place)
    var parent = root.key
    while path.tokens < tokens.count, let candidates = children[parent] {
      try Task.checkCancellation()
      let rest = tokens[path.tokens...]
      let next = rest.prefix(root.chunkTokens)
      let name = KVStoreName(key: parent.next(next), parent: parent)
      if candidates.contains(name.key) {
        path.append(name, next.count)
        parent = name.key
        continue
      }
      // None goes on as the text does to its end: one may for a while. What a damaged one holds cannot be told.
      var best: (name: KVStoreName, count: Int)?
      for key in candidates.sorted() {
        let name = KVStoreName(key: key, parent: parent)
        guard let chunk = try? KVStoreChunk(name, in: place) else { continue }
        let count = zip(chunk.tokens, rest).prefix { $0 == $1 }.count
        if count > best?.count ?? 0 { best = (name, count) }
      }
      if let best { path.append(best.name, best.count) }
      break
    }
    return path
  }

  /// Throws `CodecError`, `CancellationError`.
  private func read(_ path: Path, _ tokens: [Int64]) throws -> KVCache {
    var options = KVCacheDecoder.Options()
    (options.threads, options.maxMemory) = (self.options.encoder.threads, self.options.maxMemory)
    options.profile = self.options.encoder.profile
    var whole: KVCache?
    for step in path.steps {
      let chunk = try KVStoreChunk(step.name, in: path.place)
      let part = try chunk.decode(first: step.first, count: step.count, options)
      let cache = try whole ?? room(for: path.tokens, like: part)
      whole = cache
      guard part.hasSameShape(as: cache) else {
        throw KVStoreChunk.damaged(chunk.path, "its layers are not those of the chunks before it")
      }
      for (from, to) in zip(part.layers, cache.layers) {
        from.keys.copyRows(to: to.keys, at: step.first)
        if let values = from.values, let target = to.values { values.copyRows(to: target, at: step.first) }
      }
      self.options.encoder.progress?(
        CodingProgress(fraction: Double(step.first + step.count) / Double(path.tokens), stage: "chunks"))
    }
    guard var cache = whole else { throw CodecError(.invalidOption, "no tokens are asked for") }
    cache.others = [KVNamedTensor(name: KVCache.tokensName, shape: [path.tokens], integers: Array(tokens[..<path.tokens]))]
    cache.metadata = []
    return cache
  }

  /// A cache of zeros with the layers of a part, of more tokens. Throws `CodecError` (limitExceeded).
  private func room(for tokens: Int, like part: KVCache) throws(CodecError) -> KVCache {
    var bytes = 0
    func tensor(_ like: KVTensor) throws(CodecError) -> KVTensor {
      let (size, overflows) = (like.heads * like.rowBytes).multipliedReportingOverflow(by: tokens)
      guard !overflows, size <= options.maxMemory - bytes else {
        throw CodecError(.limitExceeded, "the cache takes more than the \(options.maxMemory) bytes allowed. Raise maxMemory, or ask for fewer tokens.")
      }
      bytes += size
      guard let made = KVTensor(zeroedHeads: like.heads, tokens: tokens, channels: like.channels, element: like.element) else {
        throw CodecError(.limitExceeded, "there is no memory for the cache. Free some, or ask for fewer tokens.")
      }
      return made
    }
    var cache = part
    cache.layers = []
    for layer in part.layers {
      let values: KVTensor? = if let values = layer.values { try tensor(values) } else { nil }
      cache.layers.append(KVLayer(keys: try tensor(layer.keys), values: values))
    }
    return cache
  }
}

extension KVStoreRoot {
  /// Greater for better codings.
  fileprivate var rank: Int { coding == "lossless" ? 101 : coding.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? -1 }
}

extension KVTensor {
  /// Copies all rows to those of a tensor of the same heads, channels and element from token `first` on.
  fileprivate func copyRows(to target: KVTensor, at first: Int) {
    for head in 0..<heads {
      for token in 0..<tokens {
        withRow(head: head, token: token) { row in
          target.withMutableRow(head: head, token: first + token) { $0.copyMemory(from: row) }
        }
      }
    }
  }
}
