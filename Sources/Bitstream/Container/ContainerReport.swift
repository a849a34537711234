extension ContainerReader {
  /// Everything but the codecs' data, for `nccodec info`: the file header, then every chunk with its place, size and
  /// fields, then what the sections of the file take.
  package func report() throws(BitstreamError) -> FieldPrinter {
    var printer = FieldPrinter()
    try printer.show(header, named: "file header")
    printer.enter("chunks", index: nil)
    printer.describe(.count(chunks.count))
    for (number, chunk) in chunks.enumerated() {
      printer.move(to: chunk.range.lowerBound)
      printer.enter(chunk.type.name, index: number)
      printer.note("chunk", .text(chunk.type.name))
      printer.note("offset", .number(UInt64(chunk.range.lowerBound)), unit: "bytes")
      printer.note("size", .number(UInt64(chunk.range.count)), unit: "bytes")
      printer.move(to: chunk.payload.lowerBound)
      try show(chunk, in: &printer)
      printer.leave()
    }
    printer.leave()
    printer.enter("sections", index: nil)
    for (name, size) in sections { printer.note(name, .number(UInt64(size)), unit: "bytes") }
    printer.leave()
    return printer
  }

  /// Bytes of the file by purpose; they add up to the size of a scanned file. Payloads exclude their chunks' framing.
  package var sections: [(name: String, byteCount: Int)] {
    var payloads = 0
    var metadata = 0
    for chunk in chunks {
      if chunk.type == .payload { payloads += chunk.payload.count }
      if chunk.type.rank == 1 { metadata += chunk.range.count }
    }
    let scanned = FileHeader.byteCount + chunks.reduce(0) { $0 + $1.range.count }
    return [("payloads", payloads), ("metadata", metadata), ("headers", scanned - payloads - metadata)]
  }

  private func show(_ chunk: ChunkRecord, in printer: inout FieldPrinter) throws(BitstreamError) {
    let offset = chunk.payload.lowerBound
    switch chunk.type {
    case .track:
      let track = try TrackHeader.parse(try source.read(chunk.payload), into: TrackHeader(), named: "track", at: offset)
      try printer.show(track)
      if [CodecID.hyperpriorImage, CodecID.overfittedImage].contains(track.codec), track.modality == .image,
        let configuration = try? ImageConfiguration(parsing: track.configuration, limits: limits)
      {
        printer.move(to: chunk.payload.upperBound - track.configuration.count)
        try printer.show(configuration, named: "image")
      }
      if track.codec == CodecID.kvCache, let configuration = try? KVConfiguration(parsing: track.configuration) {
        printer.move(to: chunk.payload.upperBound - track.configuration.count)
        try printer.show(configuration, named: "cache")
      }
      if track.codec == CodecID.tensor, let configuration = try? TensorConfiguration(parsing: track.configuration) {
        printer.move(to: chunk.payload.upperBound - track.configuration.count)
        try printer.show(configuration, named: "tensor")
      }
      if track.codec == CodecID.copiedPackets, let configuration = try? CopiedTrackConfiguration(parsing: track.configuration) {
        printer.move(to: chunk.payload.upperBound - track.configuration.count)
        try printer.show(configuration, named: "copied sound")
      }
      if track.codec == CodecID.networkVideo, let configuration = try? VideoConfiguration(parsing: track.configuration) {
        printer.move(to: chunk.payload.upperBound - track.configuration.count)
        try printer.show(configuration, named: "video")
      }
    case .payload:
      let length = min(chunk.payload.count, PayloadHeader.maximumByteCount)
      var reader = FieldReader(try source.read(offset..<offset + length), named: "payload", at: offset)
      try printer.show(try reader.read(PayloadHeader(of: tracks)))
      printer.note("data", .number(UInt64(chunk.payload.upperBound - reader.offset)), unit: "bytes")
    case .colourProfile, .gamma, .exif, .text, .levels:
      let metadatum = try Metadatum.parse(
        try source.read(chunk.payload), type: chunk.type, trackCount: tracks.count, at: offset)
      try open(metadatum.structure(trackCount: tracks.count), in: &printer)
    case .index:
      let blank = RandomAccessIndex(limit: limits.maxChunks)
      try printer.show(try RandomAccessIndex.parse(try source.read(chunk.payload), into: blank, named: "index"))
    case .end:
      let blank = EndMarker.blank(length: chunk.payload.count)
      try printer.show(try EndMarker.parse(try source.read(chunk.payload), into: blank, named: "end"))
    default:
      printer.note("data", .number(UInt64(chunk.payload.count)), unit: "bytes")
    }
  }

  private func open(_ structure: some BitstreamStructure, in printer: inout FieldPrinter) throws(BitstreamError) {
    try printer.show(structure)
  }
}
