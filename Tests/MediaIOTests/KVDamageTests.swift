import Foundation
import Media
import MediaIO
import Testing

/// Bad caches throw, whatever is wrong with them.
struct KVDamageTests {
  static let names = [
    "stacked.safetensors", "huggingface.safetensors", "vllm.safetensors", "fused.npy", "stored.npz", "deflated.npz",
    "plain.ggsq", "transposed.ggsq", "window.ggsq", "q8_0.ggsq", "extension.ggsq", "four-streams.ggsq",
  ]

  @Test(arguments: names)
  func truncationAtEveryByte(name: String) throws {
    let bytes = try KVFixture.bytes(name)
    for count in 0..<bytes.count {
      // A state whose second memory, or whose values, are gone to the byte is whole by all that it says.
      let isWhole = (try? KVCacheReader.read(Array(bytes[..<count]))) != nil
      if isWhole {
        #expect(name.hasSuffix(".ggsq"), "\(name) at \(count)")
      }
    }
  }

  @Test(arguments: names)
  func changedBytes(name: String) throws {
    let bytes = try KVFixture.bytes(name)
    var generator = SeededGenerator(state: 7)
    for _ in 0..<2000 {
      var changed = bytes
      for _ in 0..<Int.random(in: 1...3, using: &generator) {
        let at = Int.random(in: 0..<bytes.count, using: &generator)
        changed[at] = Bool.random(using: &generator) ? [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator)! : .random(in: 0...255, using: &generator)
      }
      // Whatever is read can be written.
      if let cache = try? KVCacheReader.read(changed) { _ = try? KVCacheWriter.bytes(cache) }
    }
  }

