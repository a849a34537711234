/// Where a chunk lies in a file.
package struct ChunkRecord: Equatable, Sendable {
  package let type: ChunkType
  /// From the type to the CRC.
  package let range: Range<Int>
  package let payload: Range<Int>

  /// The chunk whose type stands at `offset`. Only its type and length are read. Throws `truncated` if the source ends
  /// before the chunk does, `malformed` or `limitExceeded`.
  static func read(
    at offset: Int, from source: some ByteSource, limits: ContainerLimits
  ) throws(BitstreamError) -> ChunkRecord {
    let end = source.byteCount
    guard offset < end else {
      throw BitstreamError(.truncated, at: offset, in: "", "the file ends before its end chunk")
    }
    let start = try source.read(offset..<min(end, offset + ChunkHeader.maximumByteCount))
    var reader = FieldReader(start, named: "chunk header", at: offset)
    let header = try reader.read(ChunkHeader())
    let payload = reader.offset
    let left = end - payload
    guard left >= ChunkHeader.checksumByteCount, header.length <= UInt64(left - ChunkHeader.checksumByteCount) else {
      throw BitstreamError(
        .truncated, at: offset, in: header.type.name,
        "the chunk has \(header.length) bytes and a checksum to come, and \(left) bytes are left")
    }
    let length = Int(header.length)
    guard length <= limits.maxChunkBytes else {
      throw BitstreamError(
        .limitExceeded, at: offset, in: header.type.name,
        "the chunk's \(length) bytes are more than the \(limits.maxChunkBytes) allowed")
    }
    return ChunkRecord(
      type: header.type, range: offset..<payload + length + ChunkHeader.checksumByteCount,
      payload: payload..<payload + length)
  }

  /// Throws `badChecksum` unless the CRC matches. It goes on from the CRC of the chunk before, which are the four
  /// bytes before this chunk, or from that of the file header.
  // bitstream-spec 2.2
  func verify(in source: some ByteSource) throws(BitstreamError) {
    var crc: UInt32
    if range.lowerBound == FileHeader.byteCount {
      crc = Checksum.crc32(try source.read(0..<FileHeader.byteCount))
    } else {
      crc = littleEndian(try source.read(range.lowerBound - 4..<range.lowerBound))
    }
    // In pieces, so that checking takes no memory for the whole chunk.
    var position = range.lowerBound
    while position < payload.upperBound {
      let next = min(payload.upperBound, position + 1 << 20)
      crc = Checksum.crc32(try source.read(position..<next), seed: crc)
      position = next
    }
    let stored = littleEndian(try source.read(payload.upperBound..<range.upperBound))
    guard stored == crc else {
      throw BitstreamError(
        .badChecksum, at: range.lowerBound, in: type.name,
        "the checksum of the \(range.count) bytes from here on does not match")
    }
  }

  private func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }
}
