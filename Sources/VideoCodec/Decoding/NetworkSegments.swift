import Coding

/// Segments as this build knows them: networks in integers, and embeddings or none.
// bitstream-spec 14.3, 14.4
package enum NetworkSegments {
  package static let open: SegmentOpener = { data, shape in
    let segment = try SegmentReader.segment(data, frames: shape.frames, width: shape.width, height: shape.height, maxMemory: shape.maxMemory)
    return segment.network.architecture.groupFrames == nil ? try NetworkSegment(segment) : GroupedSegment(segment)
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

/// Keeps the frames of the group that was asked for last, as a pass makes all of a group's. Of one network at a time more is kept than its weights.
private final class GroupedSegment: SegmentDecoding {
  private let segment: NeRVSegment
  private let waves: [Int16]
  private var made: (group: Int, samples: [UInt8]) = (-1, [])

  init(_ segment: NeRVSegment) { (self.segment, waves) = (segment, NeRVInputs(segment).of(0..<1)) }

  func samples(of frames: Range<Int>, threads: Int) throws -> [[UInt8]] {
    let architecture = segment.network.architecture, frameCount = 3 * architecture.height * architecture.width
    return try frames.map { frame in
      let (number, place) = frame.quotientAndRemainder(dividingBy: architecture.passFrames)
      if made.group != number { made = (number, try NeRVFrameDecoder(segment.networks[number]).frames(waves, threads: threads)[0]) }
      return Array(made.samples[place * frameCount..<(place + 1) * frameCount])
    }
  }
}
