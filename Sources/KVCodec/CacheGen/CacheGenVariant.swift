import Media

/// The two forms of CacheGen (Liu et al., SIGCOMM 2024): what the paper describes, and what LMCache's code does.
public enum CacheGenVariant: String, Sendable, CaseIterable {
  /// Groups of 10 tokens: an anchor in 8 bits, the others as differences from it in steps that the level sets.
  case paper
  /// No differences: each token by its largest magnitude, in 12, 16 or 32 bins by layer and level.
  case released
}

/// How CacheGen quantises a block.
struct CacheGenRule: Sendable {
  /// Tokens of a group, the first of which is its anchor.
  let group: Int
  /// What an anchor's largest magnitude becomes.
  let limit: Int
  /// The step of the other tokens, by the standard deviation of their differences in the channel; unused in groups of one.
  let coarseness: Float

  static let levels = 1...3

  /// `level`: 1 (smallest) to 3; `layer` of so many.
  init(_ variant: CacheGenVariant, level: Int, layer: Int, of layers: Int, areKeys: Bool) {
    switch variant {
    case .paper:
      (group, limit) = (10, 127)
      // The paper's bins: half a unit in the first third of the layers, one in the second, one and a half in the last.
      coarseness = [1, 0.5, 0.25][level - 1] * [0.5, 1, 1.5][layer * 3 / layers]
    case .released:
      // LMCache's presets, whatever the number of layers: keys of layers 0...9, 10...19 and the rest; values of 0, 1 and the
      // rest.
      let bins =
        areKeys
        ? [[16, 16, 12], [32, 16, 16], [32, 32, 32]][level - 1][min(layer / 10, 2)]
        : [[16, 12], [32, 16], [32, 32]][level - 1][layer < 2 ? 0 : 1]
      (group, limit, coarseness) = (1, bins / 2 - 1, 1)
    }
  }
}
