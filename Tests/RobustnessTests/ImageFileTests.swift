import Bitstream
import ImageCodec
import Media
import Testing

/// A small picture's file, its parts, and the same file with something changed and every checksum made good again.
private struct Sample {
  let bytes: [UInt8]
  let container: Container
  var configuration: ImageConfiguration

  init(alpha: Bool = false) throws {
    let (width, height) = (37, 21)
    let samples = (0..<width * height * 3).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 111 * 31) }
    let plane = alpha ? (0..<width * height).map { UInt8(truncatingIfNeeded: $0 / 3) } : nil
    let image = try Image(width: width, height: height, colour: .rgb, samples: samples, alpha: plane)
    bytes = try ImageEncoder().encode(image).bytes
    container = try Container(reading: bytes)
    configuration = try ImageConfiguration(parsing: container.tracks[0].configuration)
  }

  func with(_ change: (inout Container) throws -> Void) throws -> [UInt8] {
    var copy = container
    try change(&copy)
    return try copy.serialised()
  }

  func with(configuration change: (inout ImageConfiguration) -> Void) throws -> [UInt8] {
    var changed = configuration
    change(&changed)
    let serialised = try changed.serialised()
    return try with { $0.tracks[0].configuration = serialised[...] }
  }
}

@Suite struct ImageFileTests {
  @Test func everyTruncationIsRefused() throws {
    let bytes = try Sample().bytes
    for length in 0..<bytes.count { #expect(code(of: Array(bytes[..<length])) == .malformed, "\(length) bytes") }
  }

  @Test func everyFlippedBitIsRefused() throws {
    let bytes = try Sample(alpha: true).bytes
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(code(of: damaged) != nil, "bit \(bit)")
    }
  }

  /// Checksums cannot help here: the payload itself is wrong, and decoding must still end without harm.
  @Test(arguments: [false, true]) func payloadsThatLieAreHarmless(alpha: Bool) throws {
    let sample = try Sample(alpha: alpha)
    let payload = Array(sample.container.payloads[0].data)
    var refused = 0
    for i in 0..<payload.count {
      for mask: UInt8 in [0x01, 0x80, 0xFF] {
        var damaged = payload
        damaged[i] ^= mask
        if code(of: try sample.with { $0.payloads[0].data = damaged[...] }) != nil { refused += 1 }
      }
    }
    // A rANS stream notices nearly every change; a range-coded alpha plane may decode to another plane.
    #expect(refused * (alpha ? 4 : 2) > payload.count * 3)
    for length in stride(from: 0, to: payload.count, by: 3) {
      #expect(code(of: try sample.with { $0.payloads[0].data = payload[..<length] }) == .malformed)
    }
    #expect(code(of: try sample.with { $0.payloads[0].data = (payload + [0, 0, 0, 0])[...] }) == .malformed)
  }

  @Test func anotherSizeOrQualityIsRefusedOrHarmless() throws {
    let sample = try Sample()
    for side: UInt16 in [1, 16, 36, 38, 100, 1000] {
      _ = code(of: try sample.with(configuration: { $0.width = side }))
      _ = code(of: try sample.with(configuration: { $0.height = side }))
    }
    for quality: UInt8 in [0, 1, 99, 100] { _ = code(of: try sample.with(configuration: { $0.quality = quality })) }
    // Grid sizes that differ give another number of symbols, which the stream's end gives away.
    #expect(code(of: try sample.with(configuration: { $0.width = 200 })) == .malformed)
  }

  @Test func absurdDimensionsTakeNoMemory() throws {
    let sample = try Sample()
    let huge = try sample.with {
      $0.tracks[0].configuration = try ImageConfiguration(width: 65535, height: 65535, colour: .rgb, quality: 50).serialised()[...]
    }
    #expect(code(of: huge) == .limitExceeded)
    // Within the pixel limit, but more memory than is allowed.
    var options = ImageDecoder.Options()
    options.maxMemory = 1 << 28
    #expect(code(of: try sample.with(configuration: { ($0.width, $0.height) = (8000, 8000) }), options: options) == .limitExceeded)
  }

  @Test func whatThisBuildLacksIsNamed() throws {
    let sample = try Sample()
    #expect(code(of: try sample.with { $0.tracks[0].model = 9999 }) == .unsupported)
    #expect(code(of: try sample.with { $0.tracks[0].codec = 77 }) == .unsupported)
    #expect(code(of: try sample.with { $0.tracks[0].modality = .data }) == .noImage)
    #expect(code(of: try sample.with { $0.payloads.append($0.payloads[0]) }) == .malformed)
    #expect(code(of: try sample.with { $0.tracks[0].configuration = [1, 2, 3] }) == .malformed)
    #expect(code(of: []) == .malformed)
    #expect(code(of: Array("\u{89}PNG\r\n\u{1A}\n".utf8)) == .malformed)
  }

  @Test func randomBytesAreRefused() {
    var state: UInt64 = 1
    for length in 0..<200 {
      let bytes = (0..<length).map { _ -> UInt8 in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
      }
      #expect(code(of: bytes) == .malformed)
    }
  }
}
