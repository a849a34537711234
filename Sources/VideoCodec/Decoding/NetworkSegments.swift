import Coding

/// Segments as this build knows them: networks in integers and embeddings.
// bitstream-spec 14.3, 14.4
package enum NetworkSegments {
  package static let open: SegmentOpener = { data, shape in
    let segment = try SegmentReader.segment(data, frames: shape.frames, width: shape.width, height: shape.height, maxMemory: shape.maxMemory)
    return try NetworkSegment(segment)
  }
}

private final class NetworkSegment: SegmentDecoding {
  private let decoder: NeRVFrameDecoder
  /// Of all frames, as the first stage's inputs.
  private let inputs: [Int16]

  init(_ segment: NeRVSegment) throws(CodecError) {
    decoder = try NeRVFrameDecoder(segment.network)
    // The reader has seen that they stay in range.
    inputs = segment.embeddings.map { $0 << Int16(segment.network.embeddingShift) }
  }

  func samples(of frames: Range<Int>, threads: Int) throws -> [[UInt8]] {
    let one = decoder.architecture.embedding.count
    return try decoder.frames(inputs[frames.lowerBound * one..<frames.upperBound * one], threads: threads)
  }
}
