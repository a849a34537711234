import CKernels
import Coding
import Tensors

/// Frames of embeddings, by a network in integers: the same bytes at any SIMD level and any number of threads.
///
/// Made once of a network, whose weights it packs. All methods may be called from several threads at once; what they work in is kept
/// and used again.
// bitstream-spec 14.4
package final class NeRVFrameDecoder: @unchecked Sendable {
  package let architecture: NeRVArchitecture
  /// Of a frame: red, green, blue, [3, height, width].
  package var frameCount: Int { 3 * architecture.height * architecture.width }

  /// Throws `CodecError` (malformed) where `network.validate()` does.
  package init(_ network: NeRVNetwork, kernels: NeRVKernels = .current) throws(CodecError)

  /// Makes the frames of embeddings [frames, channels, height, width] into `frames` [frames, 3, height, width]. With fewer frames than
  /// threads, bands of a frame go to different threads.
  ///
  /// Throws `CodecError` (malformed) where an embedding is outside of `NeRVLayer.inputRange`.
  package func decode(
    _ embeddings: UnsafeBufferPointer<Int16>, into frames: UnsafeMutableBufferPointer<UInt8>, threads: Int
  ) throws(CodecError)

  /// The frame of an embedding [channels, height, width].
  package func frame(_ embedding: some Collection<Int16>, threads: Int = 1) throws(CodecError) -> [UInt8]
}
