import FoundationEssentials
import Media
import MediaIO

/// A picture of handwritten digits, and what they are: machine perception is how many a classifier still reads once a
/// codec has been over the picture.
///
/// It is made like an eye chart, from strong ink at the top to faint at the bottom: in full contrast digits are still read
/// when JPEG has made a ruin of them, and a curve would say little. The classifier gets each digit in full contrast again.
package struct DigitMosaic: Sendable {
  /// Such as "digits-00".
  package let name: String
  /// RGB with equal channels, so that every codec does what it does with photographs. Ink is lighter than its background.
  package let image: Image
  /// 0...9, row by row; `rows * columns`.
  package let labels: [UInt8]

  package static let rows = 20
  package static let columns = 20
  /// From one digit to the next, in pixels, and from the border to the first. As 30 is no multiple of 8, the blocks of
  /// codecs lie over digits as they come.
  package static let pitch = 30
  package static let margin = pitch - DigitClassifier.side

  /// Of all samples without ink.
  private static let background = 64

  /// What full ink adds to the background in a row of digits: 191, 96, 48, 24 and 12, four rows each.
  private static func ink(row: Int) -> Int { [191, 96, 48, 24, 12][row * 5 / rows] }

  package init(name: String, pixels: [ArraySlice<UInt8>], labels: [UInt8]) throws {
    let (width, height) = (Self.columns * Self.pitch + Self.margin, Self.rows * Self.pitch + Self.margin)
    image = try Image(width: width, height: height, colour: .rgb) { samples, _ in
      samples.update(repeating: UInt8(Self.background))
      for (i, digit) in pixels.enumerated() {
        let ink = Self.ink(row: i / Self.columns)
        var from = digit.startIndex
        for y in 0..<DigitClassifier.side {
          var to = Self.offset(of: i, width: width, row: y) * 3
          for _ in 0..<DigitClassifier.side {
            let sample = UInt8(Self.background + (2 * Int(digit[from]) * ink + 255) / 510)
            for c in 0..<3 { samples[to + c] = sample }
            from += 1
            to += 3
          }
        }
      }
    }
    self.name = name
    self.labels = labels
  }

  /// The pixel where row `row` of digit `index` starts.
  private static func offset(of index: Int, width: Int, row: Int) -> Int {
    (margin + index / columns * pitch + row) * width + margin + index % columns * pitch
  }

  /// The percentage of digits, 0...100, that the shipped classifier reads rightly in a decoded mosaic. Colour, which a
  /// codec may add, counts by its luma (BT.709).
  ///
  /// Throws `MeasureError.mismatch` for a picture of another size.
  package func accuracy(of decoded: Image) throws -> Double {
    guard decoded.width == image.width, decoded.height == image.height else {
      throw MeasureError(
        .mismatch, "accuracy: \(decoded.width)x\(decoded.height), where \(name) is \(image.width)x\(image.height).")
    }
    let grey = decoded.withUnsafeSamples { samples -> [UInt8] in
      if decoded.channels == 1 { return Array(samples) }
      return (0..<decoded.pixelCount).map { i in
        let (r, g, b) = (Int(samples[3 * i]), Int(samples[3 * i + 1]), Int(samples[3 * i + 2]))
        // Weights of 2^16.
        return UInt8((13933 * r + 46871 * g + 4732 * b + 1 << 15) >> 16)
      }
    }
    var pixels = [UInt8](repeating: 0, count: DigitClassifier.side * DigitClassifier.side)
    var right = 0
    for (i, label) in labels.enumerated() {
      let ink = Self.ink(row: i / Self.columns)
      for y in 0..<DigitClassifier.side {
        let from = Self.offset(of: i, width: image.width, row: y)
        for x in 0..<DigitClassifier.side {
          let value = ((Int(grey[from + x]) - Self.background) * 510 + ink) / (2 * ink)
          pixels[y * DigitClassifier.side + x] = UInt8(min(max(value, 0), 255))
        }
      }
      if DigitClassifier.shipped.digit(in: pixels) == Int(label) { right += 1 }
    }
    return 100 * Double(right) / Double(labels.count)
  }
}

