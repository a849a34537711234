import MediaIO
import NeuralCodecs

extension EncodeCommand {
  /// What the input is: by `--codec`, or else by what it begins with. `head` are its first bytes.
  enum InputKind {
    case picture
    case video
    case cache
    case sound

    /// Such as "a picture".
    var words: String {
      switch self {
      case .picture: "a picture"
      case .video: "video"
      case .cache: "a cache"
      case .sound: "sound"
      }
    }
  }

  /// Where more of standard input had to be read, `head` grows.
  func kind(_ head: inout [UInt8]) -> InputKind {
    if let codec { return codec.kind }
    if KVCacheReader.recognises(head) { return .cache }
    // A device or a pipe with a name shows nothing before it is read; pictures are what it was taken for always.
    if head.isEmpty || ImageFormat(sniffing: head) != nil || ImageFile.isOne(head) { return .picture }
    // What only sound has or only video has says what is wanted of a video.
    if !audio.given.isEmpty, video.audio != .neural { return .sound }
    // What cannot be read is for the reader of sound to complain about.
    guard let contents = try? MediaContents(input, after: input == "-" ? head : []) else { return video.given.isEmpty ? .sound : .video }
    if input == "-" { head = contents.start }
    return contents.hasVideo || !video.given.isEmpty ? .video : .sound
  }

  /// Options that were given and that sound has no use for.
  private var foreignToSound: String? {
    [
      ("bpp", bpp != nil), ("psnr", psnr != nil), ("lambda", lambda != nil), ("decoder-cost", decoderCost != nil),
      ("keep-best", keepBest), ("effort", otherEffort > 1),
    ].first { $0.1 }?.0 ?? video.given.first ?? kv.given.first
  }

