import Coding

/// Segments as this build knows them: networks in integers, and embeddings or none.
// bitstream-spec 14.3, 14.4
package enum NetworkSegments {
  package static let open: SegmentOpener = { data, shape in
    let segment = try SegmentReader.segment(data, frames: shape.frames, width: shape.width, height: shape.height, maxMemory: shape.maxMemory)
    return try NetworkSegment(segment)
  }
}

private final class NetworkSegment: SegmentDecoding {
  private let decoder: NeRVFrameDecoder
  private let inputs: NeRVInputs

  init(_ segment: NeRVSegment) throws(CodecError) {
    decoder = try NeRVFrameDecoder(segment.network)
    inputs = NeRVInputs(segment)
  }

  func samples(of frames: Range<Int>, threads: Int) throws -> [[UInt8]] {
    try decoder.frames(inputs.of(frames), threads: threads)
  }
}
