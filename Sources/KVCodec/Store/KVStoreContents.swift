public import Coding

extension KVStore {
  /// What a store holds.
  public struct Contents: Sendable {
    public var trees: [Tree] = []
    /// Temporary files, of writers at work or of such that ended in the middle.
    public var temporaries = 0
    /// Paths of what no store has put there.
    public var strangers: [String] = []

    public var chunks: Int { trees.reduce(0) { $0 + $1.chunks.count } }
    public var bytes: Int { trees.reduce(0) { $0 + $1.chunks.reduce(0) { $0 + $1.bytes } } }
  }

  /// The chunks of one model in one coding.
  public struct Tree: Sendable {
    public let key: String
    /// Empty, as is the rest, where the description is damaged; adding a cache repairs it.
    public let model: String
    public let fingerprint: String
    public let coding: String
    public let chunkTokens: Int
    /// Each behind the one that it continues; then those that continue none.
    public let chunks: [Chunk]
  }

  public struct Chunk: Sendable {
    public let key: String
    /// Of the chunk before it, or of the tree.
    public let parent: String
    /// How many chunks stand before it; nil where one of them is missing, so that it cannot be reached.
    public let depth: Int?
    /// Nil where the file is damaged at its beginning.
    public let tokens: Int?
    public let bytes: Int
    /// When it was last added or got, in seconds since 1970.
    public let lastUse: Int
  }

  /// Lists all chunks; of their files only the beginnings are read. Throws `CodecError` (inputOutput).
  public func contents() throws(CodecError) -> Contents {
    let lock = try folder.lock(exclusively: false)
    defer { withExtendedLifetime(lock) {} }
    let survey = try KVStoreSurvey(folder)
    var contents = Contents(temporaries: survey.temporaries.count, strangers: survey.strangers)
    for tree in survey.trees {
      let chunks = tree.nodes.map { node in
        Chunk(
          key: node.name.key.text, parent: node.name.parent.text, depth: node.depth,
          tokens: (try? KVStoreChunk(node.name, in: tree.place))?.tokens.count, bytes: node.bytes,
          lastUse: Int(node.lastUse / 1_000_000_000))
      }
      let root = tree.root
      contents.trees.append(
        Tree(
          key: tree.key.text, model: root?.model ?? "", fingerprint: root?.fingerprint ?? "", coding: root?.coding ?? "",
          chunkTokens: root?.chunkTokens ?? 0, chunks: chunks))
    }
    return contents
  }
}

/// What lies in a store's folder, by names, sizes and times alone. To be taken under its lock.
struct KVStoreSurvey {
  struct Node {
    let name: KVStoreName
    /// Nil where it cannot be reached.
    var depth: Int?
    let bytes: Int
    /// Nanoseconds since 1970.
    let lastUse: Int64
    /// Of it and all that continue it, the latest.
    var lastUseBelow: Int64
  }

  struct Tree {
    let key: KVStoreKey
    let place: String
    /// Nil where the description is damaged or missing.
    let root: KVStoreRoot?
    /// Depth first, siblings by key; then those that cannot be reached.
    let nodes: [Node]
  }

  private(set) var trees: [Tree] = []
  private(set) var temporaries: [String] = []
  private(set) var strangers: [String] = []

  /// Throws `CodecError` (inputOutput).
  init(_ folder: KVStoreFolder) throws(CodecError) {
    for name in try KVStoreFolder.names(in: folder.path) where name != KVStoreFolder.lockName {
      let place = folder.path(name)
      guard let key = KVStoreKey(name), KVStoreFolder.isFolder(place) else {
        strangers.append(place)
        continue
      }
      trees.append(try tree(key, place))
    }
  }

  private mutating func tree(_ key: KVStoreKey, _ place: String) throws(CodecError) -> Tree {
    var root: KVStoreRoot?
    var children: [KVStoreKey: [Node]] = [:]
    var count = 0
    for text in try KVStoreFolder.names(in: place) {
      let file = "\(place)/\(text)"
      let status = KVStoreFolder.status(of: file)
      if let status, let name = KVStoreName(text) {
        children[name.parent, default: []].append(
          Node(name: name, depth: nil, bytes: status.bytes, lastUse: status.lastUse, lastUseBelow: status.lastUse))
        count += 1
      } else if status != nil, text == KVStoreRoot.fileName {
        root = (try? KVStoreFolder.read(file, limit: KVStoreRoot.maximumBytes)).flatMap { KVStoreRoot($0, key: key) }
      } else if status != nil, KVStoreFolder.isTemporary(text) {
        temporaries.append(file)
      } else {
        strangers.append(file)
      }
    }
    return Tree(key: key, place: place, root: root, nodes: Self.ordered(&children, root: key, count: count))
  }

  /// Names are hostile: keys may stand twice, and what continues what may go round in a circle.
  private static func ordered(_ children: inout [KVStoreKey: [Node]], root: KVStoreKey, count: Int) -> [Node] {
    var nodes: [Node] = []
    nodes.reserveCapacity(count)
    var stack: [(node: Node, parent: Int?)] = []
    var parents: [Int?] = []
    func push(_ key: KVStoreKey, depth: Int, parent: Int?) {
      // Taken out, so that none is visited twice.
      for var node in (children.removeValue(forKey: key) ?? []).reversed() {
        node.depth = depth
        stack.append((node, parent))
      }
    }
    push(root, depth: 0, parent: nil)
    while let (node, parent) = stack.popLast() {
      nodes.append(node)
      parents.append(parent)
      push(node.name.key, depth: (node.depth ?? 0) + 1, parent: nodes.count - 1)
    }
    for i in nodes.indices.reversed() {
      if let parent = parents[i] { nodes[parent].lastUseBelow = max(nodes[parent].lastUseBelow, nodes[i].lastUseBelow) }
    }
    return nodes + children.sorted { $0.key < $1.key }.flatMap(\.value)
  }
}