  /// `file` is open for the output; `head` was taken from standard input, where that is the input.
  func runAudio(_ head: [UInt8], _ progress: ProgressLine, into file: consuming AtomicFile) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    let reader = try openSound(head, source)
    if let option = foreignToSound { throw Failure("\(source): is sound, and --\(option) is not for that. Leave the option out.") }
    var options = try soundOptions(quality: quality ?? 50, channels: reader.format.layout.count, source)
    options.tags = reader.tags
    options.progress = progress.handler
    let format = reader.format, rate = options.codec.codedSampleRate(of: format.sampleRate)
    let resampler = try Failure.about(source) { try format.sampleRate == rate ? nil : AudioResampler(format, to: rate) }
    if resampler != nil { options.originalSampleRate = format.sampleRate }
    options.expectedFrames = reader.expectedFrames.map { AudioResampler.frames($0, from: format.sampleRate, to: rate) }
    let sink = OutputSink(file)
    let tokens = try audio.tokensOutput.map { path in try TokenOutput(path, overwrite: force, channels: format.layout.count, beside: output) }
    if let tokens { options.tokens = { tokens.append($0) } }
    let encoded: EncodedAudio
    do {
      var encoder = try AudioEncoder(format: resampler?.format ?? format, options: options) { bytes in try sink.write(bytes[...]) }
      while let buffer = try reader.next() { try encoder.append(resampler?.convert(buffer) ?? buffer) }
      if let resampler { try encoder.append(resampler.finish()) }
      encoded = try encoder.finish(originalFrames: resampler == nil ? nil : reader.frames)
    } catch {
      throw sink.failure.map { Failure($0, at: target) } ?? Failure(error, at: source)
    }
    try tokens?.write()
    do { try sink.commit() } catch { throw Failure(error, at: target) }
    progress.end()
    report(encoded, of: reader, options, source)
  }

  /// By the command line alone, for so many channels.
  func soundOptions(quality: Int, channels: Int, _ source: String) throws(Failure) -> AudioEncoder.Options {
    var options = AudioEncoder.Options()
    options.codec = try soundCodec(channels: channels, source)
    options.rate = audio.kbps.map { .kbps($0) } ?? .quality(Double(quality))
    (options.framesPerSecond, options.levels) = (audio.tokensRate, audio.tokensLevels)
    options.groupSeconds = audio.groupSeconds ?? options.groupSeconds
    options.target = audio.target?.target ?? .perceptual
    return options
  }

  /// `--codec`, or else by the options and the rate.
  private func soundCodec(channels: Int, _ source: String) throws(Failure) -> AudioEncoder.Codec {
    let codec: AudioEncoder.Codec =
      switch self.codec {
      case .tokens: .tokens
      case .mdct: .mdct
      default: !audio.givenForTokens.isEmpty ? .tokens : audio.target == nil ? audio.kbps.map { .suited(toKbps: $0, channels: channels) } ?? .mdct : .mdct
      }
    if codec == .tokens, audio.target != nil { throw Failure("\(source): --target is for --codec mdct, and other options say tokens. Leave it out.") }
    return codec
  }

  private func openSound(_ head: [UInt8], _ source: String) throws(Failure) -> AudioReader {
    if ImageFile.isOne(head) { throw Failure("\(source): is an .ncb file already. To get its sound, use 'nccodec decode'.") }
    do {
      return try AudioReader(input, after: input == "-" ? head : [])
    } catch let error as MediaIOError where error.code == .unknownFormat && codec == nil {
      throw Failure(
        "\(source): neither a picture in a known format (\(ImageFormat.names) are read), nor video or sound that libav knows, nor a KV cache. "
          + "Convert it to one of them first.")
    } catch let error as MediaIOError where error.code == .empty && error.reason == "no bytes" {
      throw Failure("\(source): no bytes. Get the file again from where it came from.")
    } catch {
      throw Failure(error, at: source)
    }
  }

  private func report(_ encoded: EncodedAudio, of reader: AudioReader, _ options: AudioEncoder.Options, _ source: String) {
    let stream = Console.reportStream(besideOutput: output)
    let target = audio.target ?? .perceptual
    if json {
      var members: [(String, JSON)] = [
        ("input", .text(input)), ("output", .text(output)), ("container", .text(reader.container)),
        ("inputCodec", .text(reader.codec)), ("sampleRate", .integer(reader.format.sampleRate)),
        ("codedSampleRate", .integer(options.codec.codedSampleRate(of: reader.format.sampleRate))),
        ("channels", .integer(reader.format.layout.count)), ("channelMask", .integer(Int(truncatingIfNeeded: reader.format.layout.mask))),
        ("samples", .integer(reader.frames)), ("seconds", .number(Double(reader.frames) / Double(reader.format.sampleRate))),
        ("codec", .text(options.codec.rawValue)), ("target", options.codec == .mdct ? .text(target.rawValue) : .null), ("bytes", .integer(encoded.byteCount)),
        ("kbps", .number(encoded.kbps)),
      ]
      switch options.rate {
      case .kbps(let kbps): members.append(("asked", .object([("kbps", .number(kbps))])))
      case .quality(let quality): members.append(("quality", .number(quality)))
      }
      if options.codec == .tokens {
        members += [("framesPerSecond", .integer(encoded.framesPerSecond ?? 0)), ("levels", .integer(encoded.levels ?? 0))]
      }
      members.append(("notices", .list(reader.notices.map(JSON.text))))
      Console.print(JSON.object(members).serialised, to: stream)
    } else if !quiet {
      for notice in reader.notices { Console.notice("\(source): \(notice)") }
      var line = "\(source): \(reader.format.summary(frames: reader.frames)), \(encoded.byteCount) bytes, \(fixed(encoded.kbps, 2)) kbps"
      switch options.rate {
      case .kbps(let kbps): if fixed(kbps, 2) != fixed(encoded.kbps, 2) { line += " (of \(fixed(kbps, 2)) asked for)" }
      case .quality(let quality): if options.framesPerSecond == nil || options.levels == nil { line += ", quality \(Int(quality))" }
      }
      if let frames = encoded.framesPerSecond, let levels = encoded.levels {
        line += ", \(frames) frames a second of \(levels) \(levels == 1 ? "token" : "tokens")"
      }
      if target == .mse { line += ", for the least squared error" }
      Console.print(Console.oneLine(line), to: stream)
    }
  }
}
