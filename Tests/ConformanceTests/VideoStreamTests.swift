import Foundation
import NeuralCodecs
import Testing

/// Every stream of Fixtures/VideoStreams decodes to the samples whose MD5 the manifest gives, on every machine and at any number of threads, and once
/// the codec is released in every later version.
@Suite struct VideoStreamTests {
  struct Stream: Sendable, CustomTestStringConvertible {
    let name: String
    let width, height, frames: Int
    /// Of the samples [frame][3][height][width].
    let md5: String
    var testDescription: String { name }
  }

  static let folder = StreamTests.folder.deletingLastPathComponent().appending(path: "VideoStreams")

  /// Lines of `name width height frames md5`.
  static let streams: [Stream] = {
    let text = (try? String(contentsOf: folder.appending(path: "manifest.txt"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let field = line.split(separator: " ").map(String.init)
      return Stream(name: field[0], width: Int(field[1])!, height: Int(field[2])!, frames: Int(field[3])!, md5: field[4])
    }
  }()

  @Test func theManifestIsComplete() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".ncb") }
    #expect(Set(files) == Set(Self.streams.map(\.name)))
    #expect(files.count >= 6)
  }

  @Test(arguments: streams) func decodes(_ stream: Stream) throws {
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appending(path: stream.name)))
    for threads in [1, 3] {
      var options = VideoDecoder.Options()
      options.threads = threads
      let decoder = try VideoDecoder(bytes, options: options)
      #expect(decoder.format.width == stream.width && decoder.format.height == stream.height && decoder.frameCount == stream.frames)
      var samples: [UInt8] = []
      while let frame = try decoder.next() { samples += frame.samples }
      #expect(samples.count == stream.frames * 3 * stream.width * stream.height)
      #expect(md5(samples) == stream.md5)
    }
  }
}
