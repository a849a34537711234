import ArgumentParser
import MediaIO
import NeuralCodecs

/// What encoding sound takes beside what pictures take too.
struct AudioEncodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Aim for that many kbit/s on average, the whole file counted. Sound only.", valueName: "kbps"))
  var kbps: Double?

  @Option(
    help: ArgumentHelp(
      "perceptual (what sounds most alike) or mse (the least squared error). Sound only. (default: perceptual)", valueName: "target"))
  var target: AudioTargetName?

  @Option(
    name: .customLong("tokens-rate"),
    help: ArgumentHelp("Frames of tokens a second, 75 or 40. Codec tokens only. (default: by --kbps or --quality)", valueName: "75|40"))
  var tokensRate: Int?

  @Option(
    name: .customLong("tokens-levels"),
    help: ArgumentHelp("Tokens of a frame. Codec tokens only. (default: by --kbps or --quality)", valueName: "1...8"))
  var tokensLevels: Int?

  @Option(
    name: .customLong("group"),
    help: ArgumentHelp("Sound of a part of the file, 0.02 to 10: short ones for live use. Codec tokens only. (default: 10)", valueName: "seconds"))
  var groupSeconds: Double?

  @Option(
    name: .customLong("tokens"),
    help: ArgumentHelp("Write the tokens, uint16 [channels, levels, frames]. Codec tokens only.", valueName: "out.npy"))
  var tokensOutput: String?

  func validate() throws {
    if let kbps, !(kbps.isFinite && kbps > 0) { throw ValidationError("--kbps \(kbps) is not above 0.") }
    if let tokensRate, tokensRate != 75, tokensRate != 40 { throw ValidationError("--tokens-rate \(tokensRate) is neither 75 nor 40.") }
    if let tokensLevels, !(1...8).contains(tokensLevels) { throw ValidationError("--tokens-levels \(tokensLevels) is not in 1...8.") }
    if let groupSeconds, !(0.02...10).contains(groupSeconds) { throw ValidationError("--group \(groupSeconds) is not in 0.02...10.") }
  }

  /// Those that were given.
  var given: [String] { [("kbps", kbps != nil), ("target", target != nil)].filter(\.1).map(\.0) + givenForTokens }

  /// Those that were given and that only tokens have.
  var givenForTokens: [String] {
    [
      ("tokens-rate", tokensRate != nil), ("tokens-levels", tokensLevels != nil), ("group", groupSeconds != nil), ("tokens", tokensOutput != nil),
    ].filter(\.1).map(\.0)
  }
}

enum AudioTargetName: String, ExpressibleByArgument, CaseIterable {
  case perceptual, mse

  var target: AudioEncoder.Target { self == .mse ? .meanSquaredError : .perceptual }
}

/// What decoding sound takes beside what pictures take too.
struct AudioDecodeOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Begin at that time, such as 90, 1:30 or 0:01:30.5. Sound only.", valueName: "time"))
  var start: String?

  @Option(help: ArgumentHelp("Decode that much. Sound only. (default: to the end)", valueName: "time"))
  var duration: String?

  @Option(
    name: .customLong("sample-format"),
    help: ArgumentHelp("What WAV and FLAC hold. Sound only. (default: 16)", valueName: "format"))
  var sampleFormat: AudioSampleFormat?

  @Option(help: ArgumentHelp("kbit/s of Opus, Vorbis, MP3 and AAC. Sound only. (default: 96 a channel; MP3 128 or 256)", valueName: "kbps"))
  var kbps: Double?

  @Option(
    name: .customLong("tokens-rate"),
    help: ArgumentHelp("Frames a second of tokens in an .npy, 75 or 40. (default: 75)", valueName: "75|40"))
  var tokensRate: Int?

  func validate() throws {
    if let tokensRate, tokensRate != 75, tokensRate != 40 { throw ValidationError("--tokens-rate \(tokensRate) is neither 75 nor 40.") }
    for (name, text) in [("start", start), ("duration", duration)] {
      if let text, Self.seconds(text) == nil { throw ValidationError("--\(name) \(text) is no time such as 90, 1:30 or 0:01:30.5.") }
    }
    if let duration, Self.seconds(duration) == 0 { throw ValidationError("--duration \(duration) is not above 0.") }
    if let kbps, !(kbps.isFinite && kbps > 0) { throw ValidationError("--kbps \(kbps) is not above 0.") }
  }

  /// Those that were given.
  var given: [String] {
    [("start", start != nil), ("duration", duration != nil), ("sample-format", sampleFormat != nil), ("kbps", kbps != nil), ("tokens-rate", tokensRate != nil)]
      .filter(\.1).map(\.0)
  }

  var startSeconds: Double { start.flatMap(Self.seconds) ?? 0 }
  var durationSeconds: Double? { duration.flatMap(Self.seconds) }

  /// Of "s", "m:s" or "h:m:s", seconds with a point and what lies behind it where wanted; nil for anything else.
  static func seconds(_ text: String) -> Double? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (1...3).contains(parts.count), parts.dropLast().allSatisfy({ !$0.isEmpty && $0.allSatisfy(\.isASCIIDigit) }),
      let last = parts.last, last.contains(where: \.isASCIIDigit), last.allSatisfy({ $0.isASCIIDigit || $0 == "." }),
      let fine = Double(last)
    else { return nil }
    let whole = parts.dropLast().reduce(0.0) { $0 * 60 + (Double($1) ?? 0) }
    let seconds = whole * 60 + fine
    // A century is longer than any sound.
    return seconds < 4e9 && (parts.count == 1 || fine < 60) ? seconds : nil
  }
}

extension AudioSampleFormat: ExpressibleByArgument {}

extension Character {
  fileprivate var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}

extension ChannelLayout {
  /// Such as "stereo", "5.1" or "12 channels".
  var name: String {
    let names: [UInt64: String] = [
      0x4: "mono", 0x3: "stereo", 0xB: "2.1", 0x7: "3.0", 0xF: "3.1", 0x107: "4.0", 0x33: "quad", 0x37: "5.0", 0x607: "5.0(side)",
      0x3F: "5.1", 0x60F: "5.1(side)", 0x70F: "6.1", 0x637: "7.0", 0x63F: "7.1", 0xFF: "7.1(wide)",
    ]
    return names[mask] ?? (count == 1 ? "1 channel" : "\(count) channels")
  }
}

extension AudioFormat {
  /// Such as "44100 Hz stereo, 12.345 s".
  func summary(frames: Int) -> String { "\(sampleRate) Hz \(layout.name), \(fixed(Double(frames) / Double(sampleRate), 3)) s" }
}

extension AudioFile {
  /// Of the whole file, 1000 bits a second; 0 without sound.
  var kbps: Double { frames == 0 ? 0 : 8 * Double(byteCount) / duration / 1000 }
}
