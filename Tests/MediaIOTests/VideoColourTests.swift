import Foundation
import Media
import MediaIO
import Testing

/// Y'CbCr by the formulas of ITU-R BT.601, BT.709, BT.2020 and SMPTE 240M, in floating point.
private struct Formula {
  let kr: Double
  let kb: Double
  var isFull = false
  var depth = 8

  static let bt601 = Formula(kr: 0.299, kb: 0.114)
  static let bt709 = Formula(kr: 0.2126, kb: 0.0722)
  static let bt2020 = Formula(kr: 0.2627, kb: 0.0593)
  static let smpte240 = Formula(kr: 0.212, kb: 0.087)

  private var scale: Double { Double(1 << (depth - 8)) }
  private var top: Double { Double(1 << depth) - 1 }

  /// 0...1 to code values.
  func coded(_ r: Double, _ g: Double, _ b: Double) -> [Double] {
    let y = kr * r + (1 - kr - kb) * g + kb * b
    let (cb, cr) = ((b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr)))
    if isFull { return [y * top, cb * top + 128 * scale, cr * top + 128 * scale] }
    return [(16 + 219 * y) * scale, (128 + 224 * cb) * scale, (128 + 224 * cr) * scale]
  }

  /// Code values to 0...255.
  func decoded(_ y: Int, _ cb: Int, _ cr: Int) -> [Double] {
    let (y, u, v) =
      isFull
      ? (Double(y) / top, (Double(cb) - 128 * scale) / top, (Double(cr) - 128 * scale) / top)
      : ((Double(y) / scale - 16) / 219, (Double(cb) / scale - 128) / 224, (Double(cr) / scale - 128) / 224)
    let (r, b) = (y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u)
    return [r, (y - kr * r - kb * b) / (1 - kr - kb), b].map { min(max($0 * 255, 0), 255) }
  }
}

/// Y4M files put together by hand, as their specification has them.
private enum Y4MBytes {
  static func file(_ width: Int, _ height: Int, _ parameters: String, _ frames: [[UInt8]]) -> [UInt8] {
    Array("YUV4MPEG2 W\(width) H\(height) F25:1 Ip A1:1 \(parameters)\n".utf8) + frames.flatMap { Array("FRAME\n".utf8) + $0 }
  }
}

@Suite struct VideoColourTests {
  /// Every luma with a spread of chroma, each a column, against the formula.
  @Test(arguments: [
    ("C444", 6, false, 8), ("C444 XCOLORRANGE=FULL", 6, true, 8), ("C444", 1, false, 8), ("C444p10", 6, false, 10),
    ("C444p12", 1, false, 12),
  ])
  func readingFollowsTheFormula(_ parameters: String, _ matrix: Int, _ isFull: Bool, _ depth: Int) throws {
    let folder = try SoundFolder()
    // What is not said follows from the size.
    let (width, height) = (matrix == 1 ? 1280 : 640, 8)
    var formula = matrix == 1 ? Formula.bt709 : .bt601
    (formula.isFull, formula.depth) = (isFull, depth)
    let top = 1 << depth
    func sample(_ plane: Int, _ x: Int, _ y: Int) -> Int {
      plane == 0 ? (x * 3 + y * 5 * top / 64) % top : (top / 4 + (x * (plane == 1 ? 7 : 11) + y * 13) % (top / 2)) % top
    }
    var planes: [UInt8] = []
    for plane in 0..<3 {
      for y in 0..<height {
        for x in 0..<width {
          let value = sample(plane, x, y)
          planes.append(UInt8(value & 255))
          if depth > 8 { planes.append(UInt8(value >> 8)) }
        }
      }
    }
    try FileIO.write(Y4MBytes.file(width, height, parameters, [planes]), to: folder["a.y4m"])
    let video = try WholeVideo(folder["a.y4m"])
    #expect(Int(video.format.colour.matrix) == matrix && video.format.colour.isFullRange == isFull && video.format.sourceBitDepth == depth)
    #expect(video.notices.contains { $0.contains("rounded to 8 bits") } == (depth > 8))
    let frame = try #require(video.frames.first)
    var (worst, sum) = (0.0, 0.0)
    for y in 0..<height {
      for x in 0..<width {
        let wanted = formula.decoded(sample(0, x, y), sample(1, x, y), sample(2, x, y))
        for c in 0..<3 {
          let error = abs(Double(frame.samples[(c * height + y) * width + x]) - wanted[c])
          (worst, sum) = (max(worst, error), sum + error)
        }
      }
    }
    // Rounded once, with coefficients that are: half a step, and a little.
    #expect(worst < 1.0, "\(worst)")
    #expect(sum / Double(3 * width * height) < 0.35)
  }

