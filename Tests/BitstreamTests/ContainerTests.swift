import Bitstream
import Testing

@Suite struct ContainerTests {
  @Test func nothingButThePayloadTakesAtMost40Bytes() throws {
    // 10 header, 15 track (2 framing, 9 payload, 4 CRC), 8 payload framing, 6 end; payload lengths of 16384 to 2097151
    // take 3 bytes.
    let file = try Sample.image(payload: 30_000).serialised()
    #expect(file.count - 30_000 == 39)
    // The greatest model id within 40 bytes, and the longest that there is.
    #expect(try Sample.image(payload: 30_000, model: 16_383).serialised().count - 30_000 == 40)
    #expect(try Sample.image(payload: 30_000, model: .max).serialised().count - 30_000 == 43)
    let edges = [(0, 37), (127, 37), (128, 38), (16_383, 38), (16_384, 39), (2_097_151, 39), (2_097_152, 40)]
    for (payload, framing) in edges {
      #expect(try Sample.image(payload: payload).serialised().count - payload == framing)
    }
  }

  @Test func theBytesOfTheSpecificationsExample() throws {
    // bitstream-spec 2.5
    let configuration = ImageConfiguration(width: 1, height: 1, colour: .grey, quality: 50)
    let track = TrackHeader(
      modality: .image, codec: 1, model: 7, configuration: try configuration.serialised()[...])
    let file = try Container(tracks: [track], payloads: [Payload(data: [0x2A])]).serialised()
    let expected: [UInt8] = [
      0x8E, 0x4E, 0x43, 0x42, 0x0D, 0x0A, 0x1A, 0x0A, 0x01, 0x00,
      0x54, 0x07, 0x00, 0x01, 0x07, 0x01, 0x01, 0x00, 0x32, 0x67, 0x9D, 0xB0, 0x76,
      0x50, 0x01, 0x2A, 0x3D, 0x95, 0x4B, 0x13,
      0x45, 0x00, 0x81, 0x95, 0x5A, 0x26,
    ]
    #expect(file == expected)
  }

  @Test func filesGoThereAndBack() throws {
    var generator = SeededGenerator(state: 5)
    for _ in 0..<200 {
      let container = Sample.random(&generator)
      let file = try container.serialised()
      #expect(try Container(reading: file) == container)
      // As a slice inside of other bytes.
      let padded = generator.bytes(1...9) + file + [1, 2, 3]
      let start = padded.count - 3 - file.count
      #expect(try Container(reading: padded[start..<start + file.count]) == container)
    }
    let film = try Sample.film()
    let back = try Container(reading: try film.serialised())
    #expect(back == film)
    #expect(back.payloads(ofTrack: 0) == [[1, 1, 1], [3, 3], [4, 4, 4, 4]])
  }

  @Test func metadataByTrackAndKey() throws {
    var film = try Sample.film()
    film.metadata.append(.gamma(100_000, track: 1))
    let back = try Container(reading: film.serialised())
    #expect(back.colourProfile() == [9, 8, 7] && back.colourProfile(ofTrack: 1) == nil)
    #expect(back.gamma() == 45455 && back.gamma(ofTrack: 1) == 100_000 && back.gamma(ofTrack: 2) == nil)
    #expect(back.exif() == [0x49, 0x49, 0x2A, 0] && back.exif(ofTrack: 1) == nil)
    #expect(back.text("title")?.hasPrefix("Räder") == true && back.text("empty") == "" && back.text("x") == nil)
  }

  @Test func keysAreComparedByteByByte() throws {
    // The same character, composed and decomposed.
    var film = try Sample.film()
    film.metadata = [.text(key: "\u{E4}", value: "1"), .text(key: "a\u{308}", value: "2")]
    let back = try Container(reading: film.serialised())
    #expect(back.text("\u{E4}") == "1" && back.text("a\u{308}") == "2")
  }

  @Test func payloadsAreNotCopied() throws {
    let file = try Sample.image(payload: 100).serialised()
    let data = try Container(reading: file).payloads[0].data
    // An index into the file itself: 10 header, 15 track, 2 framing.
    #expect(data.indices == 27..<127)
  }

  @Test func unknownOptionalChunksAreSkippedAndListed() throws {
    var generator = SeededGenerator(state: 6)
    let film = try Sample.film()
    let unknown = ChunkType(rawValue: UInt8(ascii: "z"))
    var writer = try ContainerWriter(MemorySink())
    for track in film.tracks {
      try writer.append(track)
      try writer.append(unknown: unknown, generator.bytes(0...5)[...])
    }
    for metadatum in film.metadata { try writer.append(metadatum) }
    for payload in film.payloads {
      try writer.append(payload)
      try writer.append(unknown: unknown, generator.bytes(0...200)[...])
    }
    let file = try writer.finish(hasIndex: true).bytes
    #expect(try Container(reading: file) == film)
    let reader = try ContainerReader(MemorySource(file))
    #expect(reader.chunks.count { $0.type == unknown } == 7)
    #expect(try reader.report().text.contains("[unknown chunk 'z']"))
  }

