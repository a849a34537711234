import Bitstream
import Media

/// Writes a file of tokens, a group at a time.
// bitstream-spec 12.2
final class TokenFileWriter {
  private let setting: TokenSetting
  private let options: AudioEncoder.Options
  private let file: AudioFileWriter
  private let model: TokenModel
  private let groupFrames: Int
  /// [channel][level][frame]: those of no group yet.
  private var waiting: [[[UInt16]]]
  private var written = 0

  private var waitingFrames: Int { waiting[0][0].count }
  /// Frames up to which what is left at the end is one group.
  private var longestGroup: Int { groupFrames * 5 / 4 }

  init(_ setting: TokenSetting, _ layout: ChannelLayout, _ options: AudioEncoder.Options, to output: any SoundOutput) throws {
    self.setting = setting
    self.options = options
    var configuration = TokenConfiguration()
    (configuration.mode, configuration.levels) = (setting.mode, setting.levels)
    configuration.channels = AudioChannels(layout, originalRate: options.originalSampleRate)
    file = try AudioFileWriter(
      CodecID.tokenAudio, sampleRate: TokenGeometry.sampleRate, configuration, tags: options.tags, to: output)
    model = TokenModel(.shipped(setting.mode))
    groupFrames = max(1, Int((options.groupSeconds * Double(setting.mode.framesPerSecond)).rounded()))
    waiting = [[[UInt16]]](repeating: [[UInt16]](repeating: [], count: setting.levels), count: layout.count)
  }

  /// [channel][level][frame]
  func append(_ indices: [[[UInt16]]]) throws {
    for channel in waiting.indices { for level in waiting[channel].indices { waiting[channel][level] += indices[channel][level] } }
    while waitingFrames > longestGroup { try write(groupFrames) }
  }

  /// The sound has `samples` of each channel, which end in the last frame; without any there are no frames.
  func finish(samples: Int, originalFrames: Int?) throws -> EncodedAudio {
    if waitingFrames > 0 { try write(waitingFrames, samples: samples, originalFrames: originalFrames) }
    var encoded = try file.finish(frames: samples)
    (encoded.framesPerSecond, encoded.levels) = (setting.mode.framesPerSecond, setting.levels)
    return encoded
  }

  /// `samples` of the whole sound: this group is the last.
  private func write(_ count: Int, samples: Int? = nil, originalFrames: Int? = nil) throws {
    try Task.checkCancellation()
    let hop = setting.mode.hop
    let group = TokenGroup(waiting, frames: 0..<count)
    var header = TokenPayloadHeader(mode: setting.mode, hasOriginal: options.originalSampleRate != nil)
    header.frames = UInt32(count)
    if let samples {
      header.isLast = true
      header.samples = UInt32(samples - (written + count - 1) * hop)
      header.originalSamples = UInt64(originalFrames ?? 0)
    }
    try file.append(header, TokenWriter.bytes(of: group, model), start: written * hop)
    if let report = options.tokens {
      // Each channel has the same levels, and each level the same frames.
      report(
        try! AudioTokens(framesPerSecond: setting.mode.framesPerSecond, indices: waiting.map { $0.map { Array($0[..<count]) } }))
    }
    written += count
    for channel in waiting.indices { for level in waiting[channel].indices { waiting[channel][level].removeFirst(count) } }
  }
}