  /// Flat patches in 4:2:0, where chroma is interpolated.
  @Test func patchesKeepTheirColour() throws {
    let folder = try SoundFolder()
    let colours = [(41, 240, 110), (81, 90, 240), (145, 54, 34), (210, 16, 146), (170, 166, 16), (235, 128, 128), (16, 128, 128)]
    for (parameters, isFull) in [("C420jpeg", false), ("C420mpeg2", false), ("C420mpeg2 XCOLORRANGE=FULL", true), ("C422", false)] {
      let rows = parameters == "C422" ? 30 : 15
      let frames = colours.map { y, cb, cr in
        [UInt8](repeating: UInt8(y), count: 40 * 30) + [UInt8](repeating: UInt8(cb), count: 20 * rows)
          + [UInt8](repeating: UInt8(cr), count: 20 * rows)
      }
      let path = folder["\(parameters.hashValue).y4m"]
      try FileIO.write(Y4MBytes.file(40, 30, parameters, frames), to: path)
      var formula = Formula.bt601
      formula.isFull = isFull
      for (frame, colour) in zip(try WholeVideo(path).frames, colours) {
        let wanted = formula.decoded(colour.0, colour.1, colour.2)
        for c in 0..<3 {
          let plane = frame.samples[(c * 1200)..<((c + 1) * 1200)]
          #expect(plane.allSatisfy { $0 == plane.first })
          #expect(abs(Double(plane.first!) - wanted[c]) < 1.0, "\(parameters) \(colour)")
        }
      }
    }
  }

