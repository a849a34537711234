import Media
import MediaIO
import Metrics

/// A program that is called with two WAV files of 16 bits, one channel and the sample rate that it wants, the original first, and
/// prints a number. More channels are measured one by one, and the mean taken.
package struct AudioToolMeasure: AudioMeasure {
  package let name, title: String
  package let unit = ""
  package let isHigherBetter = true
  package let version: String
  package let missing: String?
  package let secondsPerSecond: Double
  private let tool: ExternalTool?
  /// Hz
  private let sampleRate: Int
  private let arguments: [String]
  /// What stands before the number; "" for a program that prints the number alone.
  private let mark: String

  private init(
    name: String, title: String, program: String, advice: String, searchPath: String, what: String, sampleRate: Int, mark: String,
    secondsPerSecond: Double, arguments: (ExternalTool) -> [String]
  ) {
    (self.name, self.title, self.sampleRate, self.mark) = (name, title, sampleRate, mark)
    self.secondsPerSecond = secondsPerSecond
    tool = ExternalTool(program, searchPath: searchPath)
    version = tool.map { "\(program), \($0.origin): \(what)" } ?? what
    missing = tool == nil ? "no program \(program) on the PATH (\(advice))" : nil
    self.arguments = tool.map(arguments) ?? []
  }

  /// Google's program or visqol-python's, which spell their options differently.
  package static func visqol(_ searchPath: String, isSpeech: Bool = false) -> Self {
    AudioToolMeasure(
      name: isSpeech ? "visqolspeech" : "visqol", title: isSpeech ? "ViSQOL, speech mode" : "ViSQOL", program: "visqol",
      advice: "PyPI: visqol-python, or Benchmarks/audio.sh programs", searchPath: searchPath,
      what: isSpeech ? "MOS-LQO of speech at 16 kHz, 5 at most" : "MOS-LQO, audio mode at 48 kHz, 5 at most",
      sampleRate: isSpeech ? 16_000 : 48_000, mark: "MOS-LQO:", secondsPerSecond: 0.5
    ) { tool in
      let help = try? ExternalTool.withFolder { try tool.run(["--help"], in: $0, seconds: 60, mayFail: true) }
      let isGoogles = help.map { ($0.output + $0.errors).contains("degraded_file") } ?? false
      return isGoogles
        ? ["--reference_file", "original.wav", "--degraded_file", "decoded.wav"] + (isSpeech ? ["--use_speech_mode"] : [])
        : ["--reference", "original.wav", "--degraded", "decoded.wav"] + (isSpeech ? ["--speech_mode"] : [])
    }
  }

  /// ITU-T's reference program, wide band.
  package static func pesq(_ searchPath: String) -> Self {
    AudioToolMeasure(
      name: "pesq", title: "PESQ-WB", program: "pesq", advice: "ITU-T P.862's reference program, or Benchmarks/audio.sh programs",
      searchPath: searchPath, what: "P.862.2 of speech at 16 kHz, 4.64 at most", sampleRate: 16_000, mark: "(MOS-LQO):  =",
      secondsPerSecond: 0.05
    ) { _ in ["+16000", "+wb", "original.wav", "decoded.wav"] }
  }

  package static func stoi(_ searchPath: String) -> Self {
    AudioToolMeasure(
      name: "stoi", title: "STOI", program: "stoi", advice: "any that takes two WAV files and prints a number, or Benchmarks/audio.sh programs",
      searchPath: searchPath, what: "intelligibility of speech at 16 kHz, 1 at most", sampleRate: 16_000, mark: "", secondsPerSecond: 0.05
    ) { _ in ["original.wav", "decoded.wav"] }
  }

  /// Throws `MeasureError`, and what resampling and writing throw.
  package func measure(original: AudioBuffer, decoded: AudioBuffer) throws -> Double? {
    guard let tool else { throw MeasureError(.missing, "\(title): \(missing ?? "missing").") }
    guard original.format == decoded.format, original.frames == decoded.frames else {
      throw MeasureError(.mismatch, "\(title): sounds of different format or length.")
    }
    // Shorter ones have no window to be judged in.
    guard original.seconds >= 0.5 else { return nil }
    var sum = 0.0
    for channel in 0..<original.format.layout.count {
      // Silence has no quality.
      guard original.samples[channel].contains(where: { $0 != 0 }) else { return nil }
      sum += try ExternalTool.withFolder { folder in
        for (sound, file) in [(original, "original.wav"), (decoded, "decoded.wav")] {
          let format = try AudioFormat(sampleRate: sampleRate, layout: .mono)
          let writer = try AudioWriter("\(folder)/\(file)", as: .wav, format: format)
          let samples = resampled(sound.samples[channel], from: sound.format.sampleRate, to: sampleRate)
          try writer.append(AudioBuffer(format: format, samples: [samples]))
          try writer.finish()
        }
        let result = try tool.run(arguments, in: folder, seconds: 60 + 20 * original.seconds)
        guard let value = Self.number(in: result.output, after: mark), value.isFinite else {
          throw MeasureError(.unreadable, "\(tool.name): no number in what it printed: \(result.complaint).")
        }
        return value
      }
    }
    return sum / Double(original.format.layout.count)
  }

  /// The first word behind the last `mark`; of a text without marks, the number that it is.
  package static func number(in text: String, after mark: String) -> Double? {
    var rest = text[...]
    if mark.isEmpty {
      let words = rest.split(whereSeparator: \.isWhitespace)
      return words.count == 1 ? Double(words[0]) : nil
    }
    guard let found = text.ranges(of: mark).last else { return nil }
    rest = text[found.upperBound...]
    return rest.split(whereSeparator: \.isWhitespace).first.flatMap { Double($0) }
  }
}
