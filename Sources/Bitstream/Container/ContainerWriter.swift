/// Writes a file chunk by chunk: tracks, then metadata, then payloads. `ContainerReader` reads what it writes.
///
/// Each call either appends one whole chunk or throws and appends nothing, unless the sink itself fails.
// bitstream-spec 2
package struct ContainerWriter<Sink: ByteSink>: ~Copyable {
  private var sink: Sink
  /// Bytes from the start of the file to the next chunk.
  package private(set) var offset = 0
  /// The CRC of all bytes so far but the stored CRCs; the next chunk's goes on from it.
  private var crc: UInt32 = 0
  private var rules = ContainerRules()
  private var index = RandomAccessIndex()

  /// Writes the file header.
  package init(_ sink: Sink) throws(BitstreamError) {
    self.sink = sink
    let header = try FileHeader.current.serialised()
    crc = Checksum.crc32(header)
    offset = header.count
    try self.sink.write(header[...])
  }

  package var tracks: [TrackHeader] { rules.tracks }

  /// About so many more bytes will be written.
  package mutating func expect(_ count: Int) { sink.expect(count) }

  /// Appends a track and returns its number.
  @discardableResult
  package mutating func append(_ track: TrackHeader) throws(BitstreamError) -> UInt32 {
    let payload = try track.serialised()
    var next = rules
    try next.admit(.track, at: offset)
    try next.add(track, limit: Int(UInt32.max), at: offset)
    try write(.track, payload, [])
    rules = next
    return UInt32(rules.tracks.count - 1)
  }

  package mutating func append(_ metadatum: Metadatum) throws(BitstreamError) {
    var next = rules
    try next.admit(metadatum.chunkType, at: offset)
    try next.add(metadatum, at: offset)
    let payload = try serialised(metadatum.structure(trackCount: rules.tracks.count))
    try write(metadatum.chunkType, payload, [])
    rules = next
  }

  package mutating func append(_ payload: Payload) throws(BitstreamError) {
    var next = rules
    try next.admit(.payload, at: offset)
    let header = PayloadHeader(
      of: rules.tracks, track: payload.track, isRandomAccess: payload.isRandomAccess, start: payload.start)
    let start = try header.serialised()
    let length = start.count + payload.data.count
    let total = try ChunkHeader(type: .payload, length: UInt64(length)).byteCount() + length
      + ChunkHeader.checksumByteCount
    let unit = try next.add(header, chunk: offset..<offset + total)
    try write(.payload, start, payload.data)
    rules = next
    if unit.isRandomAccess { index.append(unit) }
  }

  /// Appends a chunk of a type that this version does not know, and that readers skip. Throws `invalidValue` unless
  /// the type is an unknown small letter.
  package mutating func append(unknown type: ChunkType, _ payload: ArraySlice<UInt8>) throws(BitstreamError) {
    guard type.rank == nil, type.isLetter, !type.isCritical else {
      throw BitstreamError(.invalidValue, at: offset, in: "chunk header > type", "\(type) is no unknown optional chunk")
    }
    try rules.admit(type, at: offset)
    try write(type, [], payload)
  }

  /// Appends the index, if `hasIndex`, and the end chunk. Throws `missing` if there is no track, or if a track without
  /// time base has no payload.
  package consuming func finish(hasIndex: Bool) throws(BitstreamError) -> Sink {
    if rules.tracks.isEmpty { throw BitstreamError(.missing, at: offset, in: "", "the file has no track") }
    try rules.checkEnd(at: offset)
    let indexOffset = hasIndex ? UInt64(offset) : nil
    if hasIndex { try write(.index, try index.serialised(), []) }
    try write(.end, try EndMarker(indexOffset: indexOffset).serialised(), [])
    return sink
  }

  private func serialised(_ structure: some BitstreamStructure) throws(BitstreamError) -> [UInt8] {
    try structure.serialised()
  }

  private mutating func write(_ type: ChunkType, _ start: [UInt8], _ rest: ArraySlice<UInt8>) throws(BitstreamError) {
    var writer = FieldWriter()
    try writer.write(ChunkHeader(type: type, length: UInt64(start.count + rest.count)))
    let head = writer.bytes + start
    crc = Checksum.crc32(rest, seed: Checksum.crc32(head, seed: crc))
    let stored = (0..<4).map { UInt8(truncatingIfNeeded: crc >> UInt32(8 * $0)) }
    try sink.write(head[...])
    if !rest.isEmpty { try sink.write(rest) }
    try sink.write(stored[...])
    offset += head.count + rest.count + stored.count
  }
}
