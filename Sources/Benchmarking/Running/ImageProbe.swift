import FoundationEssentials
import Media
import MediaIO

/// Measures single points of pictures, in this process or in one of their own.
package struct ImageProbe: Sendable {
  private let codecs: [String: any ImageBenchCodec]
  private let measures: [any ImageMeasure]
  private let repetitions: Int
  private let isolated: [String]?
  package let pictures: PictureFolder?

  package init(
    codecs: [any ImageBenchCodec], measures: [any ImageMeasure], repetitions: Int, isolated: [String]?,
    pictures: PictureFolder?
  ) throws {
    self.codecs = Dictionary(codecs.map { ($0.record.name, $0) }, uniquingKeysWith: { a, _ in a })
    self.measures = measures.filter { $0.missing == nil }
    (self.repetitions, self.isolated, self.pictures) = (repetitions, isolated, pictures)
  }

  /// Loads libraries and tables, so that the first point's time does not have that in it.
  package func warmUp(_ names: Set<String>) {
    guard isolated == nil,
      let image = try? Image(width: 64, height: 64, colour: .rgb, samples: (0..<(64 * 64 * 3)).map { UInt8($0 & 255) })
    else { return }
    for codec in codecs.values where names.contains(codec.record.name) && codec.isSingleThreaded {
      guard let setting = codec.settings(points: 1).first else { continue }
      if let bytes = try? codec.encode(image, at: setting, BenchControl()) { _ = try? codec.decode(bytes) }
    }
  }

  /// Nil where it was stopped in the middle; a failure is in the record.
  package func measure(_ item: BenchItem, _ cache: PictureCache, _ control: BenchControl) -> PointRecord? {
    var record = PointRecord(item)
    do {
      guard let codec = codecs[item.codec.name] else { throw BenchError("no codec \(item.codec.name)") }
      let image = try cache.take(item.file.path)
      let sides: Sides
      if let isolated {
        sides = try IsolatedProbe(command: isolated, repetitions: repetitions).measure(item)
      } else {
        sides = try Sides(codec, image, item.setting, repetitions, control)
      }
      record.bytes = sides.bytes
      record.bpp = 8 * Double(sides.bytes) / Double(image.pixelCount)
      record.take(sides.encoding, sides.decoding)
      record.encodePeakBytes = sides.encodePeakBytes
      record.decodePeakBytes = sides.decodePeakBytes
      let decoded = try sides.decoded(like: image)
      for measure in measures { record.measures[measure.name] = try measure.measure(reference: image, decoded: decoded) }
      record.picture = try pictures?.write(decoded, item)
    } catch is CancellationError {
      return nil
    } catch {
      if control.isStopped() { return nil }
      return PointRecord(item, error: "\(error)")
    }
    return record
  }
}

/// What encoding and decoding a picture came to.
package struct Sides {
  package var bytes: Int
  package var encoding = Timing()
  package var decoding = Timing()
  package var encodePeakBytes: Int?
  package var decodePeakBytes: Int?
  package var image: Image

  package init(
    _ codec: any ImageBenchCodec, _ image: Image, _ setting: BenchSetting, _ repetitions: Int, _ control: BenchControl
  ) throws {
    let file = try encoding.measure(repetitions, clock: codec.isSingleThreaded ? .thread : .none) {
      try codec.encode(image, at: setting, control)
    }
    bytes = file.count
    self.image = try decoding.measure(repetitions, clock: codec.isSingleThreaded ? .thread : .none) { try codec.decode(file) }
  }

  package init(bytes: Int, image: Image) { (self.bytes, self.image) = (bytes, image) }

  /// The decoded picture in RGB. Throws `BenchError` where it has another size than `original`.
  package func decoded(like original: Image) throws -> Image {
    guard image.width == original.width, image.height == original.height else {
      throw BenchError("decoded to \(image.width)x\(image.height) instead of \(original.width)x\(original.height)")
    }
    guard image.colour == .grey || image.alpha != nil else { return image }
    let samples = image.colour == .rgb ? image.samples : image.samples.flatMap { [$0, $0, $0] }
    return try Image(width: image.width, height: image.height, colour: .rgb, samples: samples)
  }
}

/// Where a report keeps the pictures that its page shows.
package struct PictureFolder: Sendable {
  private let folder: String
  private let files: Set<String>

  /// `files` are the names of those whose pictures are kept.
  package init(_ folder: String, files: Set<String>) { (self.folder, self.files) = (folder, files) }

  package func writeOriginal(_ file: FileRecord) throws -> String {
    let path = "images/original/\(Self.safe(file.name)).png"
    if !FileManager.default.fileExists(atPath: "\(folder)/\(path)") {
      try write(try BenchFiles.readPicture(file.path), to: path)
    }
    return path
  }

  /// The path from the report's folder; nil for a file whose pictures are not kept.
  package func write(_ image: Image, _ item: BenchItem) throws -> String? {
    guard files.contains(item.file.name) else { return nil }
    let path = "images/\(item.codec.name)/\(Self.safe(item.file.name))-\(item.point).png"
    try write(image, to: path)
    return path
  }

  private func write(_ image: Image, to path: String) throws {
    let full = "\(folder)/\(path)"
    guard let slash = full.lastIndex(of: "/") else { return }
    try FileManager.default.createDirectory(atPath: String(full[..<slash]), withIntermediateDirectories: true)
    try FileIO.write(try PNGWriter.write(image), to: full, overwrite: true)
  }

  /// Names that a browser's address can hold as they are.
  private static func safe(_ name: String) -> String {
    String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "_" })
  }
}
