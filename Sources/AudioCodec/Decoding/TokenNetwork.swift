import Bitstream
import Networks
import Tensors

/// From code vectors to spectra. Everything before it is integers; what it gives may differ in the last digits between machines.
// bitstream-spec 12.4
struct TokenNetwork: Sendable {
  private static let hidden = 768
  private static let blocksBefore = 2
  private static let blockCount = 8
  private static let heads = 4
  private static let window = 64
  /// Frames ahead that a frame's spectrum depends on.
  static let future = blockCount * FrameBlock.future

  private let input: FloatPointwise
  private let norm, outNorm: FloatLayerNorm
  private let blocks: [FrameBlock]
  private let attention: FrameAttention
  private let output: FloatPointwise
  let books: CodeBooks

  /// Of the weights that this build holds, with all levels; read once.
  static func shipped(_ mode: TokenMode) -> TokenNetwork { mode == .hop320 ? hop320 : hop600 }

  private static let hop320 = loaded(.hop320), hop600 = loaded(.hop600)

  private static func loaded(_ mode: TokenMode) -> TokenNetwork {
    do {
      return try TokenNetwork(.synthesis(), mode)
    } catch { preconditionFailure("the token model in this build is broken: \(error)") }
  }

  /// Throws `WeightsError` and `TensorError`.
  init(_ weights: WeightsFile, _ mode: TokenMode) throws {
    let channels = TokenGeometry.channels, mode = Int(mode.rawValue)
    books = try CodeBooks(weights, mode: mode)
    let biases = try weights.float("dec.in.bias", TokenMode.allCases.count, channels)
    input = try weights.quantisedPointwise(
      "dec.in", in: TokenGeometry.dimensions, out: channels, bias: Array(biases[mode * channels..<(mode + 1) * channels]))
    norm = try weights.layerNorm("dec.norm", channels: channels)
    blocks = try (0..<Self.blockCount).map { try FrameBlock(weights, "dec.\($0)", channels: channels, hidden: Self.hidden) }
    attention = try FrameAttention(weights, "dec.attention", channels: channels, heads: Self.heads, window: Self.window)
    outNorm = try weights.layerNorm("dec.out.norm", channels: channels)
    output = try weights.quantisedPointwise("dec.out", in: channels, out: TokenGeometry.outputs)
  }

  /// What later frames of a channel need of earlier ones.
  final class State {
    fileprivate let histories = (0..<blockCount).map { _ in FrameHistory(channels: TokenGeometry.channels, zeros: FrameBlock.past) }
    fileprivate let attention = FrameAttention.History(channels: TokenGeometry.channels)
  }

  /// Memory that channels share.
  final class Scratch {
    let codes = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    let spectra = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    fileprivate let x = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    fileprivate let layers = FrameScratch()
  }

  /// `scratch.spectra` becomes [1, m, 2756], what `TokenSynthesis` takes, of the m frames that are known with the next n, whose
  /// sums of code vectors `scratch.codes` holds, [1, n, 32].
  func spectra(isLast: Bool, _ state: State, _ scratch: Scratch) {
    let x = scratch.x
    input.apply(scratch.codes, into: x, threads: 1)
    norm.apply(x, into: x)
    for (number, block) in blocks.enumerated() {
      if number == Self.blocksBefore { attention.apply(x, state.attention, scratch.layers) }
      block.apply(x, isLast: isLast, state.histories[number], scratch.layers)
    }
    outNorm.apply(x, into: x)
    output.apply(x, into: scratch.spectra, threads: 1)
  }
}
