/// Finds its way through a file without loading the payloads.
///
/// Whatever stands in its properties has been read, checked against its CRC and held against the rules of the format.
/// `ContainerWriter` writes what it reads.
// bitstream-spec 2
package struct ContainerReader<Source: ByteSource>: Sendable {
  package enum Checksums: Sendable {
    /// The CRC of every chunk is checked while opening, payloads included.
    case whenOpening
    /// Payloads and unknown chunks are checked when they are loaded or when `verify()` is called.
    case onDemand
    /// Nothing is checked. Only for fuzzing, where no random file would get past its first chunk.
    case ignored
  }

  package enum Navigation: Sendable {
    /// Visits the header of every chunk of the file.
    case scan
    /// Goes from the chunks before the first payload straight to the index at the end; `chunks` then lacks those in
    /// between and `units` those without random access. Scans files without index.
    case index
  }

  package let source: Source
  package let limits: ContainerLimits
  package let header: FileHeader
  package var tracks: [TrackHeader] { rules.tracks }
  package private(set) var metadata: [Metadatum] = []
  /// In file order; includes unknown optional chunks.
  package private(set) var chunks: [ChunkRecord] = []
  /// The payload chunks, in file order.
  package private(set) var units: [UnitRecord] = []
  /// Whether the file has an index chunk.
  package var hasIndex: Bool { rules.indexOffset != nil }

  private let checksums: Checksums
  private var rules = ContainerRules()
  private var metadataBytes = 0
  /// Units of the index chunk; nil before one is read.
  private var indexed: [UnitRecord]?
  /// Whether the CRCs of all chunks have been checked, so that loading need not check them again.
  private var isVerified = false

  package init(
    _ source: Source, limits: ContainerLimits = ContainerLimits(), checksums: Checksums = .whenOpening,
    navigation: Navigation = .scan
  ) throws(BitstreamError) {
    self.source = source
    self.limits = limits
    self.checksums = checksums
    header = try FileHeader.read(try source.read(0..<min(16, source.byteCount)))
    guard source.byteCount <= limits.maxFileBytes else {
      throw BitstreamError(
        .limitExceeded, at: nil, in: "",
        "the file's \(source.byteCount) bytes are more than the \(limits.maxFileBytes) allowed")
    }
    var position = FileHeader.byteCount
    while !rules.isEnded {
      let chunk = try ChunkRecord.read(at: position, from: source, limits: limits)
      if navigation == .index, chunk.type == .payload, let (index, end) = try findIndex(after: position) {
        try accept(index)
        try accept(end)
        units = indexed ?? []
        return
      }
      try accept(chunk)
      position = chunk.range.upperBound
    }
    guard position == source.byteCount else {
      throw BitstreamError(
        .trailingData, at: position, in: "", "\(source.byteCount - position) bytes follow the end chunk")
    }
    try checkIndex()
    isVerified = checksums == .whenOpening
  }

  /// Loads a payload after checking its CRC. `unit` is one of `units`.
  package func payload(_ unit: UnitRecord) throws(BitstreamError) -> Payload {
    let chunk = try ChunkRecord.read(at: unit.chunk.lowerBound, from: source, limits: limits)
    guard chunk.range == unit.chunk, chunk.type == .payload else {
      throw BitstreamError(
        .malformed, at: unit.chunk.lowerBound, in: "index", "the index points to what is no payload of its length")
    }
    try verifyLate(chunk)
    let (header, length) = try payloadHeader(chunk)
    let isAsIndexed = header.track == unit.track && header.isRandomAccess == unit.isRandomAccess
      && (tracks[Int(header.track)].timeBase == nil || header.start == unit.start)
    guard isAsIndexed else {
      throw BitstreamError(
        .malformed, at: unit.chunk.lowerBound, in: "index", "the index disagrees with the payload about track or time")
    }
    let data = try source.read(chunk.payload.lowerBound + length..<chunk.payload.upperBound)
    return Payload(track: header.track, isRandomAccess: header.isRandomAccess, start: header.start, data: data)
  }

  /// The bytes of any chunk after checking its CRC.
  package func contents(of chunk: ChunkRecord) throws(BitstreamError) -> ArraySlice<UInt8> {
    try verifyLate(chunk)
    return try source.read(chunk.payload)
  }

  /// The last unit of `track` that starts at `start` or before and where decoding can begin; nil if there is none.
  package func randomAccessUnit(track: UInt32, atOrBefore start: UInt64) -> UnitRecord? {
    units.last { $0.track == track && $0.isRandomAccess && $0.start <= start }
  }

  /// Checks the CRC of every chunk in `chunks`. Throws `badChecksum` for the first that does not match.
  package func verify() throws(BitstreamError) {
    for chunk in chunks { try chunk.verify(in: source) }
  }

  private func verifyLate(_ chunk: ChunkRecord) throws(BitstreamError) {
    if !isVerified, checksums != .ignored { try chunk.verify(in: source) }
  }

  private mutating func accept(_ chunk: ChunkRecord) throws(BitstreamError) {
    let offset = chunk.range.lowerBound
    guard chunks.count < limits.maxChunks else {
      throw BitstreamError(
        .limitExceeded, at: offset, in: "", "there are more than the \(limits.maxChunks) chunks allowed")
    }
    let isSkipped = chunk.type == .payload || chunk.type.rank == nil && !chunk.type.isCritical
    if checksums == .whenOpening || checksums == .onDemand && !isSkipped { try chunk.verify(in: source) }
    if chunk.type.rank == nil, chunk.type.isCritical {
      throw BitstreamError(
        .unknownCriticalChunk, at: offset, in: "chunk header",
        "the chunk \(chunk.type) of \(chunk.payload.count) bytes must be understood and is unknown")
    }
    try rules.admit(chunk.type, at: offset)
    switch chunk.type {
    case .track:
      let blank = TrackHeader()
      try demand(chunk, atMost: TrackHeader.maximumConfigurationBytes + 64)
      let name = "track \(tracks.count)"
      let track = try TrackHeader.parse(
        try source.read(chunk.payload), into: blank, named: name, at: chunk.payload.lowerBound)
      try rules.add(track, limit: limits.maxTracks, at: offset)
    case .colourProfile, .gamma, .exif, .text, .levels:
      try demand(chunk, atMost: limits.maxMetadataBytes - metadataBytes)
      metadataBytes += chunk.payload.count
      let metadatum = try Metadatum.parse(
        try source.read(chunk.payload), type: chunk.type, trackCount: tracks.count, at: chunk.payload.lowerBound)
      try rules.add(metadatum, at: offset)
      metadata.append(metadatum)
    case .payload:
      units.append(try rules.add(try payloadHeader(chunk).header, chunk: chunk.range))
    case .index:
      let index = try RandomAccessIndex.parse(
        try source.read(chunk.payload), into: RandomAccessIndex(limit: limits.maxChunks), named: "index",
        at: chunk.payload.lowerBound)
      indexed = try index.units(before: offset, trackCount: tracks.count)
    case .end:
      let marker = try EndMarker.parse(
        try source.read(chunk.payload), into: EndMarker.blank(length: chunk.payload.count), named: "end",
        at: chunk.payload.lowerBound)
      guard marker.indexOffset == rules.indexOffset.map(UInt64.init) else {
        throw BitstreamError(
          .malformed, at: offset, in: "end > index offset", "it does not point to the index chunk")
      }
    default: break
    }
    chunks.append(chunk)
  }

  private func demand(_ chunk: ChunkRecord, atMost limit: Int) throws(BitstreamError) {
    guard chunk.payload.count <= limit else {
      throw BitstreamError(
        .limitExceeded, at: chunk.range.lowerBound, in: chunk.type.name,
        "the chunk's \(chunk.payload.count) bytes are more than the \(limit) allowed here")
    }
  }

  /// Reads the header without loading the rest of the chunk.
  private func payloadHeader(_ chunk: ChunkRecord) throws(BitstreamError) -> (header: PayloadHeader, byteCount: Int) {
    let start = chunk.payload.lowerBound
    let bytes = try source.read(start..<min(chunk.payload.upperBound, start + PayloadHeader.maximumByteCount))
    var reader = FieldReader(bytes, named: "payload", at: start, shortage: .malformed)
    let header = try reader.read(PayloadHeader(of: tracks))
    return (header, reader.offset - start)
  }

  /// Throws unless the index, if there is one, and the end agree with the chunks of a scanned file.
  private func checkIndex() throws(BitstreamError) {
    try rules.checkEnd(at: source.byteCount)
    guard let indexed else { return }
    var expected = units.filter(\.isRandomAccess)[...]
    for (number, entry) in indexed.enumerated() {
      expected = expected.drop { $0.chunk.lowerBound < entry.chunk.lowerBound }
      guard expected.popFirst() == entry else {
        throw BitstreamError(
          .malformed, at: rules.indexOffset, in: "index > entries > \(number)",
          "there is no such random-access payload at byte \(entry.chunk.lowerBound)")
      }
    }
  }

  /// The index and end chunks after `position`, found from the end of the file; nil if there is no index there.
  private func findIndex(after position: Int) throws(BitstreamError) -> (index: ChunkRecord, end: ChunkRecord)? {
    let endChunkBytes = 14
    guard source.byteCount - endChunkBytes > position,
      let end = try? ChunkRecord.read(at: source.byteCount - endChunkBytes, from: source, limits: limits),
      end.type == .end, end.range.upperBound == source.byteCount, end.payload.count == 8,
      checksums == .ignored || (try? end.verify(in: source)) != nil
    else { return nil }
    let marker = try EndMarker.parse(
      try source.read(end.payload), into: EndMarker.blank(length: 8), named: "end", at: end.payload.lowerBound)
    guard let offset = marker.indexOffset.flatMap(Int.init(exactly:)), offset > position, offset < end.range.lowerBound
    else {
      throw BitstreamError(
        .malformed, at: end.range.lowerBound, in: "end > index offset", "it does not point to an index chunk")
    }
    let index = try ChunkRecord.read(at: offset, from: source, limits: limits)
    guard index.type == .index, index.range.upperBound <= end.range.lowerBound else {
      throw BitstreamError(
        .malformed, at: offset, in: "end > index offset", "it does not point to an index chunk")
    }
    return (index, end)
  }
}
