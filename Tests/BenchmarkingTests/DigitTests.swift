import Foundation
import Media
import MediaIO
import Testing

import Benchmarking

/// Scores: `reference.py` beside this file, which asks Training/mpq/integer.py.
struct DigitTests {
  static let side = DigitClassifier.side

  /// reference.py's `noise`.
  static func noise(_ count: Int, seed: UInt32) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return UInt8(state >> 24)
    }
  }

  static func drawn(_ isInk: (Int, Int) -> Bool) -> [UInt8] {
    (0..<(side * side)).map { isInk($0 % side, $0 / side) ? 255 : 0 }
  }

  static let bar = drawn { x, y in (13...14).contains(x) && (4...23).contains(y) }
  static let ring = drawn { x, y in
    let radius = (2 * x - 27) * (2 * x - 27) + (2 * y - 27) * (2 * y - 27)
    return radius > 100 && radius < 260
  }

  @Test(arguments: [
    (
      noise(784, seed: 1), 8,
      [-94_365_578, -75_190_505, -10_046_753, -1_669_440, -102_696_008, -85_039_905, 8_292_101, -14_615_594, 118_422_162,
        -29_827_557]
    ),
    (
      drawn { _, _ in true }, 8,
      [-86_235_274, 25_120_030, -35_545_793, 35_732_121, -144_656_464, -97_301_759, -3_785_376, 42_670_038, 69_285_901,
        16_368_127]
    ),
    (
      drawn { _, _ in false }, 1,
      [-8_448_060, 82_955_470, 10_159_615, -33_487_428, -62_080_091, 10_892_294, -30_966_535, 36_456_406, -137_750_169,
        -44_307_322]
    ),
    (
      bar, 1,
      [-25_891_080, 125_447_530, -51_001_121, -42_480_966, -21_209_931, -19_860_307, -28_285_443, -21_704_746,
        -30_315_341, -46_013_209]
    ),
    (
      ring, 0,
      [106_473_452, -65_588_315, -40_964_129, -41_436_444, -68_499_926, -31_824_908, -19_097_456, -32_348_202,
        -43_417_888, 36_166_412]
    ),
  ])
  func equalsThePythonIntegers(pixels: [UInt8], digit: Int, scores: [Int]) {
    #expect(DigitClassifier.shipped.scores(of: pixels) == scores)
    #expect(DigitClassifier.shipped.digit(in: pixels) == digit)
  }

  /// Writes a test set of MNIST's form.
  static func withSet(
    _ images: [[UInt8]], _ labels: [UInt8], prefix: String = "t10k-", _ body: (String) throws -> Void
  ) throws {
    func size(_ count: Int) -> [UInt8] { [0, 0, UInt8(count >> 8), UInt8(count & 255)] }
    try ExternalTool.withFolder { folder in
      try FileIO.write(
        [0, 0, 8, 3] + size(images.count) + size(side) + size(side) + images.flatMap { $0 },
        to: "\(folder)/\(prefix)images-idx3-ubyte")
      try FileIO.write(
        [0, 0, 8, 1] + size(labels.count) + labels, to: "\(folder)/\(prefix)labels.idx1-ubyte")
      try body(folder)
    }
  }

  @Test func mosaicsAndTheirAccuracy() throws {
    // 801 digits are two mosaics: every second one goes into one of them.
    let images = (0..<801).map { $0 % 4 < 2 ? Self.bar : Self.ring }
    let labels = (0..<801).map { UInt8($0 % 4 < 2 ? 1 : 0) }
    try Self.withSet(images, labels) { (folder: String) throws in
      let mosaics = try DigitMosaics.make(folder: folder, count: 2)
      #expect(mosaics.map(\.name) == ["digits-00", "digits-01"])
      let first = mosaics[0]
      #expect(first.image.width == 602 && first.image.height == 602 && first.image.colour == .rgb)
      #expect(first.labels.count == 400 && first.labels.prefix(6) == [1, 1, 0, 0, 1, 1])
      #expect(try mosaics.allSatisfy { try $0.accuracy(of: $0.image) == 100 })
      // The first digit's first ink is its pixel (13, 4), the margin 2.
      let (x, y) = (2 + 13, 2 + 4)
      #expect(first.image.samples[(y * 602 + x) * 3] == 255 && first.image.samples[(y * 602 + x - 1) * 3] == 64)
      // The same in the last row of digits, whose ink is faint.
      let faint = (y + 19 * 30) * 602 + x
      #expect(first.labels[380] == 1 && first.image.samples[faint * 3] == 76 && first.image.samples[faint * 3 - 1] == 64)
      // The last column's last ink is a ring's, in its row 6.
      #expect(first.labels[19] == 0 && first.image.samples[((2 + 6) * 602 + 2 + 19 * 30 + 13) * 3 + 2] == 255)

      // A codec that loses all says the same everywhere, and of a black digit it is 1.
      let nothing = try MeasureTests.flat(602, 602, 64)
      let ones = Double(first.labels.count { $0 == 1 }) / 4
      #expect(try first.accuracy(of: nothing) == ones)
      let grey = try Image(
        width: 602, height: 602, colour: .grey, samples: [UInt8](repeating: 64, count: 602 * 602))
      #expect(try first.accuracy(of: grey) == ones)
      // One row of digits lost, of which half are ones.
      var samples = first.image.samples
      for i in 0..<(602 * 30 * 3) { samples[i] = 0 }
      let damaged = try Image(width: 602, height: 602, colour: .rgb, samples: samples)
      #expect(try first.accuracy(of: damaged) == 97.5)

      let measure = try DigitAccuracy(mosaics)
      #expect(measure.version.hasSuffix("100.00 % of the originals"))
      #expect(try measure.measure(reference: mosaics[1].image, decoded: mosaics[1].image) == 100)
      #expect(try measure.measure(reference: nothing, decoded: nothing) == nil)
      #expect(throws: MeasureError(.mismatch, "")) { try first.accuracy(of: MeasureTests.flat(602, 601, 0)) }

      // Through files, as the benchmark takes them, twice over each other.
      for _ in 0..<2 {
        let paths = try DigitMosaics.write(mosaics, to: "\(folder)/a/b")
        #expect(paths == ["\(folder)/a/b/digits-00.png", "\(folder)/a/b/digits-01.png"])
        let read = try ImageReader.read(FileIO.read(paths[1])).image
        #expect(read.colour == .rgb)
        #expect(try measure.measure(reference: read, decoded: read) == 100)
      }
    }
  }

  @Test func refusals() throws {
    let (images, labels) = ([[UInt8]](repeating: Self.bar, count: 400), [UInt8](repeating: 1, count: 400))
    try Self.withSet(images, labels, prefix: "mnist-t10k-") { (folder: String) throws in
      #expect(try DigitMosaics.make(folder: folder, count: 1).count == 1)
      #expect(throws: MediaIOError(.unsupported, at: "", "")) { try DigitMosaics.make(folder: folder, count: 2) }
      #expect(throws: MediaIOError(.system, at: "", "")) { try DigitMosaics.make(folder: folder + "/none", count: 1) }
    }
    try Self.withSet(images, labels + [1]) { (folder: String) throws in
      #expect(throws: MediaIOError(.damaged, at: "", "")) { try DigitMosaics.make(folder: folder, count: 1) }
    }
    try Self.withSet(images, labels.dropLast() + [10]) { (folder: String) throws in
      #expect(throws: MediaIOError(.damaged, at: "", "")) { try DigitMosaics.make(folder: folder, count: 1) }
    }
  }

  static let mnist = MeasureTests.root.deletingLastPathComponent().appending(path: "shared/data/small").path

  /// The whole test set, where it lies beside the repository: as many as integer.py reads, and nearly as many in mosaics.
  @Test(.enabled(if: FileManager.default.fileExists(atPath: mnist + "/mnist-t10k-images-idx3-ubyte.gz")))
  func testSet() throws {
    func array(_ name: String) throws -> IDXArray {
      let path = "\(Self.mnist)/mnist-t10k-\(name)-ubyte.gz"
      return try IDXArray(reading: FileIO.read(path), at: path)
    }
    let (images, labels) = (try array("images-idx3"), try array("labels-idx1"))
    #expect(images.shape == [10_000, 28, 28] && labels.shape == [10_000])
    let right = (0..<10_000).count { i in
      DigitClassifier.shipped.digit(in: Array(images.elements[(i * 784)..<((i + 1) * 784)])) == Int(labels.elements[i])
    }
    #expect(right == 9923)
    let mosaics = try DigitMosaics.make(folder: Self.mnist, count: 25)
    #expect(mosaics.count == 25 && mosaics.last?.name == "digits-24")
    let inMosaics = try mosaics.map { try $0.accuracy(of: $0.image) }.reduce(0, +) / 25
    #expect(inMosaics > 99 && inMosaics < 99.5)
  }
}
