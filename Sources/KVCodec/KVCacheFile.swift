import Bitstream
public import Coding

/// What an `.ncb` file says of the KV cache in it. Nothing is decoded; checksums are checked.
public struct KVCacheFile: Sendable {
  public let layers: Int
  /// Positions that the cache covers.
  public let positions: Range<Int>
  /// Keys' and values' elements in all.
  public let elementCount: Int
  /// "static", "lossless", "adaptive" or "profile"; of the best level.
  public let scheme: String
  public let model: String
  /// Parts that decode on their own.
  public var parts: Int { chunks.count }
  /// The parts, in order, and what each takes in each level.
  public let chunks: [KVPlan.Chunk]
  /// The best first; at least one.
  public let levels: [Level]
  public let byteCount: Int
  /// Bytes of the keys' and of the values' blocks of all levels, of blocks that hold both, and of tensors carried along.
  public let keyBytes: Int
  public let valueBytes: Int
  public let jointBytes: Int
  public let otherBytes: Int

  /// The cache in one quality.
  public struct Level: Sendable, Equatable {
    /// 0...100; nil where the file does not say, and without loss.
    public let quality: Int?
    /// "static" or "lossless".
    public let scheme: String
    /// Of the payloads' chunks.
    public let byteCount: Int
  }

  /// Whether the bytes are a file with a KV cache: decides by its track chunks, and by nothing behind them.
  public static func isOne(_ bytes: [UInt8]) -> Bool { isOne(MemorySource(bytes)) }

  package static func isOne(_ source: some ByteSource) -> Bool {
    guard let reader = try? ContainerReader(source, limits: limits(source), checksums: .onDemand, navigation: .index) else { return false }
    return reader.tracks.contains { $0.modality == .kvCache } && !reader.tracks.contains { $0.modality == .image }
  }

  /// Throws `CodecError` for what is no readable `.ncb` file with a KV cache.
  public init(reading bytes: [UInt8]) throws(CodecError) { try self.init(reading: MemorySource(bytes)) }

  /// Of a file on disk, chunk by chunk.
  package init(reading source: some ByteSource) throws(CodecError) {
    do {
      try self.init(ContainerReader(source, limits: Self.limits(source)))
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch {
      throw error as? CodecError ?? CodecError.damagedKV("\(error)")
    }
  }

  /// A file may be as large as it is.
  private static func limits(_ source: some ByteSource) -> ContainerLimits {
    var limits = ContainerLimits()
    limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
    return limits
  }

  private init(_ reader: ContainerReader<some ByteSource>) throws {
    let found = try KVLevels.read(reader)
    let configuration = found[0].configuration
    let shapes = configuration.shapes
    let units = found.map { level in reader.units.filter { $0.track == level.track } }
    var (keys, values, joint, elements) = (0, 0, 0, 0)
    let first = shapes.map { Int($0.firstPosition) }.min()!
    var end = first
    var chunks: [KVPlan.Chunk] = []
    for i in units[0].indices {
      let unit = units[0][i]
      guard unit.start <= UInt64(UInt32.max), Int(unit.start) == end else {
        throw CodecError.damagedKV("a payload begins at token \(unit.start) where \(end) is expected")
      }
      var bytes: [Int] = []
      for (number, level) in found.enumerated() {
        guard i < units[number].count, units[number][i].start == unit.start, units[number][i].isRandomAccess == unit.isRandomAccess else {
          throw CodecError.damagedKV("level \(number) has other parts than level 0")
        }
        let payload = try KVPayload(parsing: reader.payload(units[number][i]).data, level.configuration)
        for (shape, blocks) in zip(shapes, payload.blocks) {
          if level.configuration.scheme.hasChains {
            joint += blocks.reduce(0) { $0 + $1.count }
          } else {
            keys += blocks[0].count
            values += blocks.dropFirst().first?.count ?? 0
          }
          guard number == 0 else { continue }
          // At most 2^16 * 2^21; all together may be more than there are numbers for, in a file that lies.
          let more = KVPayload.positions(of: shape, start: unit.start, tokens: payload.tokens).count * shape.tokenElements
          elements = elements > Int.max - more ? .max : elements + more
        }
        if number == 0 { end = Int(unit.start) + payload.tokens }
        guard end == Int(unit.start) + payload.tokens else { throw CodecError.damagedKV("level \(number) has other parts than level 0") }
        bytes.append(units[number][i].chunk.count)
      }
      if unit.isRandomAccess {
        chunks.append(KVPlan.Chunk(positions: Int(unit.start)..<end, bytes: bytes))
      } else if let last = chunks.popLast() {
        // What needs the payload before it belongs to the same part. The first payload of a track needs none.
        chunks.append(
          KVPlan.Chunk(positions: last.positions.lowerBound..<max(end, last.positions.upperBound), bytes: zip(last.bytes, bytes).map(+)))
      }
    }
    guard units.allSatisfy({ $0.count == units[0].count }) else { throw CodecError.damagedKV("levels have more parts than level 0") }
    let tracks = Set(found.map(\.track))
    layers = shapes.count
    positions = first..<max(end, first)
    elementCount = elements
    scheme = configuration.scheme.label
    model = configuration.model
    byteCount = reader.source.byteCount
    levels = found.enumerated().map { number, level in
      Level(
        quality: level.quality, scheme: level.configuration.scheme.label,
        byteCount: chunks.reduce(0) { $0 + $1.bytes[number] })
    }
    self.chunks = chunks
    (keyBytes, valueBytes, jointBytes) = (keys, values, joint)
    otherBytes = reader.units.reduce(0) { $0 + (tracks.contains($1.track) ? 0 : $1.chunk.count) }
  }
}
