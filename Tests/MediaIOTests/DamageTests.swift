import Foundation
import Media
import MediaIO
import Testing

/// Bad bytes throw: they never trap, and never pass for a whole picture where the format lets us know.
struct DamageTests {
  @Test(arguments: [
    ("broken-crc.png", MediaIOError.Code.damaged), ("broken-truncated.png", .truncated), ("broken-huge.png", .tooLarge),
    ("broken-truncated.jpg", .truncated), ("broken-huge.jpg", .tooLarge),
  ])
  func brokenFixtures(name: String, code: MediaIOError.Code) throws {
    #expect(throws: MediaIOError(code)) { try Fixture.read(name) }
  }

  /// The picture is whole; only the profile goes.
  @Test func profileBombIsDropped() throws {
    let read = try Fixture.read("broken-icc-bomb.png")
    #expect(read.image.samples == .init(repeating: 7, count: 12))
    #expect(read.image.metadata.iccProfile == nil)
    #expect(read.notices.count == 1 && read.notices[0].contains("iCCP"))
  }

  @Test func textBombIsNotInflated() throws {
    let text = PNGBytes.chunk("zTXt", Array("a\0\0".utf8) + PNGBytes.deflated(.init(repeating: 0, count: 16 << 20)))
    let bytes = PNGBytes.file(width: 1, height: 1, depth: 8, colourType: 0, rows: [0, 5], before: text)
    #expect(try ImageReader.read(bytes).image.samples == [5])
  }

  @Test func errorsSayWhatAndWhere() throws {
    func message(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return "none"
    }
    #expect(
      message { _ = try Fixture.read("broken-huge.png") }
        == "PNG header: 65535 x 65535 is more than 268435456 pixels")
    #expect(message { _ = try Fixture.read("broken-crc.png") }.hasPrefix("PNG pixels: IDAT: CRC error (near byte "))
    #expect(
      message { _ = try ImageReader.read(Array("hello, world".utf8)) }
        == "picture: not a picture in a known format (PNG, JPEG, WebP, BMP, TIFF, QOI, PNM are read)")
    #expect(message { _ = try ImageReader.read([]) } == "picture: no bytes")
    #expect(
      message { _ = try Fixture.read("animated.webp") } == "WebP: animated; only still pictures are read")
  }

  @Test func limits() throws {
    let limits = ImageLimits(maxPixels: 35 * 27 - 1)
    for name in ["rgb8.png", "rgb.bmp", "rgb8.tif", "lossless-alpha.webp", "420.jpg"] {
      let bytes = try Fixture.bytes(name)
      #expect(throws: MediaIOError.self) { try ImageReader.read(bytes, limits: limits) }
      #expect(throws: Never.self) { try ImageReader.read(bytes, limits: ImageLimits(maxPixels: 67 * 45)) }
    }
    // Longer than a side may be, though few pixels.
    let long = PNGBytes.file(width: 65_536, height: 1, depth: 1, colourType: 0, rows: .init(repeating: 0, count: 8193))
    #expect(throws: MediaIOError(.tooLarge)) { try ImageReader.read(long) }
    let longest = PNGBytes.file(
      width: 65_535, height: 1, depth: 1, colourType: 0, rows: .init(repeating: 0, count: 8193))
    #expect(try ImageReader.read(longest).image.width == 65_535)
  }

  @Test(arguments: [
    "rgb8.png", "rgba8-adam7.png", "metadata.png", "420.jpg", "progressive.jpg", "orientation6-icc.jpg", "lossy.webp",
    "lossless-alpha.webp", "rgb.bmp", "rgb8.tif", "grey16.tif", "rgb.ppm",
  ])
  func everyTruncationThrows(name: String) throws {
    let bytes = try Fixture.bytes(name)
    for count in 0..<bytes.count {
      #expect(throws: MediaIOError.self, "\(count) of \(bytes.count) bytes") {
        _ = try ImageReader.read(Array(bytes[..<count]))
      }
    }
  }

  /// Rounds for each file; NCCODEC_FUZZ_ROUNDS asks for more, best with `swift test --sanitize=address`.
  static let rounds = ProcessInfo.processInfo.environment["NCCODEC_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 200

  /// Whatever the bytes say, there is a picture of legal size or an error.
  @Test(arguments: [
    "grey1.png", "rgba8-adam7.png", "palette4-trns.png", "metadata.png", "420.jpg", "progressive.jpg",
    "orientation6-icc.jpg", "cmyk.jpg", "lossy.webp", "lossy-alpha.webp", "lossless-alpha.webp", "grey.bmp", "mono.bmp",
    "rgb8.tif", "rgba8.tif", "grey16.tif", "mono.tif", "pages.tif", "rgb.ppm",
  ])
  func bitFlips(name: String) throws {
    let bytes = try Fixture.bytes(name)
    var random = SeededGenerator(state: 7)
    let limits = ImageLimits(maxPixels: 1 << 20)
    var failures = 0
    for round in 0..<Self.rounds {
      var damaged = bytes
      for _ in 0...(round % 4) {
        // Half of the time in the first 64 bytes, where headers are.
        let range = round % 2 == 0 ? min(64, bytes.count) : bytes.count
        damaged[Int.random(in: 0..<range, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
      if name.hasSuffix(".png"), round % 3 == 0 { damaged = PNGBytes.withRepairedChecksums(damaged) }
      do {
        let image = try ImageReader.read(damaged, limits: limits).image
        #expect(image.samples.count == image.pixelCount * image.channels)
      } catch is MediaIOError {
        failures += 1
      }
    }
    #expect(failures > 0)
  }
}

extension PNGBytes {
  /// Sets every chunk's CRC right, so that damage reaches the code behind it.
  static func withRepairedChecksums(_ bytes: [UInt8]) -> [UInt8] {
    var out = bytes
    var position = 8
    while position + 12 <= out.count {
      let length = out[position..<(position + 4)].reduce(0) { $0 << 8 | Int($1) }
      guard position + 12 + length <= out.count else { break }
      let body = Array(out[(position + 4)..<(position + 8 + length)])
      let type = String(decoding: body[..<4], as: UTF8.self)
      out.replaceSubrange(position..<(position + 12 + length), with: chunk(type, Array(body[4...])))
      guard out.count == bytes.count else { return bytes }  // a type that is not text
      position += 12 + length
    }
    return out
  }
}
