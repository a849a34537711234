import Foundation
import NeuralCodecs
import Testing

/// Every stream of Fixtures/TokenStreams has the tokens whose MD5 the manifest gives, and decodes to the samples beside it within the tolerance
/// of bitstream-spec 12, on every machine, and once the model is released in every later version.
@Suite struct TokenStreamTests {
  static let folder = StreamTests.folder.deletingLastPathComponent().appending(path: "TokenStreams")

  /// Lines as of AudioStreams, but that the MD5 is of the tokens, 16 bits each, [channel][level][frame].
  static let streams: [AudioStreamTests.Stream] = AudioStreamTests.streams(in: folder)

  @Test func theManifestIsComplete() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path).filter { $0.hasSuffix(".ncb") }
    #expect(Set(files) == Set(Self.streams.map(\.name)))
    #expect(files.count >= 4)
  }

  @Test(arguments: streams) func decodes(_ stream: AudioStreamTests.Stream) throws {
    let bytes = [UInt8](try Data(contentsOf: Self.folder.appending(path: stream.name)))
    let tokens = try #require(try AudioFile.tokens(of: bytes))
    #expect(md5(tokens.indices.joined().flatMap { level in level.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] } }) == stream.md5)
    let expected = [UInt8](try Data(contentsOf: Self.folder.appending(path: stream.name.replacing(".ncb", with: ".f32"))))
    let samples = expected.withUnsafeBytes { raw in
      (0..<raw.count / 4).map { Float(bitPattern: UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))) }
    }
    let loudest = samples.reduce(Float(1)) { max($0, abs($1)) }
    var decoder = try AudioDecoder(bytes)
    #expect(decoder.format.sampleRate == stream.rate && decoder.format.layout.count == stream.channels)
    var decoded = [[Float]](repeating: [], count: stream.channels)
    while let buffer = try decoder.next() { for c in decoded.indices { decoded[c] += buffer.samples[c] } }
    #expect(decoded.allSatisfy { $0.count == stream.frames })
    let each = (stream.frames + 7) / 8
    #expect(samples.count == each * stream.channels)
    var (signal, noise) = (0.0, 0.0)
    for c in 0..<stream.channels {
      for i in 0..<each {
        let expected = samples[c * each + i], difference = decoded[c][8 * i] - expected
        guard abs(difference) <= 0.02 * loudest else {
          Issue.record("sample \(8 * i) of channel \(c) is \(decoded[c][8 * i]), not \(expected)")
          return
        }
        signal += Double(expected) * Double(expected)
        noise += Double(difference) * Double(difference)
      }
    }
    #expect(noise <= 1e-5 * signal)
  }
}
