import Coding
package import Media
import NeuralCodecs

/// A codec of pictures at several settings, from 8-bit RGB in memory to the bytes of a whole file and back.
package protocol ImageBenchCodec: Sendable {
  var record: CodecRecord { get }
  /// The settings of a curve with that many points, from the lowest rate up.
  func settings(points: Int) -> [String]
  /// Whether several items may run at once without taking each other's cores: it keeps to the calling thread.
  var isSingleThreaded: Bool { get }

  func encode(_ image: Image, setting: String) throws -> [UInt8]
  func decode(_ bytes: [UInt8]) throws -> Image
}
