/// Reads a file front to back, chunk by chunk, from where nothing can be looked at twice, such as a pipe. It checks what `ContainerReader`
/// checks, but not that an index agrees with the chunks.
// bitstream-spec 2
package final class ContainerStream {
  package let limits: ContainerLimits
  package var tracks: [TrackHeader] { rules.tracks }
  package private(set) var metadata: [Metadatum] = []

  private let readMore: (Int) throws -> [UInt8]
  /// Bytes that were read and not yet used begin at `next`.
  private var buffer: [UInt8] = []
  private var next = 0
  private var isAtEnd = false
  /// Of the file, to `next`.
  private var offset = 0
  private var crc: UInt32 = 0
  private var rules = ContainerRules()
  private var metadataBytes = 0
  private var chunkCount = 0
  /// The first payload, found where tracks and metadata end.
  private var pending: Payload?

  /// `read` gives up to so many bytes, and none only at the end. Reads up to the first payload or the end; throws what `read` throws.
  package init(limits: ContainerLimits = ContainerLimits(), read: @escaping (Int) throws -> [UInt8]) throws {
    self.limits = limits
    readMore = read
    try fill(16)
    _ = try FileHeader.read(buffer[...])
    let header = try take(FileHeader.byteCount)
    crc = Checksum.crc32(header)
    pending = try payload()
  }

  /// The next payload; nil behind the last one, when the file's end has been checked too.
  package func nextPayload() throws -> Payload? {
    if let payload = pending {
      pending = nil
      return payload
    }
    return try payload()
  }

  private func payload() throws -> Payload? {
    while !rules.isEnded { if let payload = try chunk() { return payload } }
    return nil
  }

  /// One chunk; gives its payload if it has one.
  private func chunk() throws -> Payload? {
    let start = offset
    try fill(ChunkHeader.maximumByteCount)
    guard next < buffer.count else {
      throw BitstreamError(.truncated, at: start, in: "", "the file ends before its end chunk")
    }
    chunkCount += 1
    var reader = FieldReader(buffer[next...], named: "chunk header", at: start)
    let header = try reader.read(ChunkHeader())
    let headBytes = try take(reader.offset - start)
    guard header.length <= UInt64(limits.maxChunkBytes) else {
      throw BitstreamError(
        .limitExceeded, at: start, in: header.type.name,
        "the chunk's \(header.length) bytes are more than the \(limits.maxChunkBytes) allowed")
    }
    let at = offset
    let bytes = try take(Int(header.length))
    crc = Checksum.crc32(bytes, seed: Checksum.crc32(headBytes, seed: crc))
    let stored = try take(ChunkHeader.checksumByteCount).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
    guard stored == crc else {
      throw BitstreamError(.badChecksum, at: start, in: header.type.name, "the checksum of the chunk does not match")
    }
    if header.type.rank == nil, header.type.isCritical {
      throw BitstreamError(
        .unknownCriticalChunk, at: start, in: "chunk header",
        "the chunk \(header.type) of \(bytes.count) bytes must be understood and is unknown")
    }
    try rules.admit(header.type, at: start)
    switch header.type {
    case .track:
      try rules.add(
        TrackHeader.parse(bytes, into: TrackHeader(), named: "track \(tracks.count)", at: at), limit: limits.maxTracks, at: start)
    case .colourProfile, .gamma, .exif, .text, .levels:
      metadataBytes += bytes.count
      guard metadataBytes <= limits.maxMetadataBytes else {
        throw BitstreamError(
          .limitExceeded, at: start, in: header.type.name, "metadata have more than the \(limits.maxMetadataBytes) bytes allowed")
      }
      let metadatum = try Metadatum.parse(bytes, type: header.type, trackCount: tracks.count, at: at)
      try rules.add(metadatum, at: start)
      metadata.append(metadatum)
    case .payload:
      var reader = FieldReader(bytes, named: "payload", at: at, shortage: .malformed)
      let header = try reader.read(PayloadHeader(of: tracks))
      _ = try rules.add(header, chunk: start..<offset)
      return Payload(
        track: header.track, isRandomAccess: header.isRandomAccess, start: header.start, data: bytes.dropFirst(reader.offset - at))
    case .end:
      try rules.checkEnd(at: offset)
      try fill(1)
      guard next == buffer.count else {
        throw BitstreamError(.trailingData, at: offset, in: "", "bytes follow the end chunk")
      }
    default: break
    }
    return nil
  }

  /// Reads until `count` bytes are there, or the end.
  private func fill(_ count: Int) throws {
    if next > 1 << 16 {
      buffer.removeFirst(next)
      next = 0
    }
    while buffer.count - next < count, !isAtEnd {
      // In pieces, so that a length that is not true takes no memory.
      let more = try readMore(min(1 << 16, max(4096, count - (buffer.count - next))))
      isAtEnd = more.isEmpty
      buffer += more
    }
  }

  private func take(_ count: Int) throws -> ArraySlice<UInt8> {
    try fill(count)
    guard buffer.count - next >= count else {
      throw BitstreamError(
        .truncated, at: offset, in: "", "\(count) bytes are needed and \(buffer.count - next) are left")
    }
    defer {
      next += count
      offset += count
    }
    return ArraySlice(Array(buffer[next..<next + count]))
  }
}
