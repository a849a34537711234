import Bitstream
import Coding
import Media

/// A run of tokens of all layers:
///
///     tokens    varint, 1...the configuration's chunk
///     lengths   for each layer, for each of its blocks: varint, bytes of it
///     blocks    one after the other, to the end
///
/// A layer's blocks are its keys and then, if it has them, its values; in schemes with chains, those of its `KVBlockPlan`. A layer whose first position lies inside the run, or behind it, has only the tokens from there on; with none, its
/// blocks are empty and have length 0.
// bitstream-spec 10.2
struct KVPayload {
  static let maximumBlockElements = 1 << 28

  let tokens: Int
  /// By layer.
  let blocks: [[ArraySlice<UInt8>]]

  /// Throws `CodecError` (malformed).
  init(parsing bytes: ArraySlice<UInt8>, _ configuration: KVConfiguration) throws {
    let (counts, chunk) = (configuration.blockCounts, configuration.chunkTokens)
    var fields = KVFields(bytes)
    let count = try fields.varint("tokens")
    guard count >= 1, count <= UInt64(chunk) else { throw CodecError.damagedKV("a payload has \(count) tokens") }
    tokens = Int(count)
    var lengths: [UInt64] = []
    for count in counts {
      for _ in 0..<count { lengths.append(try fields.varint("bytes of a block")) }
    }
    var next = 0
    func block() throws -> ArraySlice<UInt8> {
      let length = lengths[next]
      next += 1
      guard length <= UInt64(bytes.count) else { throw CodecError.damagedKV("a block is cut short") }
      return try fields.take(Int(length), "blocks")
    }
    var blocks: [[ArraySlice<UInt8>]] = []
    for count in counts { blocks.append(try (0..<count).map { _ in try block() }) }
    guard fields.rest().isEmpty else { throw CodecError.damagedKV("bytes follow a payload's last block") }
    self.blocks = blocks
  }

  /// The inverse of `init(parsing:_:)`. `blocks`: by layer and then in order.
  static func bytes(tokens: Int, blocks: [[UInt8]]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(blocks.reduce(8 + 5 * blocks.count) { $0 + $1.count })
    Varint.append(UInt64(tokens), to: &bytes)
    for block in blocks { Varint.append(UInt64(block.count), to: &bytes) }
    for block in blocks { bytes += block }
    return bytes
  }

  /// The tokens of a run from `start` on that a layer has, as positions.
  static func positions(of shape: KVLayerGroup, start: UInt64, tokens: Int) -> Range<UInt64> {
    let end = start + UInt64(tokens)
    return min(max(start, UInt64(shape.firstPosition)), end)..<end
  }
}

extension KVConfiguration {
  /// Blocks of a payload, by layer.
  var blockCounts: [Int] {
    groups.flatMap { group in
      let count = scheme.hasChains ? KVBlockPlan.blockCount(group) : group.valueHeads > 0 ? 2 : 1
      return [Int](repeating: count, count: Int(group.count))
    }
  }
}

extension KVConfiguration.Scheme {
  /// Whether blocks hold keys and values, and are predicted from each other.
  var hasChains: Bool { self == .adaptive || self == .profile }
}
