import Bitstream
import Coding
public import Media

/// Turns an `.ncb` file back into sound, piece by piece, in memory that does not grow with its length.
///
///     var decoder = try AudioDecoder { count in try file.read(upTo: count) }
///     while let buffer = try decoder.next() { play(buffer) }
///
/// The same bytes give the same samples on every machine. The inverse is `AudioEncoder`.
// bitstream-spec 11
public struct AudioDecoder {
  public let format: AudioFormat
  /// Frames of the whole sound; nil of a stream, before its end.
  public private(set) var frames: Int?
  /// In order.
  public let tags: [AudioTag]
  /// Hz: of the sound before it was resampled to `format`'s rate; nil if it was not.
  public let originalSampleRate: Int?
  /// Frames of the sound at that rate; nil if it was not resampled, or of a stream before its end.
  public private(set) var originalFrames: Int?

  /// From a file that is read front to back, such as a pipe: `read` gives up to so many bytes, and none at the end only.
  ///
  /// Throws `CodecError` for files that are damaged or need what this build lacks, and what `read` throws.
  public init(read: @escaping (Int) throws -> [UInt8]) throws { fatalError("to come") }

  /// From a file in memory.
  public init(_ bytes: [UInt8]) throws { try self.init(MemorySource(bytes)) }

  /// From a file on disk, of which only what is wanted is read.
  package init(_ source: some ByteSource) throws { fatalError("to come") }

  /// The next piece of the sound, at least one frame; nil at its end. Cancelling the surrounding task stops it.
  ///
  /// Throws `CodecError`, what `read` throws, and `CancellationError`.
  public mutating func next() throws -> AudioBuffer? { fatalError("to come") }

  /// Lets `next` go on at a frame, 0 or more; behind the sound it gives nil.
  ///
  /// Throws `CodecError` (invalidOption) where the file is read front to back.
  public mutating func seek(toFrame frame: Int) throws { fatalError("to come") }
}
