import Coding
import Foundation
import KVCodec
import Media
import Testing

/// What a store does about age, crashes and hostile folders.
@Suite struct KVStoreCareTests {
  private static let text = KVStoreTests.text

  /// Two texts with two common chunks of four each: ages in seconds by depth, of the first and of the second one's own.
  private static func aged(_ folder: StoreFolder) throws -> (first: [String], second: [String]) {
    let store = folder.store()
    let other = Array(text.prefix(32)) + (0..<18).map { Int64($0) }
    _ = try store.add(KVStoreTests.cache(text))
    let before = Set(try folder.chunks)
    _ = try store.add(KVStoreTests.cache(other))
    func byDepth(_ files: Set<String>) throws -> [String] {
      let tree = try store.contents().trees[0]
      return try files.sorted { a, b in
        func depth(_ file: String) throws -> Int { try #require(tree.chunks.first { file.contains("/\($0.key)-") }?.depth) }
        return try depth(a) < depth(b)
      }
    }
    return (try byDepth(before), try byDepth(Set(try folder.chunks).subtracting(before)))
  }

  @Test func leastRecentlyUsedLeavesGoFirst() throws {
    let folder = try StoreFolder(), store = folder.store()
    let (first, second) = try Self.aged(folder)
    #expect(first.count == 4 && second.count == 2)
    // The common ones look oldest, but are used by what continues them.
    for (file, age) in [(first[0], 900.0), (first[1], 800), (first[2], 500), (first[3], 300), (second[0], 700), (second[1], 400)] {
      try folder.age(file, age)
    }
    let total = try store.contents().bytes
    #expect(try store.collect(maxBytes: total).removedChunks == 0)
    var left = Set(try folder.chunks)
    for expected in [second[1], second[0], first[3], first[2], first[1], first[0]] {
      let collected = try store.collect(maxBytes: try store.contents().bytes - 1)
      #expect(collected.removedChunks == 1)
      let now = Set(try folder.chunks)
      #expect(left.subtracting(now) == [expected])
      left = now
    }
    // The tree's folder went with its last chunk.
    #expect(try folder.files == ["store.lock"])
  }

  @Test func oldOnesGoAndUseMakesYoung() throws {
    let folder = try StoreFolder(), store = folder.store()
    let (first, second) = try Self.aged(folder)
    for file in first + second { try folder.age(file, 1000) }
    #expect(try store.collect(olderThan: 2000).removedChunks == 0)
    // Getting the first text uses its chunks.
    _ = try store.prefix(of: Self.text)
    let collected = try store.collect(olderThan: 500)
    #expect(collected.removedChunks == 2 && collected.keptChunks == 4 && collected.removedBytes > 0)
    #expect(try folder.chunks == first.sorted())
    #expect(throws: CodecError.self) { _ = try store.collect(maxBytes: -1) }
  }

  /// A writer that died leaves a temporary file: nobody minds it, and it goes when it is old.
  @Test func leftoversOfCrashesGo() throws {
    let folder = try StoreFolder(), store = folder.store()
    _ = try store.add(KVStoreTests.cache(Self.text))
    let root = try #require(try folder.chunks.first?.split(separator: "/").first)
    for name in ["old", "new"] {
      try Data([1, 2, 3]).write(to: URL(fileURLWithPath: "\(folder.path)/\(root)/.chunk-\(name).tmp"))
    }
    try folder.age("\(root)/.chunk-old.tmp", 2 * Double(KVStore.temporaryLife))
    #expect(try store.contents().temporaries == 2)
    #expect(try store.add(KVStoreTests.cache(Self.text)).sharedChunks == 4)
    let collected = try store.collect()
    #expect(collected.removedTemporaries == 1 && collected.removedChunks == 0 && collected.keptChunks == 4)
    #expect(try folder.files.contains("\(root)/.chunk-new.tmp") && !folder.files.contains("\(root)/.chunk-old.tmp"))
  }

  /// Chunks behind a missing one cannot be got, say so, and go.
  @Test func lostChunksGo() throws {
    let folder = try StoreFolder(), store = folder.store()
    let (first, _) = try Self.aged(folder)
    try FileManager.default.removeItem(atPath: "\(folder.path)/\(first[2])")
    #expect(try store.contents().trees[0].chunks.count { $0.depth == nil } == 1)
    #expect(try store.prefix(of: Self.text)?.tokens == 32)
    #expect(try store.collect().removedChunks == 1)
    #expect(try folder.chunks.count == 4)
  }

  @Test(arguments: ["empty", "truncated", "flipped", "another", "folder", "link"])
  func damagedChunksAreNamedAndRepaired(how: String) throws {
    let folder = try StoreFolder(), store = folder.store()
    let cache = KVStoreTests.cache(Self.text)
    let (first, second) = try Self.aged(folder)
    let file = "\(folder.path)/\(first[3])"
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
    switch how {
    case "empty": bytes = []
    case "truncated": bytes.removeLast(bytes.count / 3)
    case "flipped": bytes[bytes.count / 2] ^= 16
    case "another": bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(second[1])")))
    default: break
    }
    try FileManager.default.removeItem(atPath: file)
    switch how {
    case "folder": try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: false)
    case "link": try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "/dev/zero")
    default: try Data(bytes).write(to: URL(fileURLWithPath: file))
    }
    do {
      _ = try store.prefix(of: Self.text)
      Issue.record("a damaged chunk was given back")
    } catch let error as CodecError {
      #expect(error.code == .malformed && error.description.contains(file), "\(error)")
    }
    // What stands before it can be had still.
    #expect(try store.prefix(of: Array(Self.text.prefix(48)))?.tokens == 48)
    if how == "folder" {
      // Nothing that a store removes.
      #expect(throws: CodecError(.inputOutput, "")) { _ = try store.add(cache) }
    } else {
      let added = try store.add(cache)
      #expect(added.newChunks == 1 && added.sharedChunks == 3)
      #expect(added.repairedChunks == 1)
      #expect(KVStoreTests.hasPrefix(try #require(try store.prefix(of: Self.text)).cache, of: cache, 50))
    }
  }

  @Test func strangeFilesHarmNothing() throws {
    let folder = try StoreFolder(), store = folder.store()
    let cache = KVStoreTests.cache(Self.text)
    _ = try store.add(cache)
    let root = String(try #require(try folder.chunks.first).prefix(64))
    let key = String(repeating: "ab", count: 32), other = String(repeating: "cd", count: 32)
    // Names that go round in circles, that are none, pipes that nobody writes to.
    for name in [
      "junk", "\(key)", "\(root)/junk.ncb", "\(root)/\(key)-\(other).ncb", "\(root)/\(other)-\(key).ncb", "\(root)/\(root)-\(root).ncb",
      "\(root)/\(key)-\(root).ncb", "\(root)/\(key.uppercased())-\(root).ncb",
    ] {
      try Data("junk".utf8).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
    }
    #expect(mkfifo("\(folder.path)/\(root)/\(other)-\(root).ncb", 0o600) == 0)
    try FileManager.default.createDirectory(atPath: "\(folder.path)/\(other)", withIntermediateDirectories: false)
    let contents = try store.contents()
    #expect(contents.strangers.count == 5 && contents.trees.count == 2)
    #expect(contents.trees.first { $0.key == root }?.chunks.count == 8)
    #expect(KVStoreTests.hasPrefix(try #require(try store.prefix(of: Self.text)).cache, of: cache, 50))
    #expect(try store.prefix(of: Array(Self.text.prefix(5)))?.tokens == 5)
    #expect(try store.add(cache).sharedChunks == 4)
    _ = try store.collect(olderThan: 1000)
    #expect(try folder.chunks.count >= 4 && folder.files.contains("junk"))
    #expect(try store.prefix(of: Self.text)?.tokens == 50)
  }

  /// Without its description a tree says nothing of itself; adding writes it again.
  @Test func descriptionsAreRepaired() throws {
    let folder = try StoreFolder(), store = folder.store()
    let cache = KVStoreTests.cache(Self.text)
    _ = try store.add(cache)
    let root = try #require(try folder.files.first { $0.hasSuffix("/root") })
    let whole = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(root)"))
    for damaged in [Data(), whole.dropLast(), Data([0xFF]), whole + Data("x".utf8)] {
      try damaged.write(to: URL(fileURLWithPath: "\(folder.path)/\(root)"))
      #expect(try store.prefix(of: Self.text) == nil)
      #expect(try store.contents().trees[0].coding.isEmpty)
      #expect(try store.add(cache).sharedChunks == 4)
      #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(root)")) == whole)
      #expect(try store.prefix(of: Self.text)?.tokens == 50)
    }
  }

  /// What collects waits for who gets, and the other way round.
  @Test func locksExclude() throws {
    let folder = try StoreFolder(), store = folder.store()
    _ = try store.add(KVStoreTests.cache(Self.text))
    let descriptor = open("\(folder.path)/store.lock", O_RDWR)
    defer { close(descriptor) }
    for (lock, work) in [
      (LOCK_SH, { @Sendable in _ = try store.collect(olderThan: 0) }), (LOCK_EX, { @Sendable in _ = try store.prefix(of: Self.text) }),
    ] as [(Int32, @Sendable () throws -> Void)] {
      _ = try store.add(KVStoreTests.cache(Self.text))
      #expect(flock(descriptor, lock) == 0)
      let done = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        try? work()
        done.signal()
      }
      #expect(done.wait(timeout: .now() + 0.2) == .timedOut)
      #expect(try folder.chunks.count == 4)
      #expect(flock(descriptor, LOCK_UN) == 0)
      #expect(done.wait(timeout: .now() + 20) == .success)
    }
  }
}
