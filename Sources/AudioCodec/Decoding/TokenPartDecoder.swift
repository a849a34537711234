import Bitstream
import Tensors

/// Codec 6's.
// bitstream-spec 12.6
final class TokenPartDecoder: PartDecoder {
  private let mode: TokenMode
  private let channels, levels: Int
  private let model: TokenModel
  private let network: TokenNetwork
  private let scratch = TokenNetwork.Scratch()
  /// By channel; empty before the first frame that is used.
  private var states: [(network: TokenNetwork.State, synthesis: TokenSynthesis)] = []
  private var access = TokenAccess(to: 0)

  /// Frames that go through the network at once.
  private static let batch = 64

  init(_ mode: TokenMode, levels: Int, channels: Int) {
    (self.mode, self.levels, self.channels) = (mode, levels, channels)
    model = TokenModel(.shipped(mode))
    network = .shipped(mode)
  }

  func start(for frame: Int) -> Int { TokenAccess(to: frame / mode.hop).first * mode.hop }

  func begin(at frame: Int) {
    access = TokenAccess(to: frame / mode.hop)
    states = []
  }

  func decode(_ part: AudioParts.Part, give: ([[Float]], Int) -> Void) throws {
    let group = try TokenReader.group(part.data, channels: channels, levels: levels, frames: part.frames, model)
    let before = part.start / mode.hop
    var frame = min(part.frames, max(0, access.first - before))
    if states.isEmpty {
      states = (0..<channels).map { (TokenNetwork.State(), TokenSynthesis(mode, channel: $0, from: before + frame, access)) }
    }
    repeat {
      try Task.checkCancellation()
      let end = min(frame + Self.batch, part.frames)
      let isLast = part.isLast && end == part.frames
      var samples: [[Float]] = []
      var start = 0
      for (channel, state) in states.enumerated() {
        sum(group, frame..<end, channel)
        network.spectra(isLast: isLast, state.network, scratch)
        for row in 0..<scratch.spectra.shape.positions { state.synthesis.append(scratch.spectra.pointer + row * scratch.spectra.shape.channels) }
        if isLast { state.synthesis.finish() }
        let known = state.synthesis.take()
        samples.append(known.samples)
        start = known.start
      }
      if !samples[0].isEmpty { give(samples, start) }
      frame = end
    } while frame < part.frames
  }

  /// `scratch.codes` become the sums of a channel's code vectors.
  private func sum(_ group: TokenGroup, _ frames: Range<Int>, _ channel: Int) {
    let dimensions = TokenGeometry.dimensions, codes = scratch.codes
    codes.reshape(to: Shape(1, frames.count, dimensions))
    codes.pointer.update(repeating: 0, count: codes.shape.count)
    for (row, frame) in frames.enumerated() {
      for level in 0..<levels {
        network.books.add(Int(group.indices[group.at(frame, channel) + level]), level: level, to: codes.pointer + row * dimensions)
      }
    }
  }
}