/// Mosaics of MNIST's test set, none of which the classifier was trained on.
package enum DigitMosaics {
  /// Digits of one mosaic.
  package static let digits = DigitMosaic.rows * DigitMosaic.columns

  /// Makes `count` mosaics of the digits in `folder`, which holds MNIST's `t10k-images-idx3-ubyte` and
  /// `t10k-labels-idx1-ubyte`, gzipped or not, perhaps with "mnist-" before and "." in place of the last "-". Digits are
  /// taken evenly from the whole set, whose second half is harder, and never twice.
  ///
  /// Throws `MediaIOError`: `system` where a file is not there, `unsupported` for digits of another size or more mosaics
  /// than there are digits for, and what reading idx throws.
  package static func make(folder: String, count: Int) throws -> [DigitMosaic] {
    precondition(count >= 1, "a mosaic or more")
    let images = try read("images-idx3-ubyte", in: folder)
    let labels = try read("labels-idx1-ubyte", in: folder)
    let size = DigitClassifier.side * DigitClassifier.side
    guard images.array.shape.dropFirst().elementsEqual([DigitClassifier.side, DigitClassifier.side]) else {
      throw MediaIOError(
        .unsupported, at: images.path, "\(images.array.shape) elements, where digits of 28x28 pixels are needed")
    }
    let available = images.array.shape[0]
    guard labels.array.shape == [available] else {
      throw MediaIOError(.damaged, at: labels.path, "\(labels.array.shape) labels of \(available) digits")
    }
    guard labels.array.elements.allSatisfy({ $0 <= 9 }) else {
      throw MediaIOError(.damaged, at: labels.path, "a label above 9")
    }
    guard count <= available / digits else {
      throw MediaIOError(
        .unsupported, at: images.path,
        "\(available) digits are enough for \(available / digits) mosaics of \(digits), and \(count) were asked for")
    }
    return try (0..<count).map { mosaic in
      let chosen = (0..<digits).map { (mosaic * digits + $0) * available / (count * digits) }
      return try DigitMosaic(
        name: "digits-\(mosaic < 10 ? "0" : "")\(mosaic)",
        pixels: chosen.map { images.array.elements[($0 * size)..<(($0 + 1) * size)] },
        labels: chosen.map { labels.array.elements[$0] })
    }
  }

  /// Writes each mosaic as NAME.png into a folder, which is made if need be, over what is there: the same bytes every time.
  ///
  /// Returns the files' paths. Throws `MediaIOError`, and what making the folder throws.
  package static func write(_ mosaics: [DigitMosaic], to folder: String) throws -> [String] {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    return try mosaics.map { mosaic in
      let path = "\(folder)/\(mosaic.name).png"
      try FileIO.write(PNGWriter.write(mosaic.image), to: path, overwrite: true)
      return path
    }
  }

  private static func read(_ name: String, in folder: String) throws -> (array: IDXArray, path: String) {
    let dotted = name.replacing("-idx", with: ".idx")
    var failure: MediaIOError?
    for prefix in ["t10k-", "mnist-t10k-"] {
      for file in [name, dotted].flatMap({ [$0 + ".gz", $0] }) {
        let path = "\(folder)/\(prefix)\(file)"
        let bytes: [UInt8]
        do { bytes = try FileIO.read(path, limit: 1 << 28) } catch {
          failure = failure ?? error
          continue
        }
        return (try IDXArray(reading: bytes, at: path), path)
      }
    }
    throw failure ?? MediaIOError(.system, at: folder, "no digits")
  }
}

/// Of mosaics, the percentage of digits that are read rightly; of other pictures nothing.
package struct DigitAccuracy: ImageMeasure {
  package static let name = "accuracy"
  package var name: String { Self.name }
  package let title = "Digits read rightly"
  package let unit = "%"
  package let isHigherBetter = true
  package let version: String
  package let missing: String? = nil
  private let mosaics: [DigitMosaic]

  /// Throws what `DigitMosaic.accuracy` throws.
  package init(_ mosaics: [DigitMosaic]) throws {
    self.mosaics = mosaics
    // The ceiling for every codec.
    let original = try mosaics.map { try $0.accuracy(of: $0.image) }.reduce(0, +) / Double(max(mosaics.count, 1))
    let tenths = Int((original * 100).rounded())
    version = "nccodec, classifier digits-1: \(tenths / 100).\(tenths / 10 % 10)\(tenths % 10) % of the originals"
  }

  package func measure(reference: Image, decoded: Image) throws -> Double? {
    try mosaics.first { $0.image.samples == reference.samples }?.accuracy(of: decoded)
  }
}
