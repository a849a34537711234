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
    let (file, what, sum) = try Failure.about(source) {
      let bytes = try FileIO.read(input)
      let file = try ImageFile(reading: bytes)
      if KVCacheFile.isOne(bytes) {
        var options = KVCacheDecoder.Options()
        options.threads = threads
        options.progress = progress.handler
        let cache = try KVCacheDecoder(options: options).decode(bytes)
        return (file, cache.summary, quiet ? 0 : cache.elementsCRC32)
      }
      let image = try ImageDecoder(options: options).decode(bytes)
      return (file, image.sizeAndColour, image.samplesCRC32)
    }
    progress.end()
    if quiet { return }
    var crc = String(sum, radix: 16)
    crc = String(repeating: "0", count: 8 - crc.count) + crc
    let line = "\(source): intact, \(file.chunkCount) checksums match, \(what) decoded, CRC-32 of samples \(crc)"
    Console.print(Console.oneLine(line), to: .standardOutput)
  }
}
