import ArgumentParser
import MediaIO
import NeuralCodecs

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check an .ncb file: its checksums, and that it decodes.",
    discussion: """
      Prints the CRC-32 of the decoded samples (rows from the top, then the alpha plane), which is the same on every \
      machine. Nothing is written.

      Examples:
        nccodec verify photo.ncb
        nccodec verify --quiet photo.ncb && echo intact
      """)

  @Argument(help: ArgumentHelp("The file to check; - for standard input.", valueName: "file"))
  var input: String

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Flag(help: "Print errors only.")
  var quiet = false

  func validate() throws { try validate(threads: threads) }

  func run() throws {
    let source = Console.name(input, input: true)
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    var options = ImageDecoder.Options()
    options.threads = threads
    options.progress = progress.handler
    let (file, image) = try Failure.about(source) {
      let bytes = try FileIO.read(input)
      return (try ImageFile(reading: bytes), try ImageDecoder(options: options).decode(bytes))
    }
    progress.end()
    if quiet { return }
    var crc = String(image.samplesCRC32, radix: 16)
    crc = String(repeating: "0", count: 8 - crc.count) + crc
    let line =
      "\(source): intact, \(file.chunkCount) checksums match, \(image.sizeAndColour) decoded, CRC-32 of samples \(crc)"
    Console.print(Console.oneLine(line), to: .standardOutput)
  }
}
