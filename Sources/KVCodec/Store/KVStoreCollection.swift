public import Coding
import Glibc

extension KVStore {
  /// What `collect` did.
  public struct Collected: Sendable, Equatable {
    public var removedChunks = 0
    public var removedBytes = 0
    /// Temporary files that processes had left which ended in the middle.
    public var removedTemporaries = 0
    public var keptChunks = 0
    public var keptBytes = 0
  }

  /// Temporary files older than that are leftovers, in seconds. A writer holds its own for as long as the disk takes, and
  /// locks `collect` out meanwhile; file systems that do not lock make the age needed.
  public static let temporaryLife = 3600

  /// Removes the chunks that were not used for longest, until no more than `maxBytes` of them are left, and those that were not
  /// used for `olderThan` seconds. A chunk goes only after all that continue it, so that every one left can be got.
  ///
  /// Chunks that nothing leads to, and leftovers of processes that ended in the middle, go in any case; other files stay. It waits
  /// for `add` and `prefix` to end, and they for it, so none is removed in use.
  ///
  /// Throws `CodecError`: inputOutput, invalidOption.
  public func collect(maxBytes: Int? = nil, olderThan: Int? = nil) throws(CodecError) -> Collected {
    guard maxBytes ?? 0 >= 0, olderThan ?? 0 >= 0 else {
      throw CodecError(.invalidOption, "neither bytes nor an age can be below 0")
    }
    let lock = try folder.lock(exclusively: true)
    defer { withExtendedLifetime(lock) {} }
    let survey = try KVStoreSurvey(folder)
    let now = KVStoreFolder.now
    var collected = Collected()
    for file in survey.temporaries {
      guard let status = KVStoreFolder.status(of: file), Self.age(status.lastUse, now) >= Self.temporaryLife else { continue }
      try Self.remove(file)
      collected.removedTemporaries += 1
    }

    let nodes = survey.trees.flatMap { tree in tree.nodes.map { (file: "\(tree.place)/\($0.name.text)", node: $0) } }
    var left = nodes.reduce(0) { $0 + $1.node.bytes }
    // What is used below a chunk uses it too; then the order below puts all that continue a chunk before it.
    let order = nodes.sorted { a, b in
      let (x, y) = (a.node, b.node)
      guard (x.depth == nil) == (y.depth == nil) else { return x.depth == nil }
      if x.lastUseBelow != y.lastUseBelow { return x.lastUseBelow < y.lastUseBelow }
      if x.depth != y.depth { return x.depth ?? 0 > y.depth ?? 0 }
      return a.file < b.file
    }
    for (file, node) in order {
      let isOld = olderThan.map { Self.age(node.lastUseBelow, now) >= $0 } ?? false
      guard node.depth == nil || isOld || left > maxBytes ?? .max else {
        collected.keptChunks += 1
        collected.keptBytes += node.bytes
        continue
      }
      try Self.remove(file)
      left -= node.bytes
      collected.removedChunks += 1
      collected.removedBytes += node.bytes
    }
    for tree in survey.trees where try KVStoreFolder.names(in: tree.place).allSatisfy({ $0 == KVStoreRoot.fileName }) {
      unlink("\(tree.place)/\(KVStoreRoot.fileName)")
      rmdir(tree.place)
    }
    return collected
  }

  /// In seconds.
  private static func age(_ time: Int64, _ now: Int64) -> Int { Int((now &- time) / 1_000_000_000) }

  private static func remove(_ file: String) throws(CodecError) {
    guard unlink(file) == 0 || errno == ENOENT else { throw .system(file) }
  }
}
