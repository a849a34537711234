import Media
import MediaIO

/// Measures of other programs, where they are installed.
package enum ToolMeasures {
  /// Looked for once, on the PATH that the process was started with.
  package static let found: [any ImageMeasure] = all(searchPath: ExternalTool.searchPath)

  package static func all(searchPath: String) -> [any ImageMeasure] {
    [
      ToolMeasure.ssimulacra2(searchPath), ToolMeasure.ssimulacra(searchPath), ToolMeasure.butteraugli(searchPath),
      VMAFMeasure(searchPath: searchPath),
    ]
  }

  /// How long a program may take for a picture, in seconds: plenty, as the machine may be busy.
  package static func patience(_ image: Image) -> Double { 60 + Double(image.pixelCount) / 20_000 }
}

/// A program that is called with two PNG files, the original first, and prints a number.
package struct ToolMeasure: ImageMeasure {
  package let name, title, unit: String
  package let isHigherBetter: Bool
  package let version: String
  package let missing: String?
  private let tool: ExternalTool?
  /// The number in what it printed.
  private let number: @Sendable (Substring) -> Double?

  private init(
    name: String, title: String, isHigherBetter: Bool, program: String, advice: String, searchPath: String, what: String,
    number: @escaping @Sendable (Substring) -> Double?
  ) {
    (self.name, self.title, unit, self.isHigherBetter) = (name, title, "", isHigherBetter)
    tool = ExternalTool(program, searchPath: searchPath)
    version = tool.map { "\(program), \($0.origin): \(what)" } ?? what
    missing = tool == nil ? "no program \(program) on the PATH\(advice)" : nil
    self.number = number
  }

  /// The first version of SSIMULACRA (2017), which libjxl's tools had until 0.8; it is another measure than
  /// SSIMULACRA 2, not an older form of the same scale.
  package static func ssimulacra(_ searchPath: String) -> Self {
    ToolMeasure(
      name: "ssimulacra", title: "SSIMULACRA (version 1)", isHigherBetter: false, program: "ssimulacra_main",
      advice: " (Debian 12: apt install libjxl-devtools)", searchPath: searchPath,
      what: "SSIMULACRA version 1, 0 for equal pictures"
    ) { alone($0) }
  }

  package static func ssimulacra2(_ searchPath: String) -> Self {
    ToolMeasure(
      name: "ssimulacra2", title: "SSIMULACRA 2", isHigherBetter: true, program: "ssimulacra2",
      advice: " (libjxl 0.8 and later builds it; Debian 12 has none)", searchPath: searchPath,
      what: "SSIMULACRA 2, 100 for equal pictures"
    ) { alone($0) }
  }

  /// The 3-norm of the distance map, which libjxl's own comparisons use; the maximum, on the first line, is the worst
  /// place's alone.
  package static func butteraugli(_ searchPath: String) -> Self {
    ToolMeasure(
      name: "butteraugli", title: "Butteraugli (3-norm)", isHigherBetter: false, program: "butteraugli_main",
      advice: " (Debian 12: apt install libjxl-devtools)", searchPath: searchPath,
      what: "3-norm of the distance map at 80 nits, 0 for equal pictures"
    ) { text in
      let line = text.split(separator: "\n").first { $0.hasPrefix("3-norm:") }
      return line.flatMap { alone($0.dropFirst(7)) }
    }
  }

  /// The number that a text is, white space apart.
  private static func alone(_ text: Substring) -> Double? {
    let words = text.split(whereSeparator: \.isWhitespace)
    return words.count == 1 ? Double(words[0]) : nil
  }

  /// Throws `MeasureError`, and what writing a PNG throws.
  package func measure(reference: Image, decoded: Image) throws -> Double? {
    guard let tool else { throw MeasureError(.missing, "\(title): \(missing ?? "missing").") }
    guard reference.width == decoded.width, reference.height == decoded.height else {
      throw MeasureError(
        .mismatch, "\(title): \(reference.width)x\(reference.height) against \(decoded.width)x\(decoded.height).")
    }
    // Smaller pictures are refused by some of these programs and make others fail.
    guard min(reference.width, reference.height) >= 8 else { return nil }
    return try ExternalTool.withFolder { folder in
      for (image, file) in [(reference, "original.png"), (decoded, "decoded.png")] {
        try ExternalTool.write(PNGWriter.write(image.samplesAlone(), options: .fast), to: "\(folder)/\(file)")
      }
      let result = try tool.run(
        ["original.png", "decoded.png"], in: folder, seconds: ToolMeasures.patience(reference))
      guard let value = number(result.output[...]), value.isFinite else {
        throw MeasureError(.unreadable, "\(tool.name): no number in what it printed: \(result.complaint).")
      }
      return value
    }
  }
}

extension Image {
  /// Without alpha and without metadata, so that programs see plain sRGB samples of both pictures.
  fileprivate func samplesAlone() throws -> Image {
    try Image(width: width, height: height, colour: colour, samples: samples)
  }
}
