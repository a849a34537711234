/// Sound as a neural codec's tokens: what language models take and make.
public struct AudioTokens: Sendable, Equatable {
  /// 75 or 40
  public let framesPerSecond: Int
  /// [channel][level][frame]: below 4096 of level 0, below 512 of others. As many frames in all levels and channels.
  public let indices: [[[UInt16]]]

  public var channels: Int { indices.count }
  public var levels: Int { indices[0].count }
  public var frames: Int { indices[0][0].count }

  /// Throws `AudioError` (sampleCount) where there is no channel or no level, or where they differ.
  public init(framesPerSecond: Int, indices: [[[UInt16]]]) throws(AudioError) {
    guard let levels = indices.first?.count, let frames = indices.first?.first?.count,
      indices.allSatisfy({ $0.count == levels && $0.allSatisfy { $0.count == frames } })
    else { throw AudioError(.sampleCount, at: "tokens", "channels and levels are none or not of one length") }
    self.framesPerSecond = framesPerSecond
    self.indices = indices
  }
}
