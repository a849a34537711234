import Foundation
import Glibc
import Testing

/// Caches several times larger than the memory that a process may have.
struct KVStreamingTests {
  private static let layers = 4
  private static let heads = 4
  private static let channels = 64
  /// 100 MB of cache.
  private static let tokens = 49_152

  /// A safetensors file of halves that differ by layer, head and token, made without holding it; "tokens" beside them.
  private static func make(_ path: String) throws {
    let plane = tokens * channels * 2, size = layers * heads * plane
    let shape = "[\(layers),\(heads),\(tokens),\(channels)]"
    var header = """
      {"__metadata__":{"axes":"layer,kv_head,token,head_dim","rope_layout":"halves"},\
      "k":{"dtype":"F16","shape":\(shape),"data_offsets":[0,\(size)]},\
      "v":{"dtype":"F16","shape":\(shape),"data_offsets":[\(size),\(2 * size)]},\
      "tokens":{"dtype":"I32","shape":[\(tokens)],"data_offsets":[\(2 * size),\(2 * size + 4 * tokens)]}}
      """
    header += String(repeating: " ", count: (64 - (header.utf8.count + 8) % 64) % 64)
    FileManager.default.createFile(atPath: path, contents: nil)
    let file = try #require(FileHandle(forWritingAtPath: path))
    defer { try? file.close() }
    var count = UInt64(header.utf8.count).littleEndian
    try file.write(contentsOf: Data(bytes: &count, count: 8) + Data(header.utf8))
    var state: UInt64 = 1
    for _ in 0..<(2 * layers * heads) {
      // Signs, four exponents and all mantissas.
      let halves = (0..<(plane / 2)).map { _ -> UInt16 in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt16(truncatingIfNeeded: state >> 40) & 0x8FFF | 0x3000
      }
      try halves.withUnsafeBytes { try file.write(contentsOf: Data($0)) }
    }
    let ids = (0..<tokens).map { Int32(truncatingIfNeeded: $0 &* 2_654_435_761 % 49_152) }
    try ids.withUnsafeBytes { try file.write(contentsOf: Data($0)) }
  }

  /// `limit`: kB of private writable memory, stacks included.
  private static func run(_ arguments: [String], limit: Int, in folder: Folder) throws -> Command.Outcome {
    let process = Command.process(arguments, in: folder)
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "ulimit -d \(limit) && exec \"$0\" \"$@\"", Command.binary.path] + arguments
    return try Command.finish(process)
  }

  @Test func cachesLargerThanMemory() throws {
    let folder = try Folder()
    try Self.make(folder.path("c.safetensors"))
    let limit = 24 * 1024
    let encoding = try Self.run(["encode", "--threads", "1", "c.safetensors", "c.ncb"], limit: limit, in: folder)
    #expect(encoding.status == 0, "\(encoding.errors)")
    for (format, end) in [("safetensors", "safetensors"), ("npy", "npy")] {
      let decoding = try Self.run(["decode", "--threads", "1", "--format", format, "c.ncb", "back.\(end)"], limit: limit, in: folder)
      #expect(decoding.status == 0, "\(decoding.errors)")
    }
    // As when all is held, without a limit.
    let piped = try Command.run("decode", "c.ncb", "-", in: folder)
    #expect(try piped.status == 0 && piped.output == folder.read("back.safetensors"))
    #expect(try FileManager.default.attributesOfItem(atPath: folder.path("back.npy"))[.size] as? Int == 128 + 2 * Self.layers * Self.heads * Self.tokens * Self.channels * 2)
    #expect(try Self.run(["verify", "--threads", "1", "c.ncb"], limit: limit, in: folder).status == 0)
    // What has to be held lies in a file meanwhile.
    for end in ["npz", "ggsq"] {
      let format = end == "npz" ? "npz" : "llama"
      let held = try Self.run(["decode", "--threads", "1", "--format", format, "c.ncb", "back.\(end)"], limit: limit, in: folder)
      #expect(held.status == 0, "\(held.errors)")
    }
    #expect(folder.names == ["back.ggsq", "back.npy", "back.npz", "back.safetensors", "c.ncb", "c.safetensors"])
  }

  /// Of a decoding that is interrupted nothing remains.
  @Test func interruptedDecoding() throws {
    let folder = try Folder()
    try Self.make(folder.path("c.safetensors"))
    #expect(try Command.run("encode", "--quality", "50", "c.safetensors", "c.ncb", in: folder).status == 0)
    for arguments in [["decode", "c.ncb", "back.safetensors"], ["encode", "--lossless", "c.safetensors", "d.ncb"]] {
      let process = Command.process(arguments, in: folder)
      try process.run()
      Command.limit(process)
      let isTemporary = { folder.names.contains { $0.hasSuffix(".tmp") } }
      while process.isRunning, !isTemporary() { usleep(1000) }
      usleep(20_000)
      kill(process.processIdentifier, SIGINT)
      process.waitUntilExit()
      #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGINT)
      #expect(folder.names == ["c.ncb", "c.safetensors"])
    }
  }
}
