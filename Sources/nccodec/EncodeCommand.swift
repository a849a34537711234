import ArgumentParser
import MediaIO
import NeuralCodecs

/// The codecs that `--codec` names: those of `ImageEncoder.Codec`, of `VideoEncoder.Codec`, the sound's and the KV caches'.
enum CodecName: String, ExpressibleByArgument, CaseIterable {
  case hyperprior, overfit, hnerv, nerv, nervpp, nirvana, mdct, tokens, kv, cachegen

  init(_ codec: ImageEncoder.Codec) {
    switch codec {
    case .hyperprior: self = .hyperprior
    case .overfit: self = .overfit
    }
  }

  /// Nil for what is no picture's.
  var codec: ImageEncoder.Codec? {
    switch self {
    case .hyperprior: .hyperprior
    case .overfit: .overfit
    case .hnerv, .nerv, .nervpp, .nirvana, .mdct, .tokens, .kv, .cachegen: nil
    }
  }

  /// Nil for what is no video's.
  var videoCodec: VideoEncoder.Codec? { VideoEncoder.Codec(rawValue: rawValue) }

  /// What it codes.
  var kind: EncodeCommand.InputKind {
    switch self {
    case .hyperprior, .overfit: .picture
    case .hnerv, .nerv, .nervpp, .nirvana: .video
    case .mdct, .tokens: .sound
    case .kv, .cachegen: .cache
    }
  }
}

