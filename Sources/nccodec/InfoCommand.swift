import ArgumentParser
import MediaIO
import NeuralCodecs

struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Show what is in an .ncb file.",
    discussion: """
      Shows the picture's size, codec, model and quality, the bytes of each section, and every field of every header; of \
      an overfitted picture also what each grid of latents and each part of its networks takes; of video its size, rate, segments \
      and sound; of sound its rate, channels, \
      length and tags, of tokens also what each level takes. Checksums are checked.

      Examples:
        nccodec info photo.ncb
        nccodec info --json photo.ncb
      """)

  @Argument(help: ArgumentHelp("The file to show; - for standard input.", valueName: "file"))
  var input: String

  @Flag(help: "Report as JSON.")
  var json = false

  func run() throws {
    let source = Console.name(input, input: true)
    let opened = try Failure.about(source) { try InputSource(input) }
    let file = try Failure.about(source) { try ImageFile(reading: opened) }
    let cache = KVCacheFile.isOne(opened) ? try Failure.about(source) { try KVCacheFile(reading: opened) } : nil
    let video = VideoFile.isOne(opened) ? try Failure.about(source) { try VideoFile(reading: opened) } : nil
    let sound = AudioFile.isOne(opened) ? try Failure.about(source) { try AudioFile(reading: opened) } : nil
    let tokenBits = sound?.tokens == nil ? [] : try Failure.about(source) { try AudioFile.tokenBits(of: opened) }
    let text = json ? jsonReport(file, cache, video, sound, tokenBits).serialised : textReport(file, cache, video, sound, tokenBits, source)
    Console.print(text, to: .standardOutput)
  }

  private func textReport(
    _ file: ImageFile, _ cache: KVCacheFile?, _ video: VideoFile?, _ sound: AudioFile?, _ tokenBits: [Double], _ source: String
  ) -> String {
    var lines: [String] = []
    func add(_ name: String, _ value: String) { lines.append("\(name):".padded(to: 13) + value) }
    add("file", Console.oneLine(source))
    if let picture = file.picture {
      let alpha = picture.hasAlpha ? " with alpha" : ""
      add("picture", "\(picture.width)x\(picture.height) \(picture.colour == .grey ? "grey" : "RGB")\(alpha)")
    }
    if let cache {
      add("cache", "\(cache.layers) layers, tokens \(cache.positions.lowerBound) to \(cache.positions.upperBound)")
      add("codec", "3 (kv), \(cache.scheme), \(cache.parts) parts")
      if cache.levels.count == 1, let quality = cache.levels[0].quality { add("quality", "\(quality)") }
      if !cache.model.isEmpty { add("model", Console.oneLine(cache.model)) }
    }
    if let video {
      add("video", video.format.summary)
      add("frames", "\(video.frames), \(fixed(video.duration, 3)) s")
      add("codec", "8 (\(video.codec)), \(video.segments.count) \(video.segments.count == 1 ? "segment" : "segments")")
      for track in video.soundTracks { add("sound", Console.oneLine(track.summary)) }
      for track in video.codedSound { add("sound", track.summary) }
    }
    if let sound {
      add("sound", sound.format.summary(frames: sound.frames) + ", \(sound.frames) samples")
      if let rate = sound.originalSampleRate { add("original", "\(rate) Hz, \(sound.originalFrames ?? 0) samples") }
      add("codec", "\(sound.codec), \(sound.parts) parts")
      if let tokens = sound.tokens { add("tokens", "\(tokens.framesPerSecond) frames a second, \(tokens.levels) levels") }
      for tag in sound.tags { add("  \(Console.oneLine(tag.key))", Console.oneLine(tag.value)) }
    }
    if let codec = file.codec { add("codec", Self.codecName(codec).map { "\(codec) (\($0))" } ?? "\(codec) (unknown)") }
    if let model = file.model { add("model", "\(model)") }
    if let picture = file.picture { add("quality", "\(picture.quality)") }
    let rate = file.bitsPerPixel.map { ", \(fixed($0, 3)) bpp" } ?? video.map { ", \(fixed($0.bitsPerPixel, 4)) bpp without sound" } ?? sound.map { ", \(fixed($0.kbps, 2)) kbps" } ?? ""
    add("size", "\(file.byteCount) bytes" + rate)
    add("  container", "\(file.containerBytes) bytes")
    add("  metadata", "\(file.metadataBytes) bytes")
    add("  payload", "\(file.payloadBytes) bytes")
    if let cache {
      if cache.jointBytes > 0 {
        add("    keys and values", "\(cache.jointBytes) bytes")
      } else {
        add("    keys", "\(cache.keyBytes) bytes")
        add("    values", "\(cache.valueBytes) bytes")
      }
      add("    tensors", "\(cache.otherBytes) bytes")
      if cache.elementCount > 0, cache.levels.count > 1 {
        for (number, level) in cache.levels.enumerated() {
          let quality = level.quality.map { "quality \($0)" } ?? level.scheme
          let bits = fixed(8 * Double(level.byteCount) / Double(cache.elementCount), 3)
          add("  level \(number)", "\(quality), \(level.byteCount) bytes, \(bits) per element")
        }
      } else if cache.elementCount > 0 {
        add("  bits", "\(fixed(8 * Double(file.byteCount) / Double(cache.elementCount), 3)) per element")
      }
    }
    if let video {
      add("    video", "\(video.videoBytes) bytes")
      for (number, segment) in video.segments.enumerated() {
        let parts = segment.embeddingBytes > 0 ? "weights \(segment.weightBytes), embeddings \(segment.embeddingBytes)" : "weights \(segment.weightBytes)"
        let frames = "frames \(segment.frames.lowerBound) to \(segment.frames.upperBound - 1)" + (segment.groupFrames.map { " in groups of \($0)" } ?? "")
        lines.append("      segment \(number): \(frames), \(segment.byteCount) bytes (\(parts))")
      }
      for (number, bytes) in (video.soundBytes + video.codedSoundBytes).enumerated() { add("    sound \(number)", "\(bytes) bytes") }
    }
    for (level, bits) in tokenBits.enumerated() {
      add("    level \(level)", "\(Int((bits / 8).rounded())) bytes, \(fixed(bits / (sound?.duration ?? 1) / 1000, 3)) kbps")
    }
    if let picture = file.picture {
      if picture.hasAlpha { add("    alpha", "\(picture.alphaBytes) bytes") }
      add("    latents", "\(picture.latentBytes) bytes")
      if let overfit = picture.overfit { lines += OverfitReport(overfit).lines }
    }
    return (lines + ["", file.fieldText]).joined(separator: "\n")
  }

  private func jsonReport(_ file: ImageFile, _ cache: KVCacheFile?, _ video: VideoFile?, _ sound: AudioFile?, _ tokenBits: [Double]) -> JSON {
    var payload: [(String, JSON)] = [("bytes", .integer(file.payloadBytes))]
    var picture = JSON.null
    if let cache {
      payload += [
        ("keys", .integer(cache.keyBytes)), ("values", .integer(cache.valueBytes)),
        ("keysAndValues", .integer(cache.jointBytes)), ("tensors", .integer(cache.otherBytes)),
      ]
    }
    if let p = file.picture {
      payload += [("alpha", .integer(p.alphaBytes)), ("latents", .integer(p.latentBytes))]
      picture = .object([
        ("width", .integer(p.width)), ("height", .integer(p.height)), ("colour", .text("\(p.colour)")),
        ("alpha", .flag(p.hasAlpha)), ("quality", .integer(p.quality)),
      ])
      if let overfit = p.overfit { payload.append(("overfit", OverfitReport(overfit).json)) }
    }
    return .object([
      ("file", .text(input)), ("bytes", .integer(file.byteCount)),
      ("bitsPerPixel", file.bitsPerPixel.map(JSON.number) ?? .null),
      ("codec", file.codec.map { .integer(Int($0)) } ?? .null),
      ("codecName", file.codec.flatMap(Self.codecName).map(JSON.text) ?? .null),
      ("model", file.model.map { .integer(Int($0)) } ?? .null), ("picture", picture),
      ("cache", cache.map(Self.json) ?? .null), ("video", video.map(Self.json) ?? .null), ("sound", sound.map { Self.json($0, tokenBits) } ?? .null),
      ("sections", .object([
        ("container", .integer(file.containerBytes)), ("metadata", .integer(file.metadataBytes)),
        ("payload", .object(payload)),
      ])),
      ("fields", .raw(file.fieldJSON)),
    ])
  }

  private static func json(_ cache: KVCacheFile) -> JSON {
    .object([
      ("layers", .integer(cache.layers)), ("firstPosition", .integer(cache.positions.lowerBound)),
      ("tokens", .integer(cache.positions.count)), ("elements", .integer(cache.elementCount)), ("scheme", .text(cache.scheme)),
      ("model", .text(cache.model)), ("parts", .integer(cache.parts)),
      ("levels", .list(cache.levels.map { level in
        .object([
          ("quality", level.quality.map(JSON.integer) ?? .null), ("scheme", .text(level.scheme)),
          ("bytes", .integer(level.byteCount)),
        ])
      })),
    ])
  }

  private static func json(_ video: VideoFile) -> JSON {
    .object([
      ("width", .integer(video.format.width)), ("height", .integer(video.format.height)),
      ("rotation", .integer(Int(video.format.rotation.rawValue))), ("frameRate", video.format.frameRate.map { .number($0.value) } ?? .null),
      ("frames", .integer(video.frames)), ("seconds", .number(video.duration)), ("codec", .text(video.codec)),
      ("bitsPerPixel", .number(video.bitsPerPixel)), ("videoBytes", .integer(video.videoBytes)),
      ("segments", .list(video.segments.map { segment in
        .object([
          ("first", .integer(segment.frames.lowerBound)), ("frames", .integer(segment.frames.count)), ("bytes", .integer(segment.byteCount)),
          ("weightBytes", .integer(segment.weightBytes)), ("embeddingBytes", .integer(segment.embeddingBytes)),
          ("groupFrames", segment.groupFrames.map { .integer($0) } ?? .null),
        ])
      })),
      ("soundTracks", .list(zip(video.soundTracks, video.soundBytes).map { track, bytes in
        .object([
          ("codec", .text(track.codec)), ("sampleRate", .integer(track.sampleRate)), ("channels", .integer(track.layout.count)),
          ("language", .text(track.language)), ("bytes", .integer(bytes)),
        ])
      } + zip(video.codedSound, video.codedSoundBytes).map { track, bytes in
        .object([
          ("codec", .text(track.codec)), ("sampleRate", .integer(track.originalSampleRate ?? track.format.sampleRate)),
          ("channels", .integer(track.format.layout.count)), ("language", .text("")), ("bytes", .integer(bytes)),
        ])
      })),
    ])
  }

  private static func json(_ sound: AudioFile, _ tokenBits: [Double]) -> JSON {
    .object([
      ("sampleRate", .integer(sound.format.sampleRate)), ("channels", .integer(sound.format.layout.count)),
      ("channelMask", .integer(Int(truncatingIfNeeded: sound.format.layout.mask))), ("samples", .integer(sound.frames)),
      ("seconds", .number(sound.duration)), ("originalSampleRate", sound.originalSampleRate.map(JSON.integer) ?? .null),
      ("originalSamples", sound.originalFrames.map(JSON.integer) ?? .null), ("codec", .text(sound.codec)),
      ("framesPerSecond", sound.tokens.map { .integer($0.framesPerSecond) } ?? .null),
      ("tokenBits", sound.tokens == nil ? .null : .list(tokenBits.map(JSON.number))),
      ("parts", .integer(sound.parts)), ("codedBytes", .integer(sound.codedBytes)), ("kbps", .number(sound.kbps)),
      ("tags", .list(sound.tags.map { .object([("key", .text($0.key)), ("value", .text($0.value))]) })),
    ])
  }

  private static func codecName(_ codec: UInt32) -> String? {
    switch codec {
    case 1: CodecName.hyperprior.rawValue
    case 2: CodecName.overfit.rawValue
    default: nil
    }
  }
}

extension String {
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
