import Bitstream
import Media

/// Learns `TokenPrior` from sound: what the adaptive model knows after coding all of it is what new groups start with. Training/audio runs it.
package final class TokenPriorTraining {
  /// [clip]: groups of 10 seconds, or what is left.
  private let groups: [[TokenGroup]]
  package let mode: TokenMode
  private var prior = TokenPrior.blank
  private let report: (String) -> Void

  /// `clips` are [channel][sample] at 24 kHz; they are coded with the weights of this build, at all levels. Throws `CodecError`.
  package init(_ clips: [[[Float]]], _ mode: TokenMode, report: @escaping (String) -> Void) throws {
    self.mode = mode
    self.report = report
    groups = try clips.map { try Self.groups(of: $0, mode) }
  }

  private static func groups(of clip: [[Float]], _ mode: TokenMode) throws -> [TokenGroup] {
    let setting = TokenSetting(mode: mode, levels: TokenGeometry.maximumLevels)
    let groups = Received()
    var options = AudioEncoder.Options()
    (options.codec, options.framesPerSecond, options.levels) = (.tokens, mode.framesPerSecond, setting.levels)
    options.tokens = { groups.all.append(TokenGroup($0.indices, frames: 0..<$0.frames)) }
    let format = try AudioFormat(sampleRate: TokenGeometry.sampleRate, layout: ChannelLayout(count: clip.count))
    var encoder = try AudioEncoder(format: format, options: options) { _ in }
    try encoder.append(AudioBuffer(format: format, samples: clip))
    _ = try encoder.finish()
    return groups.all
  }

  /// Two passes in one order: the first is for the weights, the second one learns estimates anew, so that weights are those of estimates that
  /// had not seen what they are asked for.
  package func train() {
    var random: UInt64 = 88_172_645_463_325_252
    func next() -> UInt64 {
      random ^= random << 13
      random ^= random >> 7
      random ^= random << 17
      return random
    }
    let all = groups.joined().map { ($0, next()) }.sorted { $0.1 < $1.1 }.map(\.0)
    for mixRate in [4, 1] {
      let model = TokenModel(TokenPrior(slots: TokenPrior.blank.slots, weights: prior.weights))
      model.mixRate = mixRate
      let meter = TokenMeter()
      for group in all { meter.add(group, model) }
      prior = TokenPrior(
        slots: (0..<TokenContexts.slotCount).map { model.slots[$0] }, weights: (0..<prior.weights.count).map { model.weights[$0] })
      report("\(mode.framesPerSecond) a second, \(all.count) groups: \(Self.text(meter.bits, frames: all.reduce(0) { $0 + $1.frames * $1.channels }))")
    }
  }

  /// The file of both modes' priors.
  package static func file(_ trained: [TokenPriorTraining]) -> [UInt8] {
    TokenPrior.serialised(trained.sorted { $0.mode.rawValue < $1.mode.rawValue }.map(\.prior))
  }

  /// What other clips cost with a file's prior, without adapting, and without a prior.
  package func measure(_ file: [UInt8]) {
    let known = file.withUnsafeBytes { TokenPrior(parsing: $0, mode) } ?? .blank
    for (name, prior, adapts) in [("learned and adapting", known, true), ("learned", known, false), ("adapting alone", .blank, true)] {
      let model = TokenModel(prior), meter = TokenMeter()
      model.adapts = adapts
      for group in groups.joined() {
        model.reset()
        meter.add(group, model)
      }
      report("\(mode.framesPerSecond) a second, \(name): \(Self.text(meter.bits, frames: groups.joined().reduce(0) { $0 + $1.frames * $1.channels }))")
    }
  }

  /// Bits of an index by level, and what is saved of the raw bits of the lowest levels.
  private static func text(_ bits: [Double], frames: Int) -> String {
    let each = bits.map { $0 / Double(max(1, frames)) }
    let raw = (0..<bits.count).map { Double(TokenGeometry.bits(level: $0)) }
    let saved = (1...bits.count).map { 1 - each.prefix($0).reduce(0, +) / raw.prefix($0).reduce(0, +) }
    func rounded(_ values: [Double], _ unit: Double) -> String {
      values.map { "\(($0 * unit).rounded() / 100)" }.joined(separator: " ")
    }
    return "bits \(rounded(each, 100)); saved with 1 to 8 levels, %: \(rounded(saved, 10_000))"
  }
}

private final class Received: @unchecked Sendable {
  // Written by the encoder's own calls alone, on this thread.
  var all: [TokenGroup] = []
}
