import Bitstream
public import Media

/// Sums up the elements of a cache that comes part by part.
package final class KVElementsSum: KVCacheSink {
  /// The CRC and bytes so far of each head of each layer's keys, then of its values.
  private var heads: [(crc: UInt32, byteCount: Int)] = []
  /// The cache without its elements.
  package private(set) var cache = KVCache(layers: [])

  package init() {}

  package func begin(_ cache: KVCache, others: [KVNamedShape]) {
    self.cache = cache
    let count = cache.layers.reduce(0) { $0 + $1.keys.heads + ($1.values?.heads ?? 0) }
    heads = [(crc: UInt32, byteCount: Int)](repeating: (0, 0), count: count)
  }

  package func write(_ layers: [KVLayer]) {
    var number = 0
    for layer in layers {
      for tensor in [layer.keys, layer.values].compactMap({ $0 }) {
        for head in 0..<tensor.heads {
          for token in 0..<tensor.tokens {
            tensor.withRow(head: head, token: token) { row in
              heads[number].crc = Checksum.crc32(row, seed: heads[number].crc)
              heads[number].byteCount += row.count
            }
          }
          number += 1
        }
      }
    }
  }

  package func write(other number: Int, _ bytes: [UInt8], at offset: Int) {}

  /// As `KVCache.elementsCRC32`.
  package var crc32: UInt32 { heads.reduce(0) { Checksum.combined($0, $1.crc, count: $1.byteCount) } }
}

extension KVCache {
  /// CRC-32 of the elements of each layer's keys, then its values, `[head, token, channel]`: equal wherever the same file
  /// was decoded.
  public var elementsCRC32: UInt32 {
    let sum = KVElementsSum()
    sum.begin(self, others: [])
    sum.write(layers)
    return sum.crc32
  }
}
