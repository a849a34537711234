import Foundation
import NeuralCodecs
import Testing

/// Every stream of Fixtures/AudioStreams decodes to the samples whose MD5 the manifest gives, now and in every later version, on every
/// machine.
@Suite struct AudioStreamTests {
  struct Stream: Sendable, CustomTestStringConvertible {
    let name: String
    let rate, channels, frames: Int
    /// Of the samples as little-endian binary32, channel by channel.
    let md5: String
    var testDescription: String { name }
  }

  static let folder = StreamTests.folder.deletingLastPathComponent().appending(path: "AudioStreams")

  /// Lines of `name rate channels frames md5`.
  static let streams = streams(in: folder)

  static func streams(in folder: URL) -> [Stream] {
    let text = (try? String(contentsOf: folder.appending(path: "manifest.txt"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let field = line.split(separator: " ").map(String.init)
      return Stream(name: field[0], rate: Int(field[1])!, channels: Int(field[2])!, frames: Int(field[3])!, md5: field[4])
    }
  }

  @Test func theManifestIsComplete() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".ncb") }
    #expect(Set(files) == Set(Self.streams.map(\.name)))
    #expect(files.count >= 8)
  }

  @Test(arguments: streams) func decodes(_ stream: Stream) throws {
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appending(path: stream.name)))
    var decoder = try AudioDecoder(bytes)
    #expect(decoder.format.sampleRate == stream.rate && decoder.format.layout.count == stream.channels)
    var samples = [[UInt8]](repeating: [], count: stream.channels)
    while let buffer = try decoder.next() {
      for c in samples.indices {
        for x in buffer.samples[c] { for shift in stride(from: UInt32(0), to: 32, by: 8) { samples[c].append(UInt8(truncatingIfNeeded: x.bitPattern >> shift)) } }
      }
    }
    #expect(samples[0].count == 4 * stream.frames)
    #expect(md5(samples.flatMap { $0 }) == stream.md5)
  }
}
