import Bitstream
public import Coding
public import Media

/// What an `.ncb` file says of the sound in it. Nothing is decoded; checksums are checked.
public struct AudioFile: Sendable {
  public let format: AudioFormat
  /// Hz, and frames at that rate: of the sound before it was resampled to `format`'s; nil if it was not.
  public let originalSampleRate: Int?
  public let originalFrames: Int?
  public let frames: Int
  public let tags: [AudioTag]
  /// "mdct" or "tokens"
  public let codec: String
  /// Frames of tokens a second, 75 or 40, and levels, 1...8; nil of other codecs.
  public let tokens: (framesPerSecond: Int, levels: Int)?
  /// Parts that decode on their own.
  public let parts: Int
  public let byteCount: Int
  /// Of the parts alone.
  public let codedBytes: Int

  /// Seconds
  public var duration: Double { Double(frames) / Double(format.sampleRate) }

  /// Whether the bytes are a file with sound: decides by its track chunks, and by nothing behind them.
  public static func isOne(_ bytes: [UInt8]) -> Bool { isOne(MemorySource(bytes)) }

  package static func isOne(_ source: some ByteSource) -> Bool {
    guard let reader = try? ContainerReader(source, limits: AudioParts.limits, checksums: .onDemand, navigation: .index) else { return false }
    return reader.tracks.contains { $0.modality == .audio } && !reader.tracks.contains { $0.modality == .image || $0.modality == .video }
  }

  /// Throws `CodecError` for what is no readable `.ncb` file with sound.
  public init(reading bytes: [UInt8]) throws(CodecError) { try self.init(reading: MemorySource(bytes)) }

  /// Bits that tokens take by level, those of a group's framing aside; nothing of other codecs. All groups are read.
  ///
  /// Throws `CodecError` for what is no readable `.ncb` file with sound.
  public static func tokenBits(of bytes: [UInt8]) throws -> [Double] { try tokenBits(of: MemorySource(bytes)) }

  package static func tokenBits(of source: some ByteSource) throws -> [Double] {
    let meter = TokenMeter()
    let found = try groups(of: source) { group, model in
      model.reset()
      meter.add(group, model)
    }
    return found.map { Array(meter.bits.prefix($0.levels)) } ?? []
  }

  /// The tokens of a file; nil of other codecs. Throws `CodecError` for what is no readable `.ncb` file with sound.
  public static func tokens(of bytes: [UInt8]) throws -> AudioTokens? { try tokens(of: MemorySource(bytes)) }

  package static func tokens(of source: some ByteSource) throws -> AudioTokens? {
    var all: [TokenGroup] = []
    guard let found = try groups(of: source, { group, _ in all.append(group) }) else { return nil }
    // All channels and levels are as long as the frames.
    return try! AudioTokens(
      framesPerSecond: found.mode.framesPerSecond,
      indices: (0..<found.channels).map { channel in
        (0..<found.levels).map { level in
          all.flatMap { group in (0..<group.frames).map { group.indices[group.at($0, channel) + level] } }
        }
      })
  }

  /// Calls `body` with each group and the model that read it; nil of other codecs.
  private static func groups(
    of source: some ByteSource, _ body: (TokenGroup, TokenModel) -> Void
  ) throws -> (mode: TokenMode, levels: Int, channels: Int)? {
    try CodecError.explaining {
      let parts = try AudioParts(source)
      guard case .tokens(let mode, let levels) = parts.coding else { return nil }
      let model = TokenModel(.shipped(mode)), channels = parts.format.layout.count
      while let part = try parts.next() {
        body(try TokenReader.group(part.data, channels: channels, levels: levels, frames: part.frames, model), model)
      }
      return (mode, levels, channels)
    }
  }

  /// Of a file on disk, chunk by chunk.
  package init(reading source: some ByteSource) throws(CodecError) {
    do {
      let parts = try AudioParts(source, checksums: .whenOpening)
      format = parts.format
      originalSampleRate = parts.originalRate
      (frames, originalFrames) = (parts.frames ?? 0, parts.originalFrames)
      tags = parts.tags
      codec = parts.coding.label
      if case .tokens(let mode, let levels) = parts.coding { tokens = (mode.framesPerSecond, levels) } else { tokens = nil }
      self.parts = parts.count
      byteCount = source.byteCount
      codedBytes = parts.byteCount
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch {
      throw error as? CodecError ?? CodecError.damagedAudio("\(error)")
    }
  }
}
