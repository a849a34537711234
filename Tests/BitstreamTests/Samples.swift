import Bitstream

/// SplitMix64, so that every run tests the same values.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// Small and large values alike: a random number of random bits, 0...bits.
  mutating func number(bits: Int = 64) -> UInt64 {
    let length = Int.random(in: 0...bits, using: &self)
    return length == 0 ? 0 : next() >> UInt64(64 - length)
  }

  mutating func bytes(_ count: ClosedRange<Int>) -> [UInt8] {
    (0..<Int.random(in: count, using: &self)).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}

/// A file of the given chunks with correct lengths and CRCs, whatever else is wrong with it.
func forged(
  _ chunks: [(type: Character, payload: [UInt8])], header: [UInt8] = Magic.bytes + [1, 0]
) -> [UInt8] {
  var file = header
  var crc = Checksum.crc32(header)
  for chunk in chunks {
    var bytes = [chunk.type.asciiValue!]
    Varint.append(UInt64(chunk.payload.count), to: &bytes)
    bytes += chunk.payload
    crc = Checksum.crc32(bytes, seed: crc)
    file += bytes + littleEndian(crc)
  }
  return file
}

func littleEndian(_ crc: UInt32) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: crc >> UInt32(8 * $0)) } }

enum Sample {
  static let imageTrack: [UInt8] = [0x00, 1, 7, 1, 1, 1, 50]

  /// A 768x512 RGB image with a payload of `count` bytes.
  static func image(payload count: Int, model: UInt32 = 1) throws -> Container {
    let configuration = ImageConfiguration(width: 768, height: 512, colour: .rgb, quality: 60)
    let track = TrackHeader(
      modality: .image, codec: CodecID.hyperpriorImage, model: model,
      configuration: try configuration.serialised()[...])
    return Container(tracks: [track], payloads: [Payload(data: [UInt8](repeating: 0xA5, count: count)[...])])
  }

  /// Video with audio, all kinds of metadata and an index.
  static func film() throws -> Container {
    let video = TrackHeader(
      modality: .video, codec: 9, model: 300, timeBase: TimeBase(numerator: 1001, denominator: 30000),
      configuration: [1, 2, 3])
    let audio = TrackHeader(
      modality: .audio, codec: 12, timeBase: TimeBase(numerator: 1, denominator: 48000), configuration: [])
    return Container(
      tracks: [video, audio],
      metadata: [
        .colourProfile([9, 8, 7], track: 0), .gamma(45455, track: 0), .exif([0x49, 0x49, 0x2A, 0], track: 0),
        .text(key: "title", value: "Räder\nund \u{1B}[31mTöne"), .text(key: "empty", value: ""),
      ],
      payloads: [
        Payload(track: 0, isRandomAccess: true, start: 0, data: [1, 1, 1]),
        Payload(track: 1, isRandomAccess: true, start: 0, data: [2]),
        Payload(track: 0, isRandomAccess: false, start: 8, data: [3, 3]),
        Payload(track: 1, isRandomAccess: true, start: 1600, data: []),
        Payload(track: 0, isRandomAccess: true, start: 24, data: [4, 4, 4, 4]),
      ],
      hasIndex: true)
  }

  /// A container that obeys all rules.
  static func random(_ generator: inout SeededGenerator) -> Container {
    var container = Container(hasIndex: Bool.random(using: &generator))
    for _ in 0...Int(generator.number(bits: 2)) {
      let modality = Modality.allCases.randomElement(using: &generator)!
      let isTimed = modality.isTimed ?? Bool.random(using: &generator)
      let timeBase = TimeBase(
        numerator: max(1, UInt32(generator.number(bits: 32))), denominator: max(1, UInt32(generator.number(bits: 32))))
      container.tracks.append(
        TrackHeader(
          modality: modality, codec: max(1, UInt32(generator.number(bits: 32))),
          model: UInt32(generator.number(bits: 32)), timeBase: isTimed ? timeBase : nil,
          configuration: generator.bytes(0...200)[...]))
    }
    for (number, _) in container.tracks.enumerated() {
      let track = UInt32(number)
      let kinds: [Metadatum] = [
        .exif(generator.bytes(1...40)[...], track: track), .gamma(UInt32(generator.number(bits: 30)) + 1, track: track),
        .colourProfile(generator.bytes(1...400)[...], track: track),
      ]
      for kind in kinds where generator.next() & 3 == 0 { container.metadata.append(kind) }
    }
    if Bool.random(using: &generator) {
      let levels = container.tracks.indices.shuffled(using: &generator).map { Levels.Level(track: UInt32($0), quality: UInt8($0 * 9)) }
      container.metadata.append(.levels(Array(levels.prefix(64))))
    }
    for entry in 0..<Int(generator.number(bits: 3)) {
      container.metadata.append(.text(key: "key \(entry) ü", value: String(repeating: "§", count: entry * 40)))
    }
    var starts = [UInt64](repeating: 0, count: container.tracks.count)
    for round in 0...Int(generator.number(bits: 3)) {
      for (number, track) in container.tracks.enumerated() {
        let isTimed = track.timeBase != nil
        container.payloads.append(
          Payload(
            track: UInt32(number), isRandomAccess: round == 0 || !isTimed || Bool.random(using: &generator),
            start: isTimed ? starts[number] : 0, data: generator.bytes(0...300)[...]))
        starts[number] += 1 + generator.number(bits: 40)
      }
    }
    return container
  }
}

/// The error that `body` throws; nil if it does not throw.
func failure(_ body: () throws -> Void) -> BitstreamError? {
  do {
    try body()
    return nil
  } catch {
    return error as? BitstreamError
  }
}