  /// A ramp of chroma comes out where the file says its samples lie.
  @Test func chromaLiesWhereItIsSaidTo() throws {
    let folder = try SoundFolder()
    // Cr rises by 4 a chroma sample, so by 2 a luma sample.
    let row = (0..<32).map { UInt8(64 + 4 * $0) }
    let planes = [UInt8](repeating: 126, count: 64 * 8) + [UInt8](repeating: 128, count: 32 * 4) + (0..<4).flatMap { _ in row }
    for (parameters, shift) in [("C420mpeg2", 0.0), ("C420jpeg", 0.5)] {
      try FileIO.write(Y4MBytes.file(64, 8, parameters, [planes]), to: folder["a.y4m"], overwrite: true)
      let frame = try #require(try WholeVideo(folder["a.y4m"]).frames.first)
      for x in 8..<56 {
        let cr = 64 + 4 * (Double(x) - shift) / 2
        let wanted = 255 * ((126.0 - 16) / 219 + 1.402 * (cr - 128) / 224)
        if wanted > 0, wanted < 255 { #expect(abs(Double(frame.samples[4 * 64 + x]) - wanted) < 1.0, "\(parameters) \(x)") }
      }
    }
  }

  /// What is written, byte by byte, against the formula.
  @Test(arguments: [(6, false), (6, true), (1, false), (1, true), (9, false), (7, false), (5, true)])
  func writingFollowsTheFormula(_ matrix: Int, _ isFull: Bool) throws {
    let folder = try SoundFolder()
    var formula = [6: Formula.bt601, 5: .bt601, 1: .bt709, 9: .bt2020, 7: .smpte240][matrix]!
    formula.isFull = isFull
    let (width, height) = (64, 32)
    var film = try Film(width, height, frames: 1)
    film.format.colour = ColourDescription(matrix: UInt8(matrix), isFullRange: isFull)
    let frame = try VideoFrame(width: width, height: height, time: 0, duration: 1) { samples in
      for i in samples.indices { samples[i] = UInt8((i * 37 + i / width * 11) & 255) }
    }
    let writer = try VideoWriter(folder["a.y4m"], as: .y4m, format: film.format)
    try writer.append(frame)
    try writer.finish()
    let bytes = try FileIO.read(folder["a.y4m"])
    let header = try #require(bytes.firstIndex(of: 10))
    #expect(String(decoding: bytes[..<header], as: UTF8.self).contains("XCOLORRANGE=FULL") == isFull)
    let planes = Array(bytes[(header + 1 + 6)...])
    #expect(planes.count == 3 * width * height)
    var worst = 0.0
    for i in 0..<(width * height) {
      let rgb = (0..<3).map { Double(frame.samples[$0 * width * height + i]) / 255 }
      let wanted = formula.coded(rgb[0], rgb[1], rgb[2])
      for c in 0..<3 { worst = max(worst, abs(Double(planes[c * width * height + i]) - wanted[c])) }
    }
    #expect(worst < 1.1, "\(worst)")
  }

  /// Colour tags go there and back, and so do colours.
  @Test(arguments: ["mkv", "mp4", "mov"])
  func tags(_ ending: String) throws {
    let folder = try SoundFolder()
    for (i, colour) in [
      ColourDescription(primaries: 9, transfer: 14, matrix: 9), ColourDescription(primaries: 1, transfer: 1, matrix: 1, isFullRange: true),
      ColourDescription(primaries: 6, transfer: 6, matrix: 6), ColourDescription(primaries: 5, transfer: 4, matrix: 5, chromaLocation: 2),
    ].enumerated() {
      var film = try Film(frames: 2)
      film.format.colour = colour
      try film.write(folder["\(i).\(ending)"], .init("libx264", "crf=1", .c444))
      let back = try WholeVideo(folder["\(i).\(ending)"])
      #expect(back.format.colour.matrix == colour.matrix && back.format.colour.isFullRange == colour.isFullRange)
      #expect((back.format.colour.primaries, back.format.colour.transfer) == (colour.primaries, colour.transfer))
      let original = try Film.all(film)
      for (a, b) in zip(back.frames, original) { #expect(psnr(a, b) > 42, "\(colour)") }
      try film.write(folder["\(i)-420.\(ending)"], .init("libx264", "crf=1"))
      let half = try WholeVideo(folder["\(i)-420.\(ending)"])
      #expect(half.format.colour.chromaLocation == max(1, colour.chromaLocation))
    }
  }

  /// R, G and B without loss through encoders that take them.
  @Test func exactly() throws {
    let folder = try SoundFolder()
    let film = try Film(37, 23, frames: 4)
    try film.write(folder["a.mkv"], .exact)
    try film.write(folder["a.avi"], .exact)
    let original = try Film.all(film)
    #expect(try WholeVideo(folder["a.avi"]).frames == original)
    let matroska = try WholeVideo(folder["a.mkv"])
    #expect(matroska.frames.map(\.samples) == original.map(\.samples))
    #expect(matroska.format.colour.matrix == 0 && matroska.format.colour.isFullRange)
  }

  @Test func greyAndAlpha() throws {
    let folder = try SoundFolder()
    let ramp = (0..<256).map { UInt8($0) }
    try FileIO.write(Y4MBytes.file(256, 1, "Cmono", [ramp]), to: folder["a.y4m"])
    let grey = try #require(try WholeVideo(folder["a.y4m"]).frames.first)
    #expect(grey.samples == ramp + ramp + ramp)
    // A PNG with alpha as a video: colours as stored.
    let image = try Image(
      width: 16, height: 16, colour: .rgb, samples: (0..<768).map { UInt8($0 & 255) }, alpha: [UInt8](repeating: 0, count: 256))
    try FileIO.write(PNGWriter.write(image), to: folder["one.png"])
    let frame = try #require(try WholeVideo(folder["one.png"]).frames.first)
    #expect(frame.image.samples == image.samples)
  }
}
