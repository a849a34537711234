import ArgumentParser
import Bitstream
import MediaIO
import NeuralCodecs

struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Check an .ncb file: its checksums, and that it decodes.",
    discussion: """
      Prints the CRC-32 of the decoded samples (rows from the top, then the alpha plane), which is the same on every \
      machine; of a video, that of its frames' R, G and B planes; of a cache, those of each level's elements; of sound, that of its samples as 32-bit floats, channel beside \
      channel, or of its tokens, by channel and level, as their samples may differ a little. Nothing is written.

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
    var unit = "samples"
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
      if VideoFile.isOne(opened) {
        let (what, sum) = try Self.videoSum(of: opened, threads: threads, progress)
        return (file, what, [sum])
      }
      if AudioFile.isOne(opened) {
        let (what, samples) = try Self.soundSum(of: opened, progress)
        let tokens = try Self.tokenSum(of: opened)
        if tokens != nil { unit = "tokens" }
        let sum = tokens ?? samples
        return (file, what, [sum])
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
    let line = "\(source): intact, \(file.chunkCount) checksums match, \(what) decoded, CRC-32 of \(unit) \(crc)"
    Console.print(Console.oneLine(line), to: .standardOutput)
  }

  /// The CRC-32 of tokens [channel][level][frame], 16 bits each, little-endian; nil without tokens.
  private static func tokenSum(of file: InputSource) throws -> UInt32? {
    try AudioFile.tokens(of: file)?.indices.joined().reduce(UInt32(0)) { sum, level in
      Checksum.crc32(level.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }[...], seed: sum)
    }
  }

  /// What was decoded, and the CRC-32 of its samples [frame][3][row][column]. Packets of copied sound are looked at too, and coded sound is decoded.
  private static func videoSum(of file: InputSource, threads: Int?, _ progress: ProgressLine) throws -> (what: String, sum: UInt32) {
    var options = VideoDecoder.Options()
    options.threads = threads
    let decoder = try VideoDecoder(file, options: options)
    var (frames, sum) = (0, UInt32(0))
    while let frame = try decoder.next() {
      sum = Checksum.crc32(frame.samples[...], seed: sum)
      frames += 1
      while try decoder.nextSoundPacket() != nil {}
      while try decoder.nextSound() != nil {}
      if let all = decoder.frameCount { progress.update("decoding", ProgressLine.codecShare * Double(frames) / Double(max(all, 1))) }
    }
    while try decoder.nextSoundPacket() != nil {}
    while try decoder.nextSound() != nil {}
    return ("\(decoder.format.summary), \(frames) frames", sum)
  }

  /// What was decoded, and the CRC-32 of its samples [frame][channel], little-endian.
  private static func soundSum(of file: InputSource, _ progress: ProgressLine) throws -> (what: String, sum: UInt32) {
    var decoder = try AudioDecoder(file)
    var (frames, sum) = (0, UInt32(0))
    while let buffer = try decoder.next() {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(buffer.frames * buffer.samples.count * 4)
      for frame in 0..<buffer.frames {
        for channel in buffer.samples { withUnsafeBytes(of: channel[frame].bitPattern.littleEndian) { bytes += $0 } }
      }
      sum = Checksum.crc32(bytes[...], seed: sum)
      frames += buffer.frames
      if let all = decoder.frames { progress.update("decoding", ProgressLine.codecShare * Double(frames) / Double(max(all, 1))) }
    }
    return (decoder.format.summary(frames: frames), sum)
  }
}
