import ArgumentParser
import MediaIO
import NeuralCodecs

struct DecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode",
    abstract: "Decode an .ncb file to PNG, to a video or sound file, or to the file that a KV cache came in.",
    discussion: """
      The samples are the same on every machine; of sound's tokens they may differ, 50 dB below the sound. Without --png-level, PNG is written fast; higher levels write \
      smaller files and take longer, with the same samples.

      Video goes to MP4, MOV, MKV, WebM, AVI, Y4M or numbered pictures (frames/%04d.png), by the output's name or --format; to \
      MKV on standard output. Its sound goes along where the output can hold it: copied sound as it is, sound that was coded anew as AAC (MP4, MOV), Opus (MKV, WebM) or \
      MP3 (AVI). Without --encoder the video is coded \
      at a quality whose loss is not seen; --encoder ffv1 --chroma rgb keeps each sample. With --frames, only the segments \
      that hold those frames are decoded, and times count from the first of them.

      Sound goes to WAV, FLAC, Opus (.opus), Vorbis (.ogg), MP3 or AAC (.m4a), by the output's name or --format; to WAV on \
      standard output. It is as long as it was, to the sample, at the rate that it had, or the nearest that the format has. \
      WAV and FLAC get 16 bits, rounded to nearest; what lies beyond full scale is clipped, except by --sample-format float. \
      An .npy of a sound's tokens, integers [channels, levels, frames], is decoded as the file would be that was encoded so; \
      --tokens-rate says how many frames a second it has. An output .npy gets the tokens of a file that has them.

      Examples:
        nccodec decode photo.ncb photo.png
        nccodec decode --force --png-level 9 photo.ncb photo.png
        cat photo.ncb | nccodec decode - - > photo.png
        nccodec decode film.ncb film.mp4
        nccodec decode --frames 100:200 film.ncb part.mkv
        nccodec decode --encoder libx265 --encoder-options crf=20 film.ncb film.mkv
        nccodec decode film.ncb frames/%04d.png
        nccodec decode song.ncb song.wav
        nccodec decode --start 1:30 --duration 10 song.ncb part.flac
        cat song.ncb | nccodec decode - - | aplay
        nccodec decode --tokens-rate 40 talk.npy talk.wav
        nccodec decode cache.ncb cache.safetensors
        nccodec decode --tokens 0:512 --layers 4:8 cache.ncb part.npz
        nccodec decode --choose 0,2,1 cache.ncb cache.safetensors
      """)

  @Argument(help: ArgumentHelp("The file to decode; - for standard input.", valueName: "in.ncb"))
  var input: String

  @Argument(help: ArgumentHelp("The file to write; - for standard output.", valueName: "out"))
  var output: String

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Option(help: ArgumentHelp("zlib's compression level of the PNG. (default: fast)", valueName: "0...9"))
  var pngLevel: Int?

  @Flag(help: "Overwrite the output if it exists.")
  var force = false

  @Flag(help: "Print errors only.")
  var quiet = false

  @OptionGroup var video: VideoDecodeOptions

  @OptionGroup var audio: AudioDecodeOptions

  @OptionGroup var kv: KVDecodeOptions

  /// Endings of names that promise what is not written.
  private static let foreignEndings: Set = [
    "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "gif", "avif", "heic", "jxl", "qoi", "ppm", "pgm", "pnm", "ncb",
  ]

  func validate() throws {
    try validate(threads: threads)
    if let pngLevel, !(0...9).contains(pngLevel) { throw ValidationError("--png-level \(pngLevel) is not in 0...9.") }
    if let dot = output.lastIndex(of: "."), Self.foreignEndings.contains(output[dot...].dropFirst().lowercased()) {
      throw ValidationError("Only PNG is written, and '\(output)' does not look like the name of one.")
    }
  }

  func run() throws {
    let source = Console.name(input, input: true)
    let target = Console.name(output, input: false)
    try Console.refuseTerminal(output, suffix: "png")
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    let opened: InputSource
    if input == "-" {
      // Sound is decoded as it comes; what is something else is read first.
      let pipe = PipedInput()
      if !wantsTokens, let decoder = try? AudioDecoder(read: pipe.next) {
        pipe.forget()
        return try runAudio(decoder, isStream: true, progress)
      }
      pipe.rewind()
      if let decoder = try? VideoDecoder(options: videoOptions, read: pipe.next) {
        pipe.forget()
        return try runVideo(decoder, progress)
      }
      opened = InputSource(try Failure.about(source) { try pipe.everything() })
    } else {
      opened = try Failure.about(source) { try InputSource(input) }
    }
    if let head = try? opened.read(0..<min(6, opened.byteCount)), TokenArray.recognises(Array(head)) {
      let packed = try packedTokens(Failure.about(source) { try opened.bytes }, source)
      return try runAudio(Failure.about(source) { try AudioDecoder(packed) }, isStream: false, progress)
    }
    if let rate = audio.tokensRate { throw Failure("\(source): is no .npy of tokens, which --tokens-rate \(rate) is for. Leave it out.") }
    if VideoFile.isOne(opened) {
      return try runVideo(Failure.about(source) { try VideoDecoder(opened, options: videoOptions) }, progress)
    }
    if let option = video.given.first { throw Failure("\(source): holds no video, and --\(option) is for that. Leave the option out.") }
    if AudioFile.isOne(opened) {
      if wantsTokens { return try writeTokens(of: opened, source, target) }
      return try runAudio(Failure.about(source) { try AudioDecoder(opened) }, isStream: false, progress)
    }
    if KVCacheFile.isOne(opened) { return try runCache(opened, progress) }
    if let option = audio.given.first { throw Failure("\(source): holds no sound, and --\(option) is for that. Leave the option out.") }
    // A picture may have any name that ends in .png.
    let asked = kv.format.flatMap(VideoFileFormat.init(rawValue:)) ?? VideoFileFormat(path: output)
    if let asked, kv.format != nil || asked != .pictures {
      throw Failure("\(source): holds no video, which \(asked.rawValue) \(asked == .pictures ? "are" : "is") for. Give the output a name such as picture.png.")
    }
    if let format = kv.format.flatMap(AudioFileFormat.init(rawValue:)) ?? AudioFileFormat(path: output) {
      throw Failure("\(source): holds no sound, which \(format.rawValue) is for. Give the output a name such as picture.png.")
    }
    let bytes = try Failure.about(source) { try opened.bytes }
    // Opened now, so that a target that cannot be written is known before the work.
    var file: AtomicFile
    do { file = try AtomicFile(output, overwrite: force) } catch { throw Failure(error, at: target) }
    var options = ImageDecoder.Options()
    options.threads = threads
    options.progress = progress.handler
    let image = try Failure.about(source) { try ImageDecoder(options: options).decode(bytes) }
    progress.update("writing", ProgressLine.codecShare)
    let png: [UInt8]
    do {
      png = try PNGWriter.write(image, options: pngOptions)
      try file.write(png)
      try file.commit()
    } catch { throw Failure(error, at: target) }
    progress.end()
    if !quiet {
      let line = "\(target): \(image.sizeAndColour), \(png.count) bytes"
      Console.print(Console.oneLine(line), to: Console.reportStream(besideOutput: output))
    }
  }

  private var videoOptions: VideoDecoder.Options {
    var options = VideoDecoder.Options()
    options.threads = threads
    return options
  }

  private var pngOptions: PNGWriter.Options { pngLevel.map { PNGWriter.Options(compressionLevel: $0) } ?? .fast }
}
