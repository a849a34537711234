import Glibc
import MediaIO
import NeuralCodecs

extension EncodeCommand {
  /// Whether `path`, none that exists, names numbered pictures.
  static func namesPictures(_ path: String) -> Bool { NumberedNames(path)?.isNeeded ?? false }

  /// Options that were given and that video has no use for.
  private var foreignToVideo: String? {
    [("psnr", psnr != nil), ("lambda", lambda != nil), ("decoder-cost", decoderCost != nil)].first { $0.1 }?.0
      ?? (video.audio == .neural ? audio.tokensOutput.map { _ in "tokens" } : audio.given.first) ?? kv.given.first
  }

  /// `file` is open for the output; `head` was taken from standard input, where that is the input.
  func runVideo(_ head: [UInt8], _ progress: ProgressLine, into file: consuming AtomicFile) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    if let option = foreignToVideo { throw Failure("\(source): is video, and --\(option) is not for that. Leave the option out.") }
    if ImageFile.isOne(head) { throw Failure("\(source): is an .ncb file already. To get its video, use 'nccodec decode'.") }
    let reader: VideoReader
    do {
      reader = try VideoReader(input, after: input == "-" ? head : [], options: video.readOptions)
    } catch { throw Failure(error, at: source) }
    var options = videoOptions
    var coded: [SoundToCode] = []
    if video.audio == .neural {
      coded = try Failure.about(source) {
        try reader.soundTracks.map { try SoundToCode($0, { try soundOptions(quality: 50, channels: $0, source) }, named: source) }
      }
      options.codedSound = coded.map(\.coded)
    } else {
      options.soundTracks = reader.soundTracks
    }
    options.expectedFrames = reader.frameCount
    options.progress = progress.handler
    if keepBest { options.finishesEarly = { Interrupt.hasHappened } }
    if let path = video.resume { options.checkpoints = try checkpoints(path, &options) }
    let sink = OutputSink(file)
    let encoded: EncodedVideo
    do {
      let encoder = try VideoEncoder(format: reader.format, options: options) { bytes in try sink.write(bytes[...]) }
      while !encoder.hasFinishedEarly {
        let frame = try reader.next()
        while let (track, packet) = reader.nextSoundPacket() {
          if coded.isEmpty { try encoder.append(packet, track: track) } else { try coded[track].take(packet, into: encoder, track: track) }
        }
        guard let frame else { break }
        try encoder.append(frame)
      }
      for (track, sound) in coded.enumerated() { try sound.finish(into: encoder, track: track) }
      encoded = try encoder.finish()
    } catch let error as CancellationError {
      guard let path = video.resume else { throw Failure(error, at: source) }
      throw Failure("\(source): interrupted. The same command with --resume \(path) goes on from there.")
    } catch {
      throw sink.failure.map { Failure($0, at: target) } ?? Failure(error, at: source)
    }
    do { try sink.commit() } catch { throw Failure(error, at: target) }
    // What it was for is there.
    if let path = video.resume { unlink(path) }
    progress.end()
    report(encoded, of: reader, options, notices: reader.notices + coded.flatMap(\.notices), source)
  }

  /// By the command line alone.
  private var videoOptions: VideoEncoder.Options {
    var options = VideoEncoder.Options()
    options.codec = codec?.videoCodec ?? .hnerv
    if let bpp {
      options.rate = .bitsPerPixel(bpp)
    } else if let count = video.params.flatMap(VideoEncodeOptions.count) {
      options.rate = .parameters(count)
    } else {
      options.rate = .quality(Double(quality ?? 50))
    }
    options.effort = effort ?? options.effort
    (options.epochs, options.threads, options.segmentFrames) = (video.epochs, threads, video.segmentFrames)
    options.cheapBlocks = video.cheapBlocks
    return options
  }

  /// In a file that is there or not.
  private func checkpoints(_ path: String, _ options: inout VideoEncoder.Options) throws(Failure) -> VideoEncoder.Checkpoints {
    let isThere = access(path, F_OK) == 0
    let saved: [UInt8]? = try Failure.about(path) { isThere ? try FileIO.read(path) : nil }
    if !keepBest { options.isCancelled = { Interrupt.hasHappened } }
    return VideoEncoder.Checkpoints(resuming: saved) { bytes in
      do { try FileIO.write(bytes, to: path, overwrite: true) } catch { throw Failure(error, at: path) }
    }
  }

  private func report(_ encoded: EncodedVideo, of reader: VideoReader, _ options: VideoEncoder.Options, notices: [String], _ source: String) {
    let stream = Console.reportStream(besideOutput: output), format = reader.format
    if json {
      var members: [(String, JSON)] = [
        ("input", .text(input)), ("output", .text(output)), ("container", .text(reader.container)), ("inputCodec", .text(reader.codec)),
        ("width", .integer(format.width)), ("height", .integer(format.height)), ("rotation", .integer(Int(format.rotation.rawValue))),
        ("frameRate", format.frameRate.map { .number($0.value) } ?? .null), ("frames", .integer(encoded.frames)), ("segments", .integer(encoded.segments)),
        ("codec", .text(options.codec.rawValue)), ("effort", .integer(options.effort)), ("bytes", .integer(encoded.byteCount)),
        ("soundTracks", .integer(options.soundTracks.count + options.codedSound.count)),
        ("soundCodecs", .list(options.soundTracks.map { .text($0.codec) } + options.codedSound.map { .text($0.options.codec.rawValue) })), ("soundBytes", .integer(encoded.soundBytes)),
        ("bitsPerPixel", .number(encoded.bitsPerPixel)), ("psnr", .number(encoded.psnr)), ("complete", .flag(encoded.isComplete)),
      ]
      switch options.rate {
      case .quality(let quality): members.append(("quality", .number(quality)))
      case .bitsPerPixel(let bits): members.append(("asked", .object([("bitsPerPixel", .number(bits))])))
      case .parameters(let count): members.append(("asked", .object([("parameters", .integer(count))])))
      }
      members.append(("notices", .list(notices.map(JSON.text))))
      Console.print(JSON.object(members).serialised, to: stream)
    } else if !quiet {
      for notice in notices { Console.notice("\(source): \(notice)") }
      var line = "\(source): \(format.summary), \(encoded.frames) frames, \(encoded.byteCount) bytes"
      if encoded.soundBytes > 0 { line += " (\(encoded.soundBytes) of sound)" }
      line += ", \(fixed(encoded.bitsPerPixel, 4)) bpp"
      switch options.rate {
      case .quality(let quality): line += ", quality \(Int(quality))"
      case .bitsPerPixel(let bits): if fixed(bits, 4) != fixed(encoded.bitsPerPixel, 4) { line += " (of \(fixed(bits, 4)) asked for)" }
      case .parameters(let count): line += ", \(count) parameters a segment"
      }
      line += ", PSNR \(fixed(encoded.psnr, 2)) dB"
      if !encoded.isComplete { line += "; interrupted, this is the best so far" }
      Console.print(Console.oneLine(line), to: stream)
    }
  }
}
