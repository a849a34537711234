import Bitstream
public import Coding
public import Media

/// What an `.ncb` file says of the KV cache in it. Nothing is decoded; checksums are checked.
public struct KVCacheFile: Sendable {
  public let layers: Int
  /// Positions that the cache covers.
  public let positions: Range<Int>
  /// Keys' and values' elements in all.
  public let elementCount: Int
  /// "static", "lossless" or "adaptive".
  public let scheme: String
  public let model: String
  /// Payloads; those of the adaptive scheme need the ones before them in their segment.
  public let parts: Int
  /// Bytes of the keys' and of the values' blocks, of blocks that hold both, and of tensors carried along.
  public let keyBytes: Int
  public let valueBytes: Int
  public let jointBytes: Int
  public let otherBytes: Int

  /// Whether the bytes are a file with a KV cache: decides by its track chunks, and by nothing behind them.
  public static func isOne(_ bytes: [UInt8]) -> Bool {
    guard let reader = try? ContainerReader(MemorySource(bytes), checksums: .onDemand, navigation: .index) else { return false }
    return reader.tracks.contains { $0.modality == .kvCache } && !reader.tracks.contains { $0.modality == .image }
  }

  /// Throws `CodecError` for what is no readable `.ncb` file with a KV cache.
  public init(reading bytes: [UInt8]) throws(CodecError) {
    do {
      try self.init(ContainerReader(MemorySource(bytes)))
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch {
      throw error as? CodecError ?? CodecError.damagedKV("\(error)")
    }
  }

  private init(_ reader: ContainerReader<MemorySource>) throws {
    guard let number = reader.tracks.firstIndex(where: { $0.modality == .kvCache }), reader.tracks[number].codec == CodecID.kvCache
    else { throw CodecError(.unsupported, "the file has no KV cache in a codec known here") }
    let configuration = try KVConfiguration(parsing: reader.tracks[number].configuration)
    let shapes = configuration.shapes
    let units = reader.units.filter { $0.track == UInt32(number) }
    var (keys, values, joint, others, elements) = (0, 0, 0, 0, 0)
    let first = shapes.map { Int($0.firstPosition) }.min()!
    var end = first
    for unit in units {
      let payload = try KVPayload(parsing: reader.payload(unit).data, configuration)
      guard unit.start <= UInt64(UInt32.max) else { throw CodecError.damagedKV("a payload begins at token \(unit.start)") }
      for (shape, blocks) in zip(shapes, payload.blocks) {
        if configuration.scheme == .adaptive {
          joint += blocks.reduce(0) { $0 + $1.count }
        } else {
          keys += blocks[0].count
          values += blocks.dropFirst().first?.count ?? 0
        }
        let held = KVPayload.positions(of: shape, start: unit.start, tokens: payload.tokens).count
        elements += held * Int(shape.keyHeads * shape.keyChannels + shape.valueHeads * (shape.valueHeads > 0 ? shape.valueChannels : 0))
      }
      end = Int(unit.start) + payload.tokens
    }
    for unit in reader.units where unit.track != UInt32(number) { others += unit.chunk.count }
    layers = shapes.count
    positions = first..<max(end, first)
    elementCount = elements
    scheme = configuration.scheme.label
    model = configuration.model
    parts = units.count
    (keyBytes, valueBytes, jointBytes, otherBytes) = (keys, values, joint, others)
  }
}

extension KVCache {
  /// CRC-32 of the elements of each layer's keys, then its values, `[head, token, channel]`: equal wherever the same file
  /// was decoded.
  public var elementsCRC32: UInt32 {
    var crc: UInt32 = 0
    for layer in layers {
      for tensor in [layer.keys, layer.values].compactMap({ $0 }) {
        for head in 0..<tensor.heads {
          for token in 0..<tensor.tokens {
            tensor.withRow(head: head, token: token) { crc = Checksum.crc32(Array($0)[...], seed: crc) }
          }
        }
      }
    }
    return crc
  }
}
