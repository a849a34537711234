import ArgumentParser
import MediaIO
import NeuralCodecs

/// The codecs that `--codec` names.
enum CodecName: String, ExpressibleByArgument, CaseIterable {
  case hyperprior
}

struct EncodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode",
    abstract: "Encode a picture as .ncb.",
    discussion: """
      Reads PNG, JPEG, WebP, BMP, TIFF, QOI and PNM. Grey stays grey; alpha is kept losslessly; ICC profile, gamma \
      and EXIF are kept. More than 8 bits a sample are rounded to 8. --bpp and --psnr take the nearest point that a \
      quality reaches, and say what was reached.

      Examples:
        nccodec encode photo.png photo.ncb
        nccodec encode --quality 80 photo.jpg photo.ncb
        nccodec encode --bpp 0.25 --force photo.png photo.ncb
        nccodec encode --psnr 35 --json photo.png photo.ncb
        cat photo.png | nccodec encode - - > photo.ncb
      """)

  @Argument(help: ArgumentHelp("The picture; - for standard input.", valueName: "in"))
  var input: String

  @Argument(help: ArgumentHelp("The file to write; - for standard output.", valueName: "out.ncb"))
  var output: String

  @Option(help: "The codec.")
  var codec = CodecName.hyperprior

  @Option(help: ArgumentHelp("0 (smallest) to 100 (best). (default: 50)", valueName: "0...100"))
  var quality: Int?

  @Option(help: ArgumentHelp("Aim for that many bits per pixel, the whole file counted.", valueName: "bits"))
  var bpp: Double?

  @Option(help: ArgumentHelp("Aim for that PSNR, of the decoded picture in 8 bits.", valueName: "dB"))
  var psnr: Double?

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Flag(help: "Overwrite the output if it exists.")
  var force = false

  @Flag(help: "Print errors only.")
  var quiet = false

  @Flag(help: "Report as JSON.")
  var json = false

  func validate() throws {
    if let quality, !(0...100).contains(quality) { throw ValidationError("--quality \(quality) is not in 0...100.") }
    for (name, value) in [("bpp", bpp), ("psnr", psnr)] {
      if let value, !(value.isFinite && value > 0) { throw ValidationError("--\(name) \(value) is not above 0.") }
    }
    if [quality != nil, bpp != nil, psnr != nil].count(where: { $0 }) > 1 {
      throw ValidationError("--quality, --bpp and --psnr exclude each other.")
    }
    try validate(threads: threads)
  }

  func run() throws {
    let source = Console.name(input, input: true)
    let target = Console.name(output, input: false)
    try Console.refuseTerminal(output, suffix: "ncb")
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    // Opened now, so that a target that cannot be written is known before the work.
    var file: AtomicFile
    do { file = try AtomicFile(output, overwrite: force) } catch { throw Failure(error, at: target) }
    let bytes = try Failure.about(source) { try FileIO.read(input) }
    let picture = try read(bytes, source)
    let encoded = try Failure.about(source) { try encoder(progress).encode(picture.image) }
    progress.update("writing", ProgressLine.codecShare)
    do {
      try file.write(encoded.bytes)
      try file.commit()
    } catch { throw Failure(error, at: target) }
    progress.end()
    report(encoded, of: picture)
  }

  private func read(_ bytes: [UInt8], _ source: String) throws(Failure) -> ReadImage {
    if ImageFile.isOne(bytes) {
      throw Failure("\(source): is an .ncb file already. To get its picture, use 'nccodec decode'.")
    }
    return try Failure.about(source) { try ImageReader.read(bytes) }
  }

  private func encoder(_ progress: ProgressLine) -> ImageEncoder {
    var options = ImageEncoder.Options()
    if let bpp {
      options.target = .bitsPerPixel(bpp)
    } else if let psnr {
      options.target = .psnr(psnr)
    } else {
      options.target = .quality(quality ?? 50)
    }
    options.threads = threads
    options.progress = progress.handler
    return ImageEncoder(options: options)
  }

  private func report(_ encoded: EncodedImage, of picture: ReadImage) {
    let stream = Console.reportStream(besideOutput: output)
    if json {
      Console.print(jsonReport(encoded, of: picture).serialised, to: stream)
    } else if !quiet {
      for notice in picture.notices { Console.notice("\(Console.name(input, input: true)): \(notice)") }
      Console.print(Console.oneLine(textReport(encoded, of: picture)), to: stream)
    }
  }

  private func textReport(_ encoded: EncodedImage, of picture: ReadImage) -> String {
    var line = "\(Console.name(input, input: true)): \(picture.image.sizeAndColour), \(encoded.bytes.count) bytes, "
    line += "\(fixed(encoded.bitsPerPixel, 3)) bpp, quality \(encoded.quality)"
    if let psnr = encoded.psnr { line += ", PSNR \(decibels(psnr))" }
    if let bpp, fixed(bpp, 3) != fixed(encoded.bitsPerPixel, 3) {
      line += " (the nearest reachable point to the \(fixed(bpp, 3)) bpp asked for)"
    } else if let psnr, fixed(psnr, 2) != fixed(encoded.psnr ?? .nan, 2) {
      line += " (the nearest reachable point to the \(decibels(psnr)) asked for)"
    }
    return line
  }

  private func jsonReport(_ encoded: EncodedImage, of picture: ReadImage) -> JSON {
    let image = picture.image
    var members: [(String, JSON)] = [
      ("input", .text(input)), ("output", .text(output)), ("format", .text("\(picture.format)")),
      ("width", .integer(image.width)), ("height", .integer(image.height)),
      ("colour", .text("\(image.colour)")), ("alpha", .flag(image.alpha != nil)),
      ("codec", .text(codec.rawValue)), ("bytes", .integer(encoded.bytes.count)),
      ("bitsPerPixel", .number(encoded.bitsPerPixel)), ("quality", .integer(encoded.quality)),
    ]
    if let psnr = encoded.psnr { members.append(("psnr", .number(psnr))) }
    if let bpp {
      members.append(("asked", .object([("bitsPerPixel", .number(bpp))])))
    } else if let psnr {
      members.append(("asked", .object([("psnr", .number(psnr))])))
    }
    members.append(("notices", .list(picture.notices.map(JSON.text))))
    return .object(members)
  }
}