  private func safeTensors(_ header: String, data: Int = 16) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: header.utf8.count >> (8 * $0)) } + Array(header.utf8)
      + [UInt8](repeating: 1, count: data)
  }

  private func tensor(_ name: String, _ offsets: String, _ shape: String = "1,1,2,2", _ dtype: String = "F16") -> String {
    "\"\(name)\":{\"dtype\":\"\(dtype)\",\"shape\":[\(shape)],\"data_offsets\":[\(offsets)]}"
  }

  @Test func hostileHeaders() throws {
    let (k, v) = (tensor("k", "0,8"), tensor("v", "8,16"))
    #expect(throws: Never.self) { try KVCacheReader.read(safeTensors("{\(k),\(v)}  ")) }
    #expect(throws: Never.self) { try KVCacheReader.read(safeTensors("{\(k),\(tensor("v", "24,32"))}", data: 32)) }
    let damaged = [
      "{", "{}}", "{\"k\"}", "{\(k)\(v)}", "{\(k),\(v),}", "{\(k),\(k),\(v)}", "{\(k),\(v)} x", "{\(k),\(tensor("v", "7,15"))}",
      "{\(k),\(tensor("v", "0,8"))}", "{\(tensor("k", "8,0")),\(v)}", "{\(tensor("k", "0,8", "1,1,2,3")),\(v)}",
      "{\(tensor("k", "0,8", "1,1,-2,2")),\(v)}", "{\(tensor("k", "0,8", "1,1,2,02")),\(v)}", "{\(tensor("k", "0,8", "1,1,2,2.0")),\(v)}",
      "{\(tensor("k", "0,8", "4294967296,4294967296,4294967296,4")),\(v)}", "{\(tensor("k", "0,8", "1,1,2,99999999999999999999")),\(v)}",
      "{\(tensor("k", "0,0", "1,0,2,2")),\(tensor("v", "0,16", "1,2,2,2"))}", "{\(k),\"v\":{\"dtype\":\"F16\",\"shape\":[4]}}",
      "{\(k),\"v\":[]}", "{\(k),\"__metadata__\":{\"a\":1},\(v)}", "{\(k),\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"},\(v)}",
      "{\(k),\"\\ud800\":\(v.dropFirst(4))}", "{\(k),\"a\nb\":\(v.dropFirst(4))}", "{\"__metadata__\":{\"axes\":\"token,head_dim\"},\(k),\(v)}",
      "{\"__metadata__\":{\"rope_base\":\"nan\"},\(k),\(v)}", "{\"__metadata__\":{\"first_position\":\"0,1\"},\(k),\(v)}",
      "{\"__metadata__\":{\"first_position\":\"-1\"},\(k),\(v)}", "{\(k),\(tensor("v", "8,16", "1,2,1,2"))}",
      "{\(k),\(tensor("v", "8,12", "1,1,1,2"))}",
      "{\"k\":{\"x\":" + String(repeating: "[", count: 100_000) + String(repeating: "]", count: 100_000) + "},\(v)}",
      "{\(tensor("layers.0.k", "0,8", "1,2,2")),\(tensor("layers.2.k", "8,16", "1,2,2"))}",
      "{\(tensor("layers.0.k", "0,8", "1,2,2")),\(tensor("layers.00.k", "8,16", "1,2,2"))}",
      "{\(tensor("layers.0.k", "0,4", "1,1,2")),\(tensor("layers.1.k", "4,8", "1,1,2")),\(tensor("layers.0.v", "8,16", "1,2,2"))}",
    ]
    for header in damaged {
      #expect(throws: MediaIOError(.damaged), "\(header.prefix(120))") { try KVCacheReader.read(safeTensors(header)) }
    }
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(safeTensors("{\(k),\(v)}", data: 16 + 64)) }
    #expect(throws: MediaIOError(.truncated)) { try KVCacheReader.read(safeTensors("{\(k),\(v)}", data: 15)) }
    for (header, code) in [
      ("{\(tensor("k", "0,8", "1,1,8", "I8")),\(tensor("v", "8,16", "1,1,8", "I8"))}", MediaIOError.Code.unsupported),
      ("{\(tensor("k", "0,8", "1,1,2,2", "F17")),\(v)}", .unsupported), ("{\(tensor("q", "0,8")),\(v)}", .unsupported),
      ("{\(tensor("k", "0,8", "4")),\(tensor("v", "8,16", "4"))}", .unsupported),
      ("{\"__metadata__\":{\"rope_layout\":\"spiral\"},\(k),\(v)}", .unsupported),
      ("{\(tensor("k", "0,10000", "5000,1,1")),\(tensor("v", "10000,20000", "5000,1,1"))}", .tooLarge),
    ] {
      #expect(throws: MediaIOError(code), "\(header)") { try KVCacheReader.read(safeTensors(header, data: code == .tooLarge ? 20_000 : 16)) }
    }
  }

  @Test func strings() throws {
    let name = #"a\"b\\c\/d\u00e9\ud83d\ude00\n"#
    let header = "{\(tensor("k", "0,8")),\"__metadata__\":{\"\(name)\":\"\(name)\"},\(tensor("v", "8,16"))}"
    let cache = try KVCacheReader.read(safeTensors(header))
    #expect(cache.metadata.map(\.key) == ["a\"b\\c/dé😀\n"] && cache.metadata[0].value == cache.metadata[0].key)
    let again = try KVCacheReader.read(KVCacheWriter.bytes(cache))
    #expect(again.metadata.map(\.value) == cache.metadata.map(\.value))
  }

  /// Data at an odd byte is copied to where its elements are aligned.
  @Test func unalignedData() throws {
    let header = "{\(tensor("k", "0,8")),\(tensor("v", "8,16"))}"
    for padding in 0..<8 {
      let cache = try KVCacheReader.read(safeTensors(header + String(repeating: " ", count: padding)))
      cache.layers[0].keys.withRow(head: 0, token: 1) { #expect($0.load(as: UInt16.self) == 0x0101) }
    }
  }

  @Test func brokenNumPy() throws {
    #expect(throws: MediaIOError(.unsupported)) { try KVFixture.read("fortran.npy") }
    #expect(throws: MediaIOError(.unsupported)) { try KVFixture.read("big-endian.npy") }
    let bytes = try KVFixture.bytes("fused.npy")
    func changed(_ from: String, _ to: String) -> [UInt8] {
      let text = String(decoding: bytes[10..<128], as: UTF8.self).replacingOccurrences(of: from, with: to)
      let header = Array(text.utf8)
      return Array(bytes[..<8]) + [UInt8(header.count), 0] + header + bytes[128...]
    }
    #expect(throws: Never.self) { try KVCacheReader.read(changed("6, 4)", "6 , 4,)")) }
    for (from, to) in [
      ("(2,", "(2"), ("(2,", "(-2,"), ("6, 4)", "6, 5)"), ("6, 4)", "6, 3)"), ("False", "Maybe"), ("'shape'", "'descr'"),
      ("'shape'", "'shade'"), ("(2,", "(4611686018427387904,"), ("'<f2'", "'<f2"), ("(2, 2, 2, 6, 4)", "()"), ("{", "["),
      (", }", ", } 1"), ("(2, 2, 2, 6, 4)", "(" + String(repeating: "1,", count: 40) + "1)"),
    ] {
      #expect(throws: MediaIOError.self, "\(from) \(to)") { try KVCacheReader.read(changed(from, to)) }
    }
    for (from, to) in [("'<f2'", "[('a', '<f2')]"), ("'<f2'", "'|O'"), ("'<f2'", "'<i2'")] {
      #expect(throws: MediaIOError(.unsupported), "\(to)") { try KVCacheReader.read(changed(from, to)) }
    }
  }

  @Test func brokenArchives() throws {
    let stored = try KVFixture.bytes("stored.npz")
    let directory = try #require(stored.indices.first { stored[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
    func changed(_ bytes: [UInt8], _ changes: (Int, [UInt8])...) -> [UInt8] {
      var bytes = bytes
      for (at, new) in changes { bytes.replaceSubrange(at..<(at + new.count), with: new) }
      return bytes
    }
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheReader.read(changed(stored, (directory + 8, [1, 0]))) }
    #expect(throws: MediaIOError(.unsupported)) { try KVCacheReader.read(changed(stored, (directory + 10, [12, 0]))) }
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(changed(stored, (directory + 16, [1, 2, 3, 4]))) }
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(changed(stored, (directory + 24, [0, 0, 0, 0x10]))) }
    // A member that says it is a gigabyte: refused before memory is taken.
    let deflated = try KVFixture.bytes("deflated.npz")
    let at = try #require(deflated.indices.first { deflated[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(changed(deflated, (at + 24, [0, 0, 0, 0x40]))) }
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(changed(deflated, (at + 24, [1, 1]))) }
    #expect(throws: MediaIOError(.tooLarge)) { try KVCacheReader.read(deflated, options: kvOptions { $0.maxBytes = 600 }) }
    // Both arrays at the first one's bytes.
    let second = try #require(stored.indices.dropFirst(directory + 1).first { stored[$0...].starts(with: [0x50, 0x4B, 1, 2]) })
    #expect(throws: MediaIOError(.damaged)) { try KVCacheReader.read(changed(stored, (second + 42, [0, 0, 0, 0]))) }
  }
}