  @Test func theWriterHoldsTheRules() throws {
    func codes(_ change: (inout Container) -> Void) throws -> BitstreamError.Code? {
      var film = try Sample.film()
      change(&film)
      return failure { _ = try film.serialised() }?.code
    }
    #expect(try codes { _ in } == nil)
    #expect(try codes { $0.tracks = [] } == .misplacedChunk)
    #expect(try codes { $0 = Container() } == .missing)
    #expect(try codes { $0.tracks[0].codec = 0 } == .invalidValue)
    #expect(try codes { $0.tracks[0].timeBase = nil } == .invalidValue)
    #expect(try codes { $0.tracks[0].timeBase!.denominator = 0 } == .invalidValue)
    #expect(try codes { $0.tracks[0].modality = .image } == .invalidValue)
    #expect(try codes { $0.tracks[0].configuration = [UInt8](repeating: 0, count: 1 << 20 + 1)[...] } == .limitExceeded)
    #expect(try codes { $0.tracks.append(TrackHeader()) } == .missing)
    #expect(try codes { $0.metadata.append(.gamma(1, track: 0)) } == .duplicate)
    #expect(try codes { $0.metadata.append(.gamma(1, track: 1)) } == nil)
    #expect(try codes { $0.metadata.append(.gamma(1, track: 2)) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.gamma(0, track: 1)) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.exif([], track: 1)) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.text(key: "title", value: "")) } == .duplicate)
    let level = Levels.Level(track: 1, quality: 101)
    #expect(try codes { $0.metadata.append(.levels([Levels.Level(track: 0, quality: 0), level])) } == nil)
    #expect(try codes { $0.metadata += [.levels([level]), .levels([level])] } == .duplicate)
    #expect(try codes { $0.metadata.append(.levels([])) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.levels([level, level])) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.levels([Levels.Level(track: 2, quality: 0)])) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.levels([Levels.Level(track: 0, quality: 102)])) } == .invalidValue)
    #expect(try codes { $0.metadata.append(.text(key: "", value: "")) } == .invalidValue)
    #expect(try codes { $0.payloads[0].track = 2 } == .invalidValue)
    #expect(try codes { $0.payloads[0].isRandomAccess = false } == .malformed)
    #expect(try codes { $0.payloads[4].start = 7 } == .malformed)
    #expect(try codes { $0.payloads[4].start = 0 } == .malformed)
    // Two units of a track that begin at once.
    #expect(try codes { $0.payloads[2].start = 0 } == nil)
    #expect(try codes { ($0.payloads[2].start, $0.payloads[2].isRandomAccess) = (0, true) } == .malformed)
    var image = try Sample.image(payload: 1)
    image.payloads[0].start = 1
    #expect(failure { _ = try image.serialised() }?.code == .invalidValue)
    image.payloads[0] = Payload(track: 1, data: [])
    #expect(failure { _ = try image.serialised() }?.code == .invalidValue)
    image.payloads = []
    #expect(failure { _ = try image.serialised() }?.code == .missing)
  }

  @Test func aRefusedChunkLeavesTheWriterAsItWas() throws {
    let image = try Sample.image(payload: 5)
    var writer = try ContainerWriter(MemorySink())
    #expect(failure { try writer.append(image.payloads[0]) }?.code == .misplacedChunk)
    #expect(failure { try writer.append(TrackHeader(codec: 0)) }?.code == .invalidValue)
    try writer.append(image.tracks[0])
    #expect(failure { try writer.append(Payload(track: 3, data: [])) }?.code == .invalidValue)
    #expect(failure { try writer.append(.gamma(0)) }?.code == .invalidValue)
    #expect(failure { try writer.append(unknown: ChunkType(rawValue: UInt8(ascii: "Z")), []) }?.code == .invalidValue)
    try writer.append(image.payloads[0])
    #expect(failure { try writer.append(image.tracks[0]) }?.code == .misplacedChunk)
    #expect(failure { try writer.append(.gamma(1)) }?.code == .misplacedChunk)
    #expect(try writer.finish(hasIndex: false).bytes == image.serialised())
  }

  @Test func reportOfAnImage() throws {
    let report = try ContainerReader(MemorySource(Sample.image(payload: 3).serialised())).report()
    #expect(
      report.text == """
        file header
          magic: 8 bytes: 8e4e43420d0a1a0a
          major version: 1
          minor version: 0
        chunks: 3 items
          [track]
            chunk: track
            offset: 10 bytes
            size: 15 bytes
            modality: image
            timed: no
            codec: 1
            model: 1
            configuration: 6 bytes: 80068004013c
            image
              width: 768 pixels
              height: 512 pixels
              colour: RGB
              alpha: no
              sRGB: unstated
              quality: 60
          [payload]
            chunk: payload
            offset: 25 bytes
            size: 9 bytes
            data: 3 bytes
          [end]
            chunk: end
            offset: 34 bytes
            size: 6 bytes
        sections
          payloads: 3 bytes
          metadata: 0 bytes
          headers: 37 bytes
        """)
    let film = try ContainerReader(MemorySource(Sample.film().serialised())).report()
    #expect(film.text.contains("value: Räder\\nund \\u001b[31mTöne"))
    #expect(film.json.contains(#""timeBase":{"numerator":1001,"denominator":30000}"#))
    #expect(film.json.contains(#"{"chunk":"gamma","#))
  }
}
