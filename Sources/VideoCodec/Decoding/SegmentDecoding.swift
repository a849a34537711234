/// Makes the frames of a segment, all of which its network knows. Not for use by several threads at once; it uses threads itself.
package protocol SegmentDecoding: AnyObject {
  /// Samples [3, height, width] of each of these frames of the segment, the same at any number of threads.
  func samples(of frames: Range<Int>, threads: Int) throws -> [[UInt8]]
}

/// What a segment's data (14.3) are held against before anything is allocated for them.
package struct SegmentShape: Sendable, Equatable {
  /// 1...4096
  package var frames: Int
  /// Pixels
  package var width: Int
  package var height: Int
  /// Most bytes that decoding may take.
  package var maxMemory: Int

  package init(frames: Int, width: Int, height: Int, maxMemory: Int) {
    (self.frames, self.width, self.height, self.maxMemory) = (frames, width, height, maxMemory)
  }
}

/// Opens a segment's data. Throws `CodecError`: `malformed`, `limitExceeded`.
package typealias SegmentOpener = @Sendable (_ data: ArraySlice<UInt8>, _ shape: SegmentShape) throws -> any SegmentDecoding
