import Bitstream
import Coding
import Media
import Tensors

/// The token codec's encoder: features of frames as their samples come, the network, and the nearest code vectors.
final class TokenEncoder: SoundEncoder {
  private let mode: TokenMode
  private let levels: Int
  private let options: AudioEncoder.Options
  private let network: TokenEncoderNetwork
  private let states: [TokenEncoderNetwork.State]
  private let scratch = TokenEncoderNetwork.Scratch()
  private let file: TokenFileWriter
  /// [channel]: from the window of frame `nextFrame` on.
  private var pcm: [[Float]]
  private var nextFrame = 0
  private(set) var frames = 0

  /// Frames that go through the network at once.
  private static let batch = 48

  init(_ format: AudioFormat, _ options: AudioEncoder.Options, to output: any SoundOutput) throws {
    let setting = try TokenSetting(options, channels: format.layout.count)
    (mode, levels) = (setting.mode, setting.levels)
    self.options = options
    network = .shipped(setting.mode)
    states = (0..<format.layout.count).map { _ in TokenEncoderNetwork.State() }
    // Before the sound there is silence.
    pcm = [[Float]](repeating: [Float](repeating: 0, count: -setting.mode.windowStart), count: format.layout.count)
    file = try TokenFileWriter(setting, format.layout, options, to: output)
  }

  func append(_ samples: [[Float]]) throws {
    // In pieces, so that memory does not grow with what is given at once.
    let total = samples[0].count, piece = Self.batch * mode.hop
    for start in stride(from: 0, to: total, by: piece) {
      let end = min(start + piece, total)
      for c in pcm.indices { pcm[c] += samples[c][start..<end] }
      frames += end - start
      while pcm[0].count >= (Self.batch - 1) * mode.hop + TokenGeometry.window { try analyse(Self.batch, isLast: false) }
    }
  }

  func finish(originalFrames: Int?) throws -> EncodedAudio {
    let end = (frames + mode.hop - 1) / mode.hop
    if end > 0 {
      // Behind it, too. The last frame's window ends there, so that frame is still to come.
      let missing = (end - nextFrame - 1) * mode.hop + TokenGeometry.window - pcm[0].count
      for c in pcm.indices { pcm[c] += [Float](repeating: 0, count: max(0, missing)) }
      while nextFrame < end { try analyse(min(Self.batch, end - nextFrame), isLast: end - nextFrame <= Self.batch) }
    }
    return try file.finish(samples: frames, originalFrames: originalFrames)
  }

  private func analyse(_ count: Int, isLast: Bool) throws {
    try Task.checkCancellation()
    var indices: [[[UInt16]]] = []
    for c in pcm.indices {
      scratch.features.reshape(to: Shape(1, count, TokenFeatures.count))
      pcm[c].withUnsafeBufferPointer { TokenFeatures.extract($0.baseAddress!, mode, into: scratch.features) }
      network.latents(isLast: isLast, states[c], scratch)
      indices.append(network.quantise(levels: levels, scratch))
      pcm[c].removeFirst(min(count * mode.hop, pcm[c].count))
    }
    nextFrame += count
    try file.append(indices)
    if let report = options.progress {
      let done = Double(min(frames, nextFrame * mode.hop)), all = Double(max(options.expectedFrames ?? 0, frames))
      report(CodingProgress(fraction: isLast ? 1 : done / all, stage: "sound"))
    }
  }
}

extension TokenSetting {
  /// What the options come to for so many channels. Throws `CodecError` (invalidOption).
  init(_ options: AudioEncoder.Options, channels: Int) throws(CodecError) {
    if let wanted = options.framesPerSecond, TokenMode(framesPerSecond: wanted) == nil {
      throw CodecError(.invalidOption, "\(wanted) frames of tokens a second are neither 75 nor 40")
    }
    if let wanted = options.levels, !(1...TokenGeometry.maximumLevels).contains(wanted) {
      throw CodecError(.invalidOption, "\(wanted) levels are not 1 to \(TokenGeometry.maximumLevels)")
    }
    func fits(_ setting: TokenSetting) -> Bool {
      setting.levels == options.levels ?? setting.levels
        && setting.mode.framesPerSecond == options.framesPerSecond ?? setting.mode.framesPerSecond
    }
    let settings = (options.framesPerSecond == nil ? Self.usual : Self.all).filter(fits)
    switch options.rate {
    case .kbps(let kbps):
      guard let setting = settings.last(where: { $0.rawKbps * Double(channels) <= kbps + 1e-9 }) else {
        let least = settings[0].rawKbps * Double(channels)
        throw CodecError(.invalidOption, "\(kbps) kbps are less than the \(least) that \(channels) channels of such tokens take")
      }
      self = setting
    case .quality(let quality):
      self = settings[Int((quality / 100 * Double(settings.count - 1)).rounded())]
    }
  }
}
