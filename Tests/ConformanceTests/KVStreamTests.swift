import Foundation
import NeuralCodecs
import Testing

/// Every stream of Fixtures/KVStreams decodes to the elements whose CRC-32 the manifest gives, now and in every later
/// version, whole and in parts.
@Suite struct KVStreamTests {
  struct Stream: Sendable, CustomTestStringConvertible {
    let name: String
    let layers, tokens: Int
    /// Of each level's elements.
    let crcs: [UInt32]
    var testDescription: String { name }
  }

  static let folder = StreamTests.folder.deletingLastPathComponent().appending(path: "KVStreams")

  /// Lines of `name layers tokens crc...`.
  static let streams: [Stream] = {
    let text = (try? String(contentsOf: folder.appending(path: "manifest.txt"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let field = line.split(separator: " ").map(String.init)
      return Stream(name: field[0], layers: Int(field[1])!, tokens: Int(field[2])!, crcs: field[3...].map { UInt32($0, radix: 16)! })
    }
  }()

  /// What streams of scheme 4 name.
  static let profile = Result {
    try KVProfile(reading: [UInt8](try Data(contentsOf: folder.appending(path: "small.ncprofile"))))
  }

  @Test func theManifestIsComplete() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".ncb") }
    #expect(Set(files) == Set(Self.streams.map(\.name)))
    #expect(files.count >= 12)
  }

  @Test(arguments: streams) func decodes(_ stream: Stream) throws {
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appending(path: stream.name)))
    #expect(try KVCacheFile(reading: bytes).levels.count == stream.crcs.count)
    for (level, crc) in stream.crcs.enumerated() {
      for threads in [1, 3] {
        var options = KVCacheDecoder.Options()
        (options.threads, options.level, options.profile) = (threads, level, try Self.profile.get())
        let cache = try KVCacheDecoder(options: options).decode(bytes)
        #expect(cache.layers.count == stream.layers && cache.tokens == stream.tokens)
        #expect(cache.elementsCRC32 == crc)
      }
    }
  }
}
