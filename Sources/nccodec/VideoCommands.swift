import ArgumentParser
import MediaIO
import NeuralCodecs

/// What encoding video takes beside what pictures take too.
struct VideoEncodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Weights and embeddings of each segment's network, such as 0.35M or 350000. Video only.", valueName: "n"))
  var params: String?

  @Flag(name: .customLong("cheap-blocks"), help: "Smaller kernels in HNeRV's last stages, for faster decoding and somewhat larger files. Video only.")
  var cheapBlocks = false

  @Option(help: ArgumentHelp("How often each frame is fitted. Video only. (default: by --effort)", valueName: "n"))
  var epochs: Int?

  @Option(help: ArgumentHelp("Begin at that time, such as 90, 1:30 or 0:01:30.5. Video only.", valueName: "time"))
  var start: String?

  @Option(help: ArgumentHelp("Encode that much. Video only. (default: to the end)", valueName: "time"))
  var duration: String?

  @Option(help: ArgumentHelp("Scale frames to that many pixels. Video only.", valueName: "WxH"))
  var scale: String?

  @Option(
    help: ArgumentHelp(
      "Frames a second of numbered pictures and streams without times, such as 30 or 30000/1001. Video only. (default: what the stream says, or 25)",
      valueName: "rate"))
  var rate: String?

  @Option(
    help: ArgumentHelp(
      "copy (all sound tracks, bit by bit), neural (coded anew, as sound alone is: --kbps and the like are its) or none. Video only. (default: copy)",
      valueName: "copy|neural|none"))
  var audio: SoundChoice?

  @Option(
    name: .customLong("segment-frames"),
    help: ArgumentHelp("Frames of a segment. Video only. (default: at most 256 and 384 MB of samples)", valueName: "1...4096"))
  var segmentFrames: Int?

  @Option(help: ArgumentHelp("Save the fit in that file each minute and on Ctrl-C, and go on from it if it is there. Video only.", valueName: "file"))
  var resume: String?

  func validate() throws {
    if let params, Self.count(params) == nil { throw ValidationError("--params \(params) is no number above 0 such as 350000 or 0.35M.") }
    if let epochs, !(1...1_000_000).contains(epochs) { throw ValidationError("--epochs \(epochs) is not in 1...1000000.") }
    for (name, text) in [("start", start), ("duration", duration)] {
      if let text, AudioDecodeOptions.seconds(text) == nil { throw ValidationError("--\(name) \(text) is no time such as 90, 1:30 or 0:01:30.5.") }
    }
    if let duration, AudioDecodeOptions.seconds(duration) == 0 { throw ValidationError("--duration \(duration) is not above 0.") }
    if let start, let seconds = AudioDecodeOptions.seconds(start), seconds > 1e9 { throw ValidationError("--start \(start) is behind the end of any video.") }
    if let scale, size == nil { throw ValidationError("--scale \(scale) is no size such as 640x360, of 1 to 65535 pixels a side.") }
    if let rate, framesPerSecond == nil { throw ValidationError("--rate \(rate) is no number above 0 such as 30, 29.97 or 30000/1001.") }
    if let segmentFrames, !(1...4096).contains(segmentFrames) { throw ValidationError("--segment-frames \(segmentFrames) is not in 1...4096.") }
  }

  /// Those that were given.
  var given: [String] {
    [
      ("params", params != nil), ("cheap-blocks", cheapBlocks), ("epochs", epochs != nil), ("start", start != nil), ("duration", duration != nil),
      ("scale", scale != nil), ("rate", rate != nil), ("audio", audio != nil), ("segment-frames", segmentFrames != nil), ("resume", resume != nil),
    ].filter(\.1).map(\.0)
  }

  /// Of "350000", "350k", "0.35M"; nil for anything else.
  static func count(_ text: String) -> Int? {
    let factors: [Character: Double] = ["k": 1e3, "K": 1e3, "m": 1e6, "M": 1e6]
    let factor = text.last.flatMap { factors[$0] }
    let digits: Substring = factor == nil ? text[...] : text.dropLast()
    guard let number = Double(digits), number.isFinite, number < 1e10 else { return nil }
    let count = (number * (factor ?? 1)).rounded()
    return (1...1_073_741_824).contains(count) ? Int(count) : nil
  }

  var size: (width: Int, height: Int)? { scale.flatMap(Self.size) }

  /// Of "640x360", sides 1...65535; nil for anything else.
  static func size(_ text: String) -> (width: Int, height: Int)? {
    let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let w = parts[0], let h = parts[1], (1...65_535).contains(w), (1...65_535).contains(h) else { return nil }
    return (w, h)
  }

  var framesPerSecond: Rational? {
    guard let parts = rate?.split(separator: "/", omittingEmptySubsequences: false), (1...2).contains(parts.count) else { return nil }
    if let numerator = Int(parts[0]) { return Rational(exactly: numerator, parts.count == 2 ? Int(parts[1]) ?? 0 : 1) }
    guard parts.count == 1, let number = Double(parts[0]), (0.001...1000).contains(number) else { return nil }
    return Rational(exactly: Int((number * 1000).rounded()), 1000)?.reduced
  }

  /// Of the reader.
  var readOptions: VideoReader.Options {
    var options = VideoReader.Options()
    options.rate = framesPerSecond
    options.start = start.flatMap(AudioDecodeOptions.seconds) ?? 0
    options.duration = duration.flatMap(AudioDecodeOptions.seconds)
    options.size = size
    options.copiesSound = audio != SoundChoice.none
    return options
  }
}

