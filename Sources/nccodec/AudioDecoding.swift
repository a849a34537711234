import Glibc
import MediaIO
import NeuralCodecs

extension DecodeCommand {
  /// What the sound goes to: by `--format`, or else by the output's name; WAV to standard output.
  private func audioFormat(_ source: String) throws(Failure) -> AudioFileFormat {
    let known = AudioFileFormat.allCases.map(\.rawValue).joined(separator: ", ")
    if let name = kv.format {
      guard let format = AudioFileFormat(rawValue: name) else {
        throw Failure("\(source): is sound, which does not go to \(name). Give --format \(known).")
      }
      return format
    }
    if output == "-" { return .wav }
    guard let format = AudioFileFormat(path: output) else {
      throw Failure("\(source): is sound, and '\(output)' does not say what it should go to. Give it a name such as sound.wav (\(known)), or --format.")
    }
    return format
  }

  /// `isStream`: the file is read front to back.
  func runAudio(_ opened: AudioDecoder, isStream: Bool, _ progress: ProgressLine) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    var decoder = opened
    if let option = (pngLevel != nil ? "png-level" : nil) ?? kv.givenForCaches.first {
      throw Failure("\(source): is sound, and --\(option) is not for that. Leave the option out.")
    }
    let file = try audioFormat(source)
    let coded = decoder.format
    let original = try Failure.about(source) {
      try AudioFormat(sampleRate: decoder.originalSampleRate ?? coded.sampleRate, layout: coded.layout)
    }
    let part = AudioPart(audio, coded: coded.sampleRate, original: original.sampleRate)
    // Before the output is made: a time behind the end is a mistake.
    if part.start > 0, let frames = decoder.frames, part.start >= frames {
      throw Failure("\(source): --start \(audio.start ?? "") is behind its end at \(fixed(Double(frames) / Double(coded.sampleRate), 3)) s.")
    }
    var options = AudioWriter.Options()
    options.samples = audio.sampleFormat ?? .int16
    options.kbps = audio.kbps
    options.tags = decoder.tags
    options.overwrite = force
    let writer: AudioWriter
    do { writer = try AudioWriter(output, as: file, format: original, options: options) } catch { throw Failure(error, at: target) }
    let resampler = try Failure.about(source) { original == coded ? nil : try AudioResampler(coded, to: original.sampleRate) }

    var toSkip = 0
    if part.start > 0 {
      if isStream { toSkip = part.start } else { try Failure.about(source) { try decoder.seek(toFrame: part.start) } }
    }
    let expected = min(part.frames ?? .max, decoder.frames.map { $0 - part.start } ?? .max)
    var (taken, skipped) = (0, 0)
    progress.update("decoding", 0)
    while taken < expected {
      guard let buffer = try Failure.about(source, { try decoder.next() }) else { break }
      let skip = min(buffer.frames, toSkip - skipped)
      skipped += skip
      let kept = try Failure.about(source) { try buffer.cut(skip..<(skip + min(buffer.frames - skip, expected - taken))) }
      if kept.frames == 0 { continue }
      taken += kept.frames
      do { try writer.append(resampler?.convert(kept) ?? kept) } catch { throw Failure(error, at: target) }
      progress.update("decoding", expected < .max ? ProgressLine.codecShare * Double(taken) / Double(max(expected, 1)) : 0)
    }
    if part.start > 0, taken == 0 { throw Failure("\(source): --start \(audio.start ?? "") is behind its end.") }
    do {
      if let resampler { try writer.append(resampler.finish(frames: part.original(taken, of: decoder))) }
      try writer.finish()
    } catch { throw Failure(error, at: target) }
    progress.end()
    if quiet { return }
    for notice in writer.notices { Console.notice("\(target): \(notice)") }
    let line = "\(target): \(original.summary(frames: writer.frames)), \(writer.byteCount) bytes"
    Console.print(Console.oneLine(line), to: Console.reportStream(besideOutput: output))
  }
}

/// The part of a sound that is wanted.
private struct AudioPart {
  /// In coded samples.
  let start: Int
  let frames: Int?
  private let coded: Int
  private let rate: Int

  /// `coded` and `original`: Hz.
  init(_ options: AudioDecodeOptions, coded: Int, original: Int) {
    (self.coded, rate) = (coded, original)
    start = Int((options.startSeconds * Double(coded)).rounded())
    frames = options.durationSeconds.map { max(1, Int(($0 * Double(coded)).rounded())) }
  }

  /// How many samples at the original rate `taken` coded ones are for; what is taken to the end is as long as it was.
  func original(_ taken: Int, of decoder: AudioDecoder) -> Int {
    let all = AudioResampler.frames(taken, from: coded, to: rate)
    guard let frames = decoder.originalFrames else { return all }
    return max(0, min(all, frames - AudioResampler.frames(start, from: coded, to: rate)))
  }
}

extension AudioBuffer {
  fileprivate func cut(_ range: Range<Int>) throws -> AudioBuffer {
    range == 0..<frames ? self : try AudioBuffer(format: format, samples: samples.map { Array($0[range]) })
  }
}

/// Standard input, read as it comes; what was read can be read again.
final class PipedInput {
  private var read: [UInt8] = []
  private var remembers = true
  /// Bytes of `read` that are to be read again.
  private var again = 0

  /// At most `count` bytes, none at the end only. Throws `MediaIOError`.
  func next(_ count: Int) throws(MediaIOError) -> [UInt8] {
    if again > 0 {
      let bytes = Array(read.suffix(again).prefix(count))
      again -= bytes.count
      if !remembers, again == 0 { read = [] }
      return bytes
    }
    let bytes = try FileIO.readSome(count)
    if remembers { read += bytes }
    return bytes
  }

  /// What was read comes again.
  func rewind() { again = read.count }

  /// From now on nothing is read twice.
  func forget() {
    remembers = false
    if again == 0 { read = [] }
  }

  /// All that was read, and the rest. Throws `MediaIOError`.
  func everything() throws(MediaIOError) -> [UInt8] { try FileIO.read("-", after: read) }
}
