import Media

/// A segment's frames being turned into a network and embeddings, one step after the other. The result does not depend on threads.
package protocol SegmentFitting: AnyObject {
  /// Steps that were done, and how many there will be.
  var iteration: Int { get }
  var iterations: Int { get }
  /// In dB, of frames as they were fitted last; nil before the first.
  var psnr: Double? { get }
  /// What the segment's data may have; nil before the first estimate.
  var estimatedBits: Double? { get }
  func step(threads: Int) throws
  /// The segment's data (14.3), of what the steps so far have come to.
  func finish(threads: Int) throws -> [UInt8]
  /// All that `SegmentFits.resume` needs beside the frames and settings.
  func checkpoint() -> [UInt8]
}

/// How a segment is to be fitted.
package struct SegmentSettings: Sendable, Equatable {
  package var codec: VideoEncoder.Codec
  /// Of this segment alone.
  package var rate: VideoEncoder.Rate
  /// How often each frame is fitted.
  package var epochs: Int
  package var cheapBlocks: Bool

  package init(codec: VideoEncoder.Codec, rate: VideoEncoder.Rate, epochs: Int, cheapBlocks: Bool = false) {
    (self.codec, self.rate, self.epochs, self.cheapBlocks) = (codec, rate, epochs, cheapBlocks)
  }
}

/// What fits segments, and reads what came of it.
package struct SegmentFits: Sendable {
  package var start: @Sendable (_ frames: [VideoFrame], _ settings: SegmentSettings) throws -> any SegmentFitting
  /// Goes on from a checkpoint of the same frames and settings. Throws `CodecError` (malformed).
  package var resume: @Sendable (_ frames: [VideoFrame], _ settings: SegmentSettings, _ checkpoint: ArraySlice<UInt8>) throws -> any SegmentFitting
  package var open: SegmentOpener

  package init(
    start: @escaping @Sendable ([VideoFrame], SegmentSettings) throws -> any SegmentFitting,
    resume: @escaping @Sendable ([VideoFrame], SegmentSettings, ArraySlice<UInt8>) throws -> any SegmentFitting, open: @escaping SegmentOpener
  ) {
    (self.start, self.resume, self.open) = (start, resume, open)
  }
}
