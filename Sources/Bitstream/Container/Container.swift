/// A whole file in memory: tracks, metadata and payloads.
///
/// The order of chunks and the contents of the index follow from these, so that they are not kept. Chunks of unknown
/// types are not kept either; `ContainerReader` lists them.
// bitstream-spec 2
package struct Container: Equatable, Sendable {
  /// A track's number is its position here.
  package var tracks: [TrackHeader]
  package var metadata: [Metadatum]
  /// In file order.
  package var payloads: [Payload]
  /// Whether the file has an index chunk.
  package var hasIndex: Bool

  package init(
    tracks: [TrackHeader] = [], metadata: [Metadatum] = [], payloads: [Payload] = [], hasIndex: Bool = false
  ) {
    self.tracks = tracks
    self.metadata = metadata
    self.payloads = payloads
    self.hasIndex = hasIndex
  }

  /// Reads a file; payloads are slices of `bytes`. Throws a `BitstreamError` for whatever breaks the format's rules or
  /// `limits`. The inverse is `serialised()`.
  package init(
    reading bytes: ArraySlice<UInt8>, limits: ContainerLimits = ContainerLimits(),
    checksums: ContainerReader<MemorySource>.Checksums = .whenOpening
  ) throws(BitstreamError) {
    let reader = try ContainerReader(MemorySource(bytes), limits: limits, checksums: checksums)
    tracks = reader.tracks
    metadata = reader.metadata
    hasIndex = reader.hasIndex
    payloads = []
    payloads.reserveCapacity(reader.units.count)
    for unit in reader.units { payloads.append(try reader.payload(unit)) }
  }

  package init(reading bytes: [UInt8], limits: ContainerLimits = ContainerLimits()) throws(BitstreamError) {
    try self.init(reading: bytes[...], limits: limits)
  }

  /// The file. Throws if what is in the container breaks the format's rules. The inverse is
  /// `init(reading:limits:checksums:)`.
  package func serialised() throws(BitstreamError) -> [UInt8] {
    var writer = try ContainerWriter(MemorySink())
    for track in tracks { try writer.append(track) }
    for metadatum in metadata { try writer.append(metadatum) }
    for payload in payloads { try writer.append(payload) }
    return try writer.finish(hasIndex: hasIndex).bytes
  }

  /// What the payload chunks of a track hold, in file order.
  package func payloads(ofTrack number: UInt32) -> [ArraySlice<UInt8>] {
    payloads.filter { $0.track == number }.map(\.data)
  }

  /// The ICC profile of a track; nil if it has none.
  package func colourProfile(ofTrack number: UInt32 = 0) -> ArraySlice<UInt8>? {
    for case .colourProfile(let profile, number) in metadata { return profile }
    return nil
  }

  /// 100,000 times the encoding exponent of a track, as in PNG's gAMA; nil if it has none.
  package func gamma(ofTrack number: UInt32 = 0) -> UInt32? {
    for case .gamma(let exponent, number) in metadata { return exponent }
    return nil
  }

  /// The EXIF data of a track, from its TIFF header on; nil if it has none.
  package func exif(ofTrack number: UInt32 = 0) -> ArraySlice<UInt8>? {
    for case .exif(let data, number) in metadata { return data }
    return nil
  }

  /// The text behind a key; nil if there is none.
  package func text(_ key: String) -> String? {
    for case .text(let found, let value) in metadata where found.utf8.elementsEqual(key.utf8) { return value }
    return nil
  }
}

/// The contents of a payload chunk.
package struct Payload: Equatable, Sendable {
  package var track: UInt32
  /// Whether decoding can begin here. True for tracks without a time base.
  package var isRandomAccess: Bool
  /// Ticks of the track's time base; 0 for tracks without one.
  package var start: UInt64
  /// The codec's bytes.
  package var data: ArraySlice<UInt8>

  package init(track: UInt32 = 0, isRandomAccess: Bool = true, start: UInt64 = 0, data: ArraySlice<UInt8>) {
    self.track = track
    self.isRandomAccess = isRandomAccess
    self.start = start
    self.data = data
  }
}
