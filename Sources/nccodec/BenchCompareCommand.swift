import ArgumentParser
import Benchmarking
import MediaIO
import NeuralCodecs

struct BenchCompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Measure how far a picture is from another.",
    discussion: """
      Prints every measure that bench image has, of 8-bit samples, alpha left out: PSNR, PSNR of YUV by 6:1:1, SSIM, \
      MS-SSIM, and SSIMULACRA, Butteraugli and VMAF where their programs are installed. A grey picture against one in \
      colour is taken as RGB.

      Examples:
        nccodec bench compare photo.png decoded.png
        nccodec bench compare --json --measures psnr,msssim photo.png decoded.png
      """)

  @Argument(help: ArgumentHelp("The original; - for standard input.", valueName: "original"))
  var original: String

  @Argument(help: ArgumentHelp("The picture to hold against it.", valueName: "decoded"))
  var decoded: String

  @Option(help: ArgumentHelp("The measures to take, by name. (default: all)", valueName: "name,..."))
  var measures: String?

  @Flag(help: "Print one JSON object: a number for each measure, or null, and why.")
  var json = false

  func validate() throws {
    try ImageMeasures.check(measures)
    if original == "-", decoded == "-" { throw ValidationError("Only one of the two pictures can be standard input.") }
  }

  private var wanted: [String]? { measures?.split(separator: ",").map(String.init) }

  func run() throws {
    var reference = try read(original)
    var picture = try read(decoded)
    guard reference.width == picture.width, reference.height == picture.height else {
      throw Failure(
        "\(Console.name(decoded, input: true)): \(picture.width)x\(picture.height), but the original is "
          + "\(reference.width)x\(reference.height). Compare pictures of one size.")
    }
    if reference.colour != picture.colour { (reference, picture) = (try reference.asRGB(), try picture.asRGB()) }
    var rows: [(measure: any ImageMeasure, value: Double?, why: String?)] = []
    var hasFailed = false
    for measure in ImageMeasures.all where wanted?.contains(measure.name) ?? true {
      if let missing = measure.missing {
        rows.append((measure, nil, "missing: \(missing)"))
        continue
      }
      do {
        let value = try measure.measure(reference: reference, decoded: picture)
        rows.append((measure, value, value == nil ? "not defined for pictures as small as this" : nil))
      } catch {
        hasFailed = true
        rows.append((measure, nil, "\(error)"))
      }
    }
    if json {
      let members = rows.map { row in
        (
          row.measure.name,
          JSON.object([
            ("value", row.value.map { $0 == .infinity ? .text("inf") : .number($0) } ?? .null),
            ("unit", .text(row.measure.unit)), ("isHigherBetter", .flag(row.measure.isHigherBetter)),
            ("version", .text(row.measure.version)), ("why", row.why.map(JSON.text) ?? .null),
          ])
        )
      }
      Console.print(JSON.object(members).serialised, to: .standardOutput)
    } else {
      let width = rows.map(\.measure.title.count).max() ?? 0
      for row in rows {
        let title = row.measure.title + String(repeating: " ", count: width - row.measure.title.count)
        let value = row.value.map { Self.text($0, unit: row.measure.unit) }
        Console.print("\(title)  \(Console.oneLine(value ?? row.why ?? ""))", to: .standardOutput)
      }
    }
    // What failed stands beside what did not.
    if hasFailed { throw ExitCode(1) }
  }

  private func read(_ path: String) throws -> Image {
    let name = Console.name(path, input: true)
    let file = try Failure.about(name) { try ImageReader.read(FileIO.read(path)) }
    for notice in file.notices { Console.notice("\(name): \(notice)") }
    return file.image
  }

  /// Four places.
  private static func text(_ value: Double, unit: String) -> String {
    if value == .infinity { return "infinite (equal)" }
    guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
    let units = Int((abs(value) * 10_000).rounded())
    let places = String(units % 10_000)
    let number = "\(value < 0 ? "-" : "")\(units / 10_000).\(String(repeating: "0", count: 4 - places.count))\(places)"
    return unit.isEmpty ? number : "\(number) \(unit)"
  }
}

extension Image {
  /// A grey picture's samples three times; one in colour is itself.
  fileprivate func asRGB() throws -> Image {
    if colour == .rgb { return self }
    let grey = self
    return try Image(width: width, height: height, colour: .rgb) { samples, _ in
      grey.withUnsafeSamples { from in
        for (i, sample) in from.enumerated() {
          for c in 0..<3 { samples[3 * i + c] = sample }
        }
      }
    }
  }
}
