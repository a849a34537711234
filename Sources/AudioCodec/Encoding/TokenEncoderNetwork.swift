import Bitstream
import Networks
import Tensors

/// From features to latents, and from latents to the nearest code vectors. Floats: files do not depend on how they are rounded, but which
/// vector is nearest may.
struct TokenEncoderNetwork: Sendable {
  static let blockCount = 4
  private static let hidden = 512
  /// Beginnings of a frame's indices that are followed.
  private static let searchWidth = 8
  /// Frames ahead that a frame's latent depends on.
  static let future = blockCount * FrameBlock.future

  private let input: FloatPointwise
  private let norm, outNorm: FloatLayerNorm
  private let blocks: [FrameBlock]
  private let output: FloatPointwise
  private let search: CodeSearch

  /// Of the weights that this build holds; read once.
  static func shipped(_ mode: TokenMode) -> TokenEncoderNetwork { mode == .hop320 ? hop320 : hop600 }

  private static let hop320 = loaded(.hop320), hop600 = loaded(.hop600)

  private static func loaded(_ mode: TokenMode) -> TokenEncoderNetwork {
    do {
      return try TokenEncoderNetwork(.analysis(), .synthesis(), mode)
    } catch { preconditionFailure("the token model in this build is broken: \(error)") }
  }

  /// Throws `WeightsError` and `TensorError`.
  init(_ weights: WeightsFile, _ decoder: WeightsFile, _ mode: TokenMode) throws {
    let channels = TokenGeometry.channels, mode = Int(mode.rawValue)
    let biases = try weights.float("enc.in.bias", TokenMode.allCases.count, channels)
    input = try weights.quantisedPointwise(
      "enc.in", in: TokenFeatures.count, out: channels, bias: Array(biases[mode * channels..<(mode + 1) * channels]))
    norm = try weights.layerNorm("enc.norm", channels: channels)
    blocks = try (0..<Self.blockCount).map { try FrameBlock(weights, "enc.\($0)", channels: channels, hidden: Self.hidden) }
    outNorm = try weights.layerNorm("enc.out.norm", channels: channels)
    output = try weights.quantisedPointwise("enc.out", in: channels, out: TokenGeometry.dimensions)
    search = try CodeSearch(CodeBooks(decoder, mode: mode), width: Self.searchWidth)
  }

  /// What later frames of a channel need of earlier ones.
  final class State {
    fileprivate let histories: [FrameHistory]

    init() {
      histories = (0..<blockCount).map { _ in FrameHistory(channels: TokenGeometry.channels, zeros: FrameBlock.past) }
    }
  }

  /// Memory that channels share.
  final class Scratch {
    let features = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    let latents = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    fileprivate let x = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    fileprivate let search = CodeSearch.Scratch()
    fileprivate let layers = FrameScratch()
  }

  /// `scratch.latents` becomes [1, m, 32] for the m frames that are known with the next n, `scratch.features` of [1, n, 1153].
  func latents(isLast: Bool, _ state: State, _ scratch: Scratch) {
    let x = scratch.x
    input.apply(scratch.features, into: x, threads: 1)
    norm.apply(x, into: x)
    for (block, history) in zip(blocks, state.histories) { block.apply(x, isLast: isLast, history, scratch.layers) }
    outNorm.apply(x, into: x)
    output.apply(x, into: scratch.latents, threads: 1)
  }

  /// [level][frame] of the lowest `levels`, for `scratch.latents`.
  func quantise(levels: Int, _ scratch: Scratch) -> [[UInt16]] { search.indices(scratch.latents, levels: levels, scratch.search) }
}
