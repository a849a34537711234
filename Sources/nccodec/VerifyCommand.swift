import ArgumentParser
import MediaIO
import NeuralCodecs

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check an .ncb file: its checksums, and that it decodes.",
    discussion: """
      Prints the CRC-32 of the decoded samples (rows from the top, then the alpha plane), which is the same on every \
      machine; of a cache, those of each level's elements. Nothing is written.

      Examples:
        nccodec verify photo.ncb
        nccodec verify --quiet photo.ncb && echo intact
      """)

  @Argument(help: ArgumentHelp("The file to check; - for standard input.", valueName: "file"))
  var input: String

  @Option(help: ArgumentHelp("The profile that a cache was encoded with.", valueName: "file"))
  var profile: String?

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
    let (file, what, sums): (ImageFile, String, [UInt32]) = try Failure.about(source) {
      let opened = try InputSource(input)
      let file = try ImageFile(reading: opened)
      if KVCacheFile.isOne(opened) {
        var options = KVCacheDecoder.Options()
        options.threads = threads
        options.profile = try KVProfile.given(profile)
        options.progress = progress.handler
        var (what, sums) = ("", [UInt32]())
        for level in try KVCacheFile(reading: opened).levels.indices {
          options.level = level
          let sum = KVElementsSum()
          try KVCacheDecoder(options: options).decode(opened, into: sum)
          what = sum.cache.summary
          sums.append(sum.crc32)
        }
        return (file, what + (sums.count > 1 ? " in \(sums.count) levels" : ""), sums)
      }
      let image = try ImageDecoder(options: options).decode(opened.bytes)
      return (file, image.sizeAndColour, [image.samplesCRC32])
    }
    progress.end()
    if quiet { return }
    let crc = sums.map { sum in
      let digits = String(sum, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined(separator: " ")
    let line = "\(source): intact, \(file.chunkCount) checksums match, \(what) decoded, CRC-32 of samples \(crc)"
    Console.print(Console.oneLine(line), to: .standardOutput)
  }
}
