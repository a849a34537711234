import Foundation
import Media
import MediaIO
import Metrics
import Testing

/// Reference values: `reference.py` beside this file, with pytorch-msssim 1.0.0 and bjontegaard 1.3.0.
/// Its window of Floats sums to 1 - 3e-8, which moves SSIM by up to 6e-6; with an exact one the two agree within 5e-7.
struct PictureMetricsTests {
  /// reference.py's `noise`.
  static func noise(_ count: Int, seed: UInt32) -> [Int] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Int(state >> 24)
    }
  }

  static let photo: Image = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try! ImageReader.read(FileIO.read(root.path + "/Fixtures/Images/photo.png")).image
  }()

  static func crop(_ image: Image, _ width: Int, _ height: Int, x: Int = 0, y: Int = 0) throws -> Image {
    var samples: [UInt8] = []
    for row in y..<(y + height) {
      let start = (row * image.width + x) * 3
      samples += image.samples[start..<(start + width * 3)]
    }
    return try Image(width: width, height: height, colour: .rgb, samples: samples)
  }

  static func map(_ image: Image, _ change: (Int, Int) -> Int) throws -> Image {
    try Image(
      width: image.width, height: image.height, colour: image.colour,
      samples: image.samples.enumerated().map { UInt8(min(max(change($0.offset, Int($0.element)), 0), 255)) })
  }

  static func green() throws -> Image {
    try Image(
      width: 256, height: 256, colour: .grey, samples: (0..<(256 * 256)).map { photo.samples[$0 * 3 + 1] })
  }

  static func tripled(_ grey: Image) throws -> Image {
    try Image(
      width: grey.width, height: grey.height, colour: .rgb, samples: grey.samples.flatMap { [$0, $0, $0] })
  }

  @Test func photoAtSixteenLevels() throws {
    let other = try Self.map(Self.photo) { $1 / 16 * 16 + 8 }
    #expect(abs(try msSSIM(Self.photo, other) - 0.9912243) < 2e-5)
    #expect(abs(try psnr(Self.photo, other) - 34.982991959) < 1e-8)
    #expect(abs(try ssim(Self.photo, other) - 0.9416329) < 1e-5)
    #expect(abs(try psnrYUV(Self.photo, other) - 37.615805576) < 1e-8)
    for (value, expected) in zip(try psnrPerChannel(Self.photo, other), [35.003601, 34.888512, 35.058602]) {
      #expect(abs(value - expected) < 1e-6)
    }
  }

  @Test func photoUnderStrongNoise() throws {
    let noise = Self.noise(Self.photo.samples.count, seed: 1)
    let other = try Self.map(Self.photo) { $1 + noise[$0] - 128 }
    #expect(abs(try msSSIM(Self.photo, other) - 0.5612562) < 2e-5)
    #expect(abs(try psnr(Self.photo, other) - 11.701340527) < 1e-8)
    #expect(abs(try ssim(Self.photo, other) - 0.1091142) < 1e-5)
    #expect(abs(try psnrYUV(Self.photo, other) - 14.217662801) < 1e-8)
  }

  @Test func oddSizes() throws {
    let odd = try Self.crop(Self.photo, 197, 173)
    let noise = Self.noise(odd.samples.count, seed: 2)
    let other = try Self.map(odd) { $1 + noise[$0] / 8 - 16 }
    #expect(abs(try msSSIM(odd, other) - 0.9586309) < 2e-5)
    #expect(abs(try psnr(odd, other) - 28.795495292) < 1e-8)
    #expect(abs(try ssim(odd, other) - 0.7487385) < 1e-5)
    #expect(abs(try psnrYUV(odd, other) - 31.553480630) < 1e-8)
  }

  /// As low as the window is, and no multiple of the lanes wide.
  @Test func smallestSize() throws {
    let small = try Self.crop(Self.photo, 20, 11, x: 30, y: 40)
    let noise = Self.noise(small.samples.count, seed: 3)
    let other = try Self.map(small) { $1 + noise[$0] / 8 - 16 }
    #expect(abs(try ssim(small, other) - 0.6179376) < 1e-5)
    #expect(abs(try psnrYUV(small, other) - 31.618226791) < 1e-8)
  }

  @Test func grey() throws {
    let green = try Self.green()
    #expect(abs(try ssim(green, Self.map(green) { 255 - $1 }) + 0.4911768) < 1e-5)
    #expect(try msSSIM(green, Self.map(green) { 255 - $1 }) == 0)
    let gained = try Self.map(green) { 3 * $1 - 200 }
    #expect(abs(try msSSIM(green, gained) - 0.7468269) < 2e-5)
    #expect(abs(try psnr(green, gained) - 12.397653416) < 1e-8)
    #expect(abs(try ssim(green, gained) - 0.5454403) < 1e-5)
    #expect(abs(try psnrYUV(green, gained) - 12.397653416) < 1e-8)
    #expect(abs(try psnrYUV(Self.tripled(green), Self.tripled(gained)) - 12.397653416) < 1e-8)
  }

  @Test func equalPictures() throws {
    #expect(try psnr(Self.photo, Self.photo) == .infinity)
    #expect(try meanSquaredError(Self.photo, Self.photo) == 0)
    #expect(abs(try msSSIM(Self.photo, Self.photo) - 1) < 1e-6)
    #expect(abs(try ssim(Self.photo, Self.photo) - 1) < 1e-6)
    #expect(try psnrYUV(Self.photo, Self.photo) == .infinity)
  }

  @Test func largestErrorDoesNotOverflow() throws {
    let black = try Image(width: 3000, height: 20, colour: .rgb, samples: .init(repeating: 0, count: 180_000))
    let white = try Image(width: 3000, height: 20, colour: .rgb, samples: .init(repeating: 255, count: 180_000))
    #expect(try meanSquaredError(black, white) == 65025)
    #expect(try psnr(black, white) == 0)
    // Blue against yellow, and red against cyan: the largest differences of chroma.
    let pixel = { (a: [UInt8]) in try Image(width: 1, height: 1, colour: .rgb, samples: a) }
    #expect(abs(try psnrYUV(pixel([0, 0, 255]), pixel([255, 255, 0])) - 3.6100839) < 1e-6)
    #expect(abs(try psnrYUV(pixel([255, 0, 0]), pixel([0, 255, 255])) - 5.2069771) < 1e-6)
  }

  @Test func refusals() throws {
    let small = try Self.crop(Self.photo, 160, 170)
    #expect(throws: MetricError(.tooSmall)) { try msSSIM(small, small) }
    #expect(throws: MetricError(.tooSmall)) { try ssim(Self.crop(Self.photo, 10, 170), Self.crop(Self.photo, 10, 170)) }
    #expect(throws: MetricError(.mismatch)) { try ssim(small, Self.photo) }
    #expect(throws: MetricError(.mismatch)) { try psnrYUV(small, Self.photo) }
    #expect(throws: MetricError(.mismatch)) { try psnr(small, Self.photo) }
    #expect(throws: MetricError(.mismatch)) { try psnr(Self.green(), Self.photo) }
    #expect(try msSSIM(Self.crop(Self.photo, 161, 161), Self.crop(Self.photo, 161, 161)) > 0.99999)
  }
}