/// What becomes of a video's sound.
enum SoundChoice: String, ExpressibleByArgument, CaseIterable {
  case copy, neural, none
}

/// What becomes of it when decoded.
enum DecodedSoundChoice: String, ExpressibleByArgument, CaseIterable {
  case copy, none
}

/// What decoding video takes beside what pictures take too.
struct VideoDecodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Decode frames a to b - 1 alone, counted from 0, such as 100:200 or 100: to the end. Video only.", valueName: "a:b"))
  var frames: String?

  @Option(
    help: ArgumentHelp(
      "libavcodec's encoder of the output, such as libx264, libx265, libsvtav1, ffv1. Video only. (default: libx264; of webm libvpx-vp9, of y4m rawvideo)",
      valueName: "name"))
  var encoder: String?

  @Option(
    name: .customLong("encoder-options"),
    help: ArgumentHelp("Its options, such as crf=20:preset=slow. Video only. (default: a quality whose loss is not seen)", valueName: "a=b:..."))
  var encoderOptions: String?

  @Option(help: ArgumentHelp("Colour samples of the output: 420, 422, 444 or rgb. Video only. (default: 420, of y4m 444)", valueName: "sampling"))
  var chroma: VideoSampling?

  @Option(
    help: ArgumentHelp(
      "copy (what was coded anew becomes AAC, Opus or MP3, by the output) or none. Video only. (default: copy, where the output can hold it)",
      valueName: "copy|none"))
  var audio: DecodedSoundChoice?

  func validate() throws {
    if let frames, range == nil { throw ValidationError("--frames \(frames) is no range a:b with a below b.") }
  }

  /// Those that were given.
  var given: [String] {
    [
      ("frames", frames != nil), ("encoder", encoder != nil), ("encoder-options", encoderOptions != nil), ("chroma", chroma != nil), ("audio", audio != nil),
    ].filter(\.1).map(\.0)
  }

  /// Nil for text that is none; `Int.max` stands for the end.
  var range: Range<Int>? {
    guard let parts = frames?.split(separator: ":", omittingEmptySubsequences: false), parts.count == 2 else { return nil }
    let (first, end) = (parts[0].isEmpty ? 0 : Int(parts[0]), parts[1].isEmpty ? Int.max : Int(parts[1]))
    guard let first, let end, first >= 0, first < end else { return nil }
    return first..<end
  }
}

extension VideoSampling: ExpressibleByArgument {}

extension VideoFormat {
  /// Such as "640x360, 25 frames a second".
  var summary: String {
    "\(width)x\(height)" + (rotation == .none ? "" : ", turned by \(rotation.rawValue) degrees")
      + (frameRate.map { ", \(fixed($0.value, 2)) frames a second" } ?? "")
  }
}

extension CodedSoundTrack {
  /// Such as "mdct, 48000 Hz stereo".
  var summary: String { "\(codec), \(originalSampleRate ?? format.sampleRate) Hz \(format.layout.name)" }
}

extension CopiedTrack {
  /// Such as "aac, 48000 Hz stereo".
  var summary: String { "\(codec), \(sampleRate) Hz \(layout.name)" + (language.isEmpty ? "" : ", \(language)") }
}
