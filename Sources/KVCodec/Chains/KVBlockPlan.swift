import Bitstream

/// How a token's keys and values of one layer are cut into blocks, each a vector with a basis of its own.
///
/// A block holds whole heads, the keys of all of them and then their values, as many as make at most 384 channels: its cost per
/// channel does not grow with the model. Of a head that has more, pieces are cut.
// bitstream-spec 10.10.1
struct KVBlockPlan {
  static let maximumWidth = 384

  /// Adjacent channels of a head's keys or values.
  struct Part {
    var isKeys: Bool
    var head: Int
    var channels: Range<Int>
    /// Where they stand in the block.
    var place: Int
  }

  struct Block {
    var parts: [Part] = []
    var width = 0

    fileprivate mutating func append(isKeys: Bool, head: Int, channels: Range<Int>) {
      guard !channels.isEmpty else { return }
      parts.append(Part(isKeys: isKeys, head: head, channels: channels, place: width))
      width += channels.count
    }
  }

  let blocks: [Block]

  /// Whether no head is cut, so that RoPE can be undone.
  static func hasWholeHeads(_ shape: KVLayerGroup) -> Bool { width(of: shape) <= maximumWidth }

  static func blockCount(_ shape: KVLayerGroup) -> Int {
    let (unit, heads) = (width(of: shape), Int(shape.keyHeads))
    guard unit <= maximumWidth else { return heads * ((unit + maximumWidth - 1) / maximumWidth) }
    let most = maximumWidth / unit
    return (heads + most - 1) / most
  }

  /// Channels of a block, at most.
  static func widest(_ shape: KVLayerGroup) -> Int {
    let unit = width(of: shape)
    guard unit <= maximumWidth else { return maximumWidth }
    return unit * min(Int(shape.keyHeads), maximumWidth / unit)
  }

  /// Channels of a head's keys and values.
  private static func width(of shape: KVLayerGroup) -> Int {
    Int(shape.keyChannels) + (shape.valueHeads > 0 ? Int(shape.valueChannels) : 0)
  }

  init(_ shape: KVLayerGroup) {
    let (keys, unit, heads) = (Int(shape.keyChannels), Self.width(of: shape), Int(shape.keyHeads))
    let count = Self.blockCount(shape)
    var blocks: [Block] = []
    if Self.hasWholeHeads(shape) {
      let size = (heads + count - 1) / count
      for first in stride(from: 0, to: heads, by: size) {
        var block = Block()
        for head in first..<min(first + size, heads) { block.append(isKeys: true, head: head, channels: 0..<keys) }
        for head in first..<min(first + size, heads) { block.append(isKeys: false, head: head, channels: 0..<unit - keys) }
        blocks.append(block)
      }
    } else {
      let pieces = count / heads
      let size = (unit + pieces - 1) / pieces
      for head in 0..<heads {
        for first in stride(from: 0, to: unit, by: size) {
          let end = min(first + size, unit)
          var block = Block()
          block.append(isKeys: true, head: head, channels: min(first, keys)..<min(end, keys))
          block.append(isKeys: false, head: head, channels: max(first, keys) - keys..<max(end, keys) - keys)
          blocks.append(block)
        }
      }
    }
    self.blocks = blocks
  }
}

/// Blocks that predict each other: those of one place in layers of one shape, in the layers' order.
struct KVChainPlan {
  var layers: [Int]
  var block: Int
  var width: Int

  /// All chains, in the order of their first layers and then of their places.
  static func chains(of shapes: [KVLayerGroup]) -> [KVChainPlan] {
    var chains: [KVChainPlan] = []
    var known: [(shape: KVLayerGroup, first: Int, count: Int)] = []
    for (layer, shape) in shapes.enumerated() {
      if let same = known.first(where: { $0.shape.isLike(shape) }) {
        for i in same.first..<same.first + same.count { chains[i].layers.append(layer) }
      } else {
        let blocks = KVBlockPlan(shape).blocks
        known.append((shape, chains.count, blocks.count))
        for (i, block) in blocks.enumerated() { chains.append(KVChainPlan(layers: [layer], block: i, width: block.width)) }
      }
    }
    return chains
  }
}

extension KVLayerGroup {
  /// Whether layers of both shapes have the same tokens and blocks.
  fileprivate func isLike(_ other: KVLayerGroup) -> Bool {
    firstPosition == other.firstPosition && keyHeads == other.keyHeads && keyChannels == other.keyChannels
      && valueHeads == other.valueHeads && (valueHeads == 0 || valueChannels == other.valueChannels)
  }
}