struct BjontegaardTests {
  static func points(_ rates: [Double], _ qualities: [Double]) -> [RatePoint] {
    zip(rates, qualities).map { RatePoint(rate: $0, quality: $1) }
  }

  static let a = points([0.12, 0.25, 0.48, 0.91], [28.1, 30.6, 33.2, 36.4])
  static let b = points([0.10, 0.22, 0.44, 0.80], [28.3, 31.0, 33.9, 36.9])
  static let c = points([0.05, 0.11, 0.30, 0.55, 1.4], [25.0, 28.6, 31.1, 33.4, 39.0])
  static let two = points([0.2, 0.7], [30.0, 35.5])

  @Test(arguments: [
    (a, b, -21.133418513, 0.974825322), (b, a, 26.796417589, -0.974825322), (a, c, 0.435060036, -0.044761849),
    (c, b, -22.134277351, 0.912212445), (a, two, -11.494509816, 0.518123887),
  ])
  func equalsThePythonPackage(anchor: [RatePoint], test: [RatePoint], rate: Double, quality: Double) throws {
    #expect(abs(try bdRate(anchor: anchor, test: test) - rate) < 1e-7)
    #expect(abs(try bdPSNR(anchor: anchor, test: test) - quality) < 1e-7)
    #expect(abs(try bdRate(anchor: anchor.reversed(), test: test) - rate) < 1e-7)
  }

  @Test func aCurveAgainstItselfAndDoubled() throws {
    #expect(try bdRate(anchor: Self.a, test: Self.a) == 0)
    let doubled = Self.a.map { RatePoint(rate: 2 * $0.rate, quality: $0.quality) }
    #expect(abs(try bdRate(anchor: Self.a, test: doubled) - 100) < 1e-9)
  }

  /// Between its points a curve is the one whose mean makes the BD-rate.
  @Test func ratesBetweenPoints() throws {
    for point in Self.c { #expect(abs(try #require(try rate(of: Self.c.reversed(), at: point.quality)) - point.rate) < 1e-12) }
    #expect(try rate(of: Self.c, at: 24.99) == nil && rate(of: Self.c, at: 39.01) == nil)
    let line = Self.points([0.1, 0.4], [30, 34])
    #expect(abs(try #require(try rate(of: line, at: 32)) - 0.2) < 1e-12)
    // Simpson's rule is exact for the cubics between the points of both.
    func gap(_ quality: Double) throws -> Double {
      log(try #require(try rate(of: Self.c, at: quality))) - log(try #require(try rate(of: Self.a, at: quality)))
    }
    let places = (Self.a + Self.c).map(\.quality).filter { (28.1...36.4).contains($0) }.sorted()
    let sum = try zip(places, places.dropFirst()).reduce(0.0) { sum, piece in
      let (x, y) = piece
      return sum + (y - x) / 6 * (try gap(x) + 4 * gap((x + y) / 2) + gap(y))
    }
    #expect(abs((exp(sum / (36.4 - 28.1)) - 1) * 100 - 0.435060036) < 1e-7)
    #expect(throws: MetricError(.curve)) { try rate(of: [Self.b[0]], at: 30) }
  }

  @Test func refusals() {
    let far = Self.points([2, 3], [50, 60])
    #expect(throws: MetricError(.curve)) { try bdRate(anchor: Self.a, test: far) }
    #expect(throws: MetricError(.curve)) { try bdRate(anchor: Self.a, test: [Self.b[0]]) }
    #expect(throws: MetricError(.curve)) { try bdRate(anchor: Self.a, test: []) }
    #expect(throws: MetricError(.curve)) { try bdRate(anchor: Self.a, test: Self.points([1, 2], [30, 30])) }
    #expect(throws: MetricError(.curve)) { try bdRate(anchor: Self.a, test: Self.points([0, 2], [30, 32])) }
    #expect(throws: MetricError(.curve)) { try bdRate(anchor: Self.a, test: Self.two, minimumOverlap: 0.9) }
  }

  @Test func means() {
    let point = RatePoint.mean(of: Self.two)
    #expect(abs(point.rate - 0.45) < 1e-12 && abs(point.quality - 32.75) < 1e-12)
  }
}

extension MetricError {
  /// Equal by code, so this compares.
  init(_ code: Code) { self.init(code, at: "", "") }
}
