import CZlib
import Foundation
import Media
import MediaIO
import Testing

enum Fixture {
  static let images = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/Fixtures/Images/"

  static func bytes(_ name: String) throws -> [UInt8] { try FileIO.read(images + name) }

  static func read(_ name: String) throws -> ReadImage { try ImageReader.read(bytes(name)) }
}

/// The content of generated fixtures, as `scene` in Fixtures/Images/make.py.
struct Scene {
  var width = 35
  var height = 27

  /// 16-bit red, green, blue, alpha.
  func pixel(_ x: Int, _ y: Int) -> [Int] {
    var (r, g) = (65535 * x / max(width - 1, 1), 65535 * y / max(height - 1, 1))
    var b = 65535 * ((x * 7 + y * 13) % 32) / 31
    let (dx, dy) = (Double(x) - Double(width) / 2, Double(y) - Double(height) / 2)
    let radius = Double(min(width, height)) / 4
    if dx * dx + dy * dy < radius * radius { (r, g, b) = (60000, 12000 + b / 4, 3000) }
    if x % 11 == 5 { (r, g, b) = (40000, 40000, 40000) }
    return [r, g, b, 65535 * ((x + y) % 17) / 16]
  }

  func grey(_ x: Int, _ y: Int) -> Int {
    let p = pixel(x, y)
    return (p[0] * 299 + p[1] * 587 + p[2] * 114) / 1000
  }

  /// `[height, width, n]` of what `sample` gives for each pixel.
  func all(_ sample: (Int, Int) -> [Int]) -> [UInt8] {
    (0..<height).flatMap { y in (0..<width).flatMap { x in sample(x, y).map { UInt8($0) } } }
  }
}

/// A value at `depth` bits of a 16-bit one, as make.py stores it.
func stored(_ value: Int, depth: Int) -> Int { value * ((1 << depth) - 1) / 65535 }

/// What a reader should make of a stored value: `round(v * 255 / max)`, by rational arithmetic.
func expected8(_ value: Int, depth: Int) -> Int {
  let top = (1 << depth) - 1
  return (2 * value * 255 + top) / (2 * top)
}

/// Puts PNG files together chunk by chunk, right or wrong.
enum PNGBytes {
  static let signature: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]

  static func big(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) } }

  static func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(type.utf8) + data
    return big(data.count) + body + big(Int(crc32(0, body, UInt32(body.count))))
  }

  static func deflated(_ data: [UInt8]) -> [UInt8] {
    var size = compressBound(UInt(data.count))
    var out = [UInt8](repeating: 0, count: Int(size))
    compress2(&out, &size, data, UInt(data.count), 9)
    return Array(out[..<Int(size)])
  }

  static func header(width: Int, height: Int, depth: Int, colourType: Int, interlaced: Bool = false) -> [UInt8] {
    chunk("IHDR", big(width) + big(height) + [UInt8(depth), UInt8(colourType), 0, 0, interlaced ? 1 : 0])
  }

  /// rows: filter byte and packed samples of every row.
  static func file(
    width: Int, height: Int, depth: Int, colourType: Int, rows: [UInt8], before: [UInt8] = [], after: [UInt8] = []
  ) -> [UInt8] {
    signature + header(width: width, height: height, depth: depth, colourType: colourType) + before
      + chunk("IDAT", deflated(rows)) + after + chunk("IEND", [])
  }
}

/// A small, seeded generator (SplitMix64), so that failures can be repeated.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

extension MediaIOError {
  /// Equal by code, so this compares.
  init(_ code: Code) { self.init(code, at: "", "") }
}

/// Array equality that reports the first difference in one line.
func expectSame(
  _ a: [UInt8]?, _ b: [UInt8]?, _ location: Testing.SourceLocation = #_sourceLocation
) {
  guard let a, let b else {
    #expect((a == nil) == (b == nil), sourceLocation: location)
    return
  }
  let first = zip(a, b).enumerated().first { $0.element.0 != $0.element.1 }
  let what = first.map { "at \($0.offset): \($0.element.0) is not \($0.element.1)" } ?? "\(a.count), \(b.count) bytes"
  let isSame = a.count == b.count && first == nil
  #expect(isSame, "\(what)", sourceLocation: location)
}
