import Foundation
import NeuralCodecs
import Testing

/// Every stream of Fixtures/Streams decodes to the samples whose MD5 the manifest gives, now and in every later version.
@Suite struct StreamTests {
  struct Stream: Sendable, CustomTestStringConvertible {
    let name: String
    let width, height, channels: Int
    let alpha: Bool
    let md5: String
    var testDescription: String { name }
  }

  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Fixtures/Streams")

  /// Lines of `name width height channels alpha(0|1) md5`.
  static let streams: [Stream] = {
    let text = (try? String(contentsOf: folder.appending(path: "manifest.txt"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let field = line.split(separator: " ").map(String.init)
      return Stream(
        name: field[0], width: Int(field[1])!, height: Int(field[2])!, channels: Int(field[3])!, alpha: field[4] == "1",
        md5: field[5])
    }
  }()

  @Test func theManifestIsComplete() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".ncb") }
    #expect(Set(files) == Set(Self.streams.map(\.name)))
    #expect(files.count >= 12)
  }

  @Test(arguments: streams) func decodes(_ stream: Stream) throws {
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appending(path: stream.name)))
    for threads in [1, 3] {
      var options = ImageDecoder.Options()
      options.threads = threads
      let image = try ImageDecoder(options: options).decode(bytes)
      #expect(image.width == stream.width && image.height == stream.height && image.channels == stream.channels)
      #expect((image.alpha != nil) == stream.alpha)
      #expect(md5(image.samples, image.alpha ?? []) == stream.md5)
    }
  }
}