struct EncodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode",
    abstract: "Encode a picture, a video, sound or a KV cache as .ncb.",
    discussion: """
      Reads PNG, JPEG, WebP, BMP, TIFF, QOI and PNM. Grey stays grey; alpha is kept losslessly; ICC profile, gamma \
      and EXIF are kept. More than 8 bits a sample are rounded to 8.

      Two codecs: hyperprior encodes in a fraction of a second; overfit fits a small network to the picture, which \
      takes from ten seconds (effort 1) over minutes (5) to a quarter of an hour (9) for 768x512 on two cores and \
      makes smaller files. Without --codec, an effort of 4 or more means overfit and less means hyperprior.

      Aims: with hyperprior, --bpp and --psnr take the nearest quality; with overfit, they repeat parts of the fit \
      until they are met, in two to three times the time. The report says what was reached. --lambda is what overfit minimises: squared error of samples 0...1 + \
      lambda * bits per pixel; about 0.02 (small) to 0.0001 (good). The result does not depend on --threads.

      Video is read from whatever libavformat knows (MP4, MKV, WebM, MOV, AVI, Y4M, raw H.264, ...) and from numbered pictures \
      such as frames/%04d.png, in memory that does not grow with its length, and coded by hnerv: a small network is fitted to \
      each segment of up to 256 frames, which takes minutes to hours; decoding is fast, and any frame is found without the \
      others. With --codec nerv or nervpp, the network makes frames of their numbers alone; with --codec nirvana, each eight frames have a \
      network that begins as the one before has ended, of which what changed is kept. --quality 0 to 100, --bpp or --params say how small the \
      file is, --epochs or --effort (1 to 9) how long is fitted. Times, rate, rotation and colours are kept; its sound is copied bit by bit (--audio none leaves it out, --audio neural codes it anew, as sound alone is). \
      More than 8 bits a sample are rounded to 8. With --resume, an encoding that ended before its end is gone on with by the \
      same command. With --codec mdct or tokens, the sound alone is coded.

      Sound is read from whatever libavformat knows (WAV, FLAC, MP3, Opus, M4A, Ogg, the sound of a video, ...), in memory \
      that does not grow with its length, and coded by mdct: --kbps, or --quality 0 to 100, for the ear or with --target mse \
      for the least squared error. Below 8 kbps a channel, or with --codec tokens, a neural codec makes 40 or 75 frames of 1 \
      to 8 tokens a second, of 0.48 to 5.6 kbps a channel: the most that --kbps has room for, before entropy coding makes \
      them less, or --quality 0 to 100, or --tokens-rate and --tokens-levels. It codes speech and music at 24 kHz. --tokens \
      writes the tokens for language models; an .npy of tokens with --codec tokens becomes a file, too. Sample rate, length to the sample, channels and tags are kept; above 48 kHz, and for tokens, it is \
      resampled, and back when it is decoded. A file that is cut short is used as far as it goes; samples that are no \
      finite numbers are refused.

      KV caches of language models are read from safetensors, .npy, .npz and llama.cpp's sequence states, and coded by \
      kv: --quality 0 to 100 (100 as good as q8_0), --bits, or --lossless. Efforts up to 4 are the fastest; from 5 on, half \
      the bits at the same quality, at about 25 MB/s; 9, with a --profile of the model, half of that. Other tensors of the file are kept losslessly. \
      --levels puts several qualities into one file, to choose from when decoding ('nccodec kv plan'); --append adds the \
      tokens that follow to a file, from a cache that holds them alone or behind those that the file has. \
      --codec cachegen codes caches as CacheGen does, to compare with.

      Ctrl-C leaves nothing behind. With --keep-best the first Ctrl-C ends the fit, writes the best so far and exits \
      with 0; the second one leaves nothing behind.

      Examples:
        nccodec encode photo.png photo.ncb
        nccodec encode --quality 80 photo.jpg photo.ncb
        nccodec encode --bpp 0.25 --force photo.png photo.ncb
        nccodec encode --psnr 35 --json photo.png photo.ncb
        nccodec encode --effort 5 photo.png photo.ncb
        nccodec encode --codec overfit --bpp 0.2 photo.png photo.ncb
        nccodec encode --effort 9 --lambda 0.001 --keep-best photo.png photo.ncb
        nccodec encode --effort 5 --decoder-cost 500 photo.png photo.ncb
        cat photo.png | nccodec encode - - > photo.ncb
        nccodec encode film.mp4 film.ncb
        nccodec encode --epochs 30 --params 0.35M --resume fit film.mp4 film.ncb
        nccodec encode --codec nervpp --bpp 0.1 film.mp4 film.ncb
        nccodec encode --codec nirvana --epochs 100 film.mp4 film.ncb
        nccodec encode --audio neural --kbps 24 film.mp4 film.ncb
        nccodec encode --start 1:30 --duration 10 --scale 640x360 film.mkv part.ncb
        nccodec encode --rate 30 --effort 5 frames/%04d.png film.ncb
        nccodec encode song.flac song.ncb
        nccodec encode --kbps 48 talk.mp3 talk.ncb
        nccodec encode --quality 70 --target mse film.mp4 sound.ncb
        nccodec encode --kbps 3 talk.wav talk.ncb
        nccodec encode --tokens-rate 40 --tokens talk.npy talk.wav talk.ncb
        nccodec encode cache.safetensors cache.ncb
        nccodec encode --bits 3.5 state.bin cache.ncb
        nccodec encode --effort 5 --quality 30 cache.safetensors cache.ncb
        nccodec encode --effort 9 --profile m.ncprofile cache.safetensors cache.ncb
        nccodec encode --levels 20,40,70 cache.safetensors cache.ncb
        nccodec encode --append longer.safetensors cache.ncb
      """)

  @Argument(help: ArgumentHelp("The picture, video, sound or cache; - for standard input.", valueName: "in"))
  var input: String

  @Argument(help: ArgumentHelp("The file to write; - for standard output.", valueName: "out.ncb"))
  var output: String

  @Option(help: "The codec. (default: by input and effort)")
  var codec: CodecName?

  @Option(help: ArgumentHelp("1 (fastest) to 9 (smallest files). (default: 1, of video 3)", valueName: "1...9"))
  var effort: Int?

  @Option(
    help: ArgumentHelp(
      "Multiplications per pixel that decoding may take: 500, 1000, 2000 or 3000. Overfit only. (default: 2000)",
      valueName: "n"))
  var decoderCost: Int?

  @Option(help: ArgumentHelp("0 (smallest) to 100 (best). (default: 50)", valueName: "0...100"))
  var quality: Int?

  @Option(help: ArgumentHelp("Aim for that many bits per pixel, the whole file counted, a video's sound aside.", valueName: "bits"))
  var bpp: Double?

  @Option(help: ArgumentHelp("Aim for that PSNR, of the decoded picture in 8 bits.", valueName: "dB"))
  var psnr: Double?

  @Option(help: ArgumentHelp("Weigh bits against error by that, above 0 and at most 1. Overfit only.", valueName: "x"))
  var lambda: Double?

  @Flag(help: "On Ctrl-C, write the best so far. Overfit and video only.")
  var keepBest = false

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Flag(help: "Overwrite the output if it exists.")
  var force = false

  @Flag(help: "Print errors only.")
  var quiet = false

  @Flag(help: "Report as JSON.")
  var json = false

  @OptionGroup var video: VideoEncodeOptions

  @OptionGroup var audio: AudioEncodeOptions

  @OptionGroup var kv: KVEncodeOptions

  func validate() throws {
    if let quality, !(0...100).contains(quality) { throw ValidationError("--quality \(quality) is not in 0...100.") }
    for (name, value) in [("bpp", bpp), ("psnr", psnr)] {
      if let value, !(value.isFinite && value > 0) { throw ValidationError("--\(name) \(value) is not above 0.") }
    }
    if let lambda, !(lambda > 0 && lambda <= 1) {
      throw ValidationError("--lambda \(lambda) is not above 0 and at most 1.")
    }
    if [quality != nil, bpp != nil, psnr != nil, lambda != nil, audio.kbps != nil && !codesSoundOfVideo, video.params != nil].count(where: { $0 }) > 1 {
      throw ValidationError("--quality, --bpp, --psnr, --lambda, --kbps and --params exclude each other.")
    }
    if video.epochs != nil, effort != nil { throw ValidationError("--epochs and --effort exclude each other.") }
    if let codec, codec.kind != .video, let option = video.given.first {
      throw ValidationError("--\(option) is for video, and --codec says that this is \(codec.kind.words).")
    }
    if let effort, !(1...9).contains(effort) { throw ValidationError("--effort \(effort) is not in 1...9.") }
    if let decoderCost, ![500, 1000, 2000, 3000].contains(decoderCost) {
      throw ValidationError("--decoder-cost \(decoderCost) is none of 500, 1000, 2000 and 3000.")
    }
    if let codec, codec.kind != .cache, let option = kv.given.first {
      throw ValidationError("--\(option) is for caches, and --codec says that this is \(codec.kind.words).")
    }
    if let codec, codec.kind != .sound, !codesSoundOfVideo, let option = audio.given.first {
      throw ValidationError("--\(option) is for sound, and --codec says that this is \(codec.kind.words).")
    }
    if let codec, codec != .tokens, !codesSoundOfVideo, let option = audio.givenForTokens.first {
      throw ValidationError("--\(option) is for --codec tokens.")
    }
    if codec == .tokens, audio.target != nil { throw ValidationError("--target is for --codec mdct.") }
    if audio.tokensRate != nil, audio.tokensLevels != nil, quality != nil && !codesSoundOfVideo || audio.kbps != nil {
      throw ValidationError("--tokens-rate and --tokens-levels say the rate: --quality and --kbps do not go with both.")
    }
    if kv.append, otherEffort > 1 { throw ValidationError("--effort does not go with --append: that is as the file has it.") }
    if kv.profile != nil, effort != 9, !kv.append { throw ValidationError("--profile is for --effort 9.") }
    if codec != .cachegen, let option = kv.givenForCacheGen.first {
      throw ValidationError("--\(option) is for --codec cachegen.")
    }
    if codec == .cachegen, let option = [
      ("quality", quality != nil), ("bits", kv.bits != nil), ("lossless", kv.lossless), ("effort", otherEffort > 1), ("levels", kv.levels != nil),
      ("append", kv.append),
    ].first(where: { $0.1 }) {
      throw ValidationError("--\(option.0) does not go with --codec cachegen: give --level 1, 2 or 3.")
    }
    if let codec, codec.codec == nil {
      for (name, isGiven) in [
        ("bpp", bpp != nil && codec.kind != .video), ("psnr", psnr != nil), ("lambda", lambda != nil), ("decoder-cost", decoderCost != nil),
        ("keep-best", keepBest && codec.kind != .video), ("effort", otherEffort > 1 && codec.kind == .sound),
      ] where isGiven {
        throw ValidationError("--\(name) does not go with --codec \(codec.rawValue).")
      }
      if quality != nil, kv.bits != nil || kv.lossless {
        throw ValidationError("--quality, --bits and --lossless exclude each other.")
      }
    } else if options.chosenCodec == .hyperprior, !mayBeVideo {
      for (name, isGiven) in [("lambda", lambda != nil), ("decoder-cost", decoderCost != nil), ("keep-best", keepBest)]
      where isGiven {
        throw ValidationError(
          "--\(name) is for overfit, and this is hyperprior: give --codec overfit, or --effort 4 or more."
            + (name == "keep-best" ? " Of video, give --codec hnerv." : ""))
      }
    }
    if quality != nil, kv.levels != nil { throw ValidationError("--quality and --levels exclude each other.") }
    if kv.append, output == "-" { throw ValidationError("--append needs a file to append to, not standard output.") }
    try validate(threads: threads)
  }

  func run() throws {
    let source = Console.name(input, input: true)
    let target = Console.name(output, input: false)
    try Console.refuseTerminal(output, suffix: "ncb")
    if keepBest || video.resume != nil { Interrupt.letFirstPass() }
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    // Opened now, so that a target that cannot be written is known before the work.
    var file: AtomicFile
    do { file = try AtomicFile(output, overwrite: force || kv.append) } catch { throw Failure(error, at: target) }
    if Self.namesPictures(input) { return try runVideo([], progress, into: file) }
    // A cache or a sound may be larger than memory, so the input is looked at before it is read.
    var head = try Failure.about(source) { try FileIO.read(input, prefix: KVCacheReader.prefixBytes) }
    let kind = kind(&head)
    if kind == .video { return try runVideo(head, progress, into: file) }
    if codec == .tokens, TokenArray.recognises(head) { return try runTokens(head, into: file) }
    if kind == .sound { return try runAudio(head, progress, into: file) }
    let piped = input == "-" ? try Failure.about(source) { try FileIO.read(input, after: head) } : nil
    if kind == .cache { return try runCache(piped, progress, into: file) }
    if let option = kv.given.first {
      throw Failure("\(source): is no KV cache, and --\(option) is for those. Leave the option out, or give --codec kv.")
    }
    if let option = audio.given.first {
      throw Failure("\(source): is no sound, and --\(option) is for that. Leave the option out, or give --codec mdct.")
    }
    if let option = video.given.first {
      throw Failure("\(source): is a picture, and --\(option) is for video. Leave the option out.")
    }
    if keepBest, options.chosenCodec == .hyperprior {
      throw Failure("\(source): is a picture, and --keep-best is for --codec overfit, or --effort 4 or more. Leave the option out.")
    }
    let bytes = try piped ?? Failure.about(source) { try FileIO.read(input) }
    let picture = try read(bytes, source)
    let encoded = try Failure.about(source) { try encode(picture.image, progress) }
    progress.update("writing", ProgressLine.codecShare)
    do {
      try file.write(encoded.bytes)
      try file.commit()
    } catch { throw Failure(error, at: target) }
    progress.end()
    report(encoded, of: picture)
  }

  /// Whether options for sound are for that of a video.
  private var codesSoundOfVideo: Bool { video.audio == .neural }

  /// Of all but video.
  var otherEffort: Int { effort ?? 1 }

  /// Whether the input's name says that it is video, or none says what it is.
  private var mayBeVideo: Bool { input == "-" || VideoFileFormat(path: input) != nil || NumberedNames(input) != nil || !video.given.isEmpty }

  private func read(_ bytes: [UInt8], _ source: String) throws(Failure) -> ReadImage {
    if ImageFile.isOne(bytes) {
      throw Failure("\(source): is an .ncb file already. To get its picture, use 'nccodec decode'.")
    }
    return try Failure.about(source) { try ImageReader.read(bytes) }
  }

  /// Of the library, but for progress.
  private var options: ImageEncoder.Options {
    var options = ImageEncoder.Options()
    options.codec = codec?.codec
    options.effort = otherEffort
    options.decoderCost = decoderCost
    if let bpp {
      options.target = .bitsPerPixel(bpp)
    } else if let psnr {
      options.target = .psnr(psnr)
    } else if let lambda {
      options.target = .lambda(lambda)
    } else {
      options.target = .quality(quality ?? 50)
    }
    options.threads = threads
    return options
  }

  private func encode(_ image: Image, _ progress: ProgressLine) throws -> EncodedImage {
    var options = options
    options.progress = progress.handler
    if keepBest { options.finishesEarly = { Interrupt.hasHappened } }
    return try ImageEncoder(options: options).encode(image)
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
    line += "\(fixed(encoded.bitsPerPixel, 3)) bpp, "
    line += encoded.fit.map { "lambda \(significant($0.lambda, 3))" } ?? "quality \(encoded.quality)"
    if let psnr = encoded.psnr { line += ", PSNR \(decibels(psnr))" }
    let what = encoded.codec == .overfit ? "what the fits came to for" : "the nearest reachable point to"
    if let bpp, fixed(bpp, 3) != fixed(encoded.bitsPerPixel, 3) {
      line += " (\(what) the \(fixed(bpp, 3)) bpp asked for)"
    } else if let psnr, fixed(psnr, 2) != fixed(encoded.psnr ?? .nan, 2) {
      line += " (\(what) the \(decibels(psnr)) asked for)"
    }
    if let fit = encoded.fit, !fit.isComplete {
      line += "; interrupted after \(fit.iterations) of \(fit.wantedIterations) iterations, this is the best so far"
    }
    return line
  }

  private func jsonReport(_ encoded: EncodedImage, of picture: ReadImage) -> JSON {
    let image = picture.image
    var members: [(String, JSON)] = [
      ("input", .text(input)), ("output", .text(output)), ("format", .text("\(picture.format)")),
      ("width", .integer(image.width)), ("height", .integer(image.height)),
      ("colour", .text("\(image.colour)")), ("alpha", .flag(image.alpha != nil)),
      ("codec", .text(CodecName(encoded.codec).rawValue)), ("bytes", .integer(encoded.bytes.count)),
      ("bitsPerPixel", .number(encoded.bitsPerPixel)), ("quality", .integer(encoded.quality)),
    ]
    if let psnr = encoded.psnr { members.append(("psnr", .number(psnr))) }
    if let fit = encoded.fit {
      members += [
        ("lambda", .number(fit.lambda)), ("iterations", .integer(fit.iterations)), ("complete", .flag(fit.isComplete)),
      ]
    }
    if let bpp {
      members.append(("asked", .object([("bitsPerPixel", .number(bpp))])))
    } else if let psnr {
      members.append(("asked", .object([("psnr", .number(psnr))])))
    }
    members.append(("notices", .list(picture.notices.map(JSON.text))))
    return .object(members)
  }
}
