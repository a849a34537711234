import Glibc
import MediaIO
import NeuralCodecs

extension DecodeCommand {
  /// What the video goes to: by `--format`, or else by the output's name; Matroska to standard output.
  private func videoFormat(_ source: String) throws(Failure) -> VideoFileFormat {
    let known = VideoFileFormat.allCases.map(\.rawValue).joined(separator: ", ")
    if let name = kv.format {
      guard let format = VideoFileFormat(rawValue: name) else {
        throw Failure("\(source): is video, which does not go to \(name). Give --format \(known).")
      }
      return format
    }
    if output == "-" { return .mkv }
    guard let format = VideoFileFormat(path: output) else {
      throw Failure(
        "\(source): is video, and '\(output)' does not say what it should go to. Give it a name such as film.mp4 or frames/%04d.png (\(known)), or --format.")
    }
    return format
  }

  func runVideo(_ decoder: VideoDecoder, _ progress: ProgressLine) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    if let option = (pngLevel != nil ? "png-level" : nil) ?? audio.given.first(where: { $0 != "kbps" }) ?? kv.givenForCaches.first {
      throw Failure("\(source): is video, and --\(option) is not for that. Leave the option out.")
    }
    let file = try videoFormat(source)
    let range = video.range ?? 0..<Int.max
    // Before the output is made: frames behind the end are a mistake.
    if let count = decoder.frameCount, range.lowerBound >= count {
      throw Failure("\(source): --frames \(video.frames ?? "") is behind its last frame, \(count - 1).")
    }
    if range.lowerBound > 0 { try Failure.about(source) { try decoder.seek(toFrame: range.lowerBound) } }
    let keepsSound = file.holdsSound && video.audio != DecodedSoundChoice.none
    let (copied, coded) = keepsSound ? (decoder.soundTracks, decoder.codedSound) : ([], [])
    if audio.kbps != nil, coded.isEmpty { throw Failure("\(source): has no sound that is coded again, and --kbps is for that. Leave the option out.") }
    let writer: VideoWriter
    let outgoing: [CodedSoundOut]
    do {
      outgoing = try coded.map { try CodedSoundOut($0, for: file, kbps: audio.kbps, named: target) }
      var options = VideoWriter.Options()
      if video.encoder != nil || video.encoderOptions != nil || video.chroma != nil {
        options.encoding = try VideoEncoding(video.encoder ?? file.defaultEncoder, options: video.encoderOptions ?? "", sampling: video.chroma)
      }
      options.soundTracks = copied + outgoing.map(\.track)
      options.overwrite = force
      writer = try VideoWriter(output, as: file, format: decoder.format, options: options)
    } catch { throw Failure(error, at: target) }

    let expected = decoder.frameCount.map { min($0, range.upperBound) - range.lowerBound }
    var sound: SoundBeside?
    var isAtEnd = false
    progress.update("decoding", 0)
    while writer.frames < range.count {
      guard var frame = try Failure.about(source, { try decoder.next() }) else {
        isAtEnd = true
        break
      }
      let origin = range.lowerBound == 0 ? 0 : sound?.origin ?? frame.time
      if sound == nil { sound = SoundBeside(copied, outgoing, decoder.format.timeBase, origin: origin, isCut: range.lowerBound > 0) }
      frame.time -= origin
      try Failure.about(source) { try sound?.take(from: decoder) }
      do {
        try sound?.give(until: frame.time + frame.duration, to: writer)
        try writer.append(frame)
      } catch { throw Failure(error, at: target) }
      if let expected { progress.update("decoding", ProgressLine.codecShare * Double(writer.frames) / Double(expected)) }
      sound?.end = frame.time + frame.duration
    }
    if writer.frames == 0 { throw Failure("\(source): --frames \(video.frames ?? "") is behind its last frame.") }
    try Failure.about(source) { try sound?.take(from: decoder) }
    do {
      let isWhole = isAtEnd && range.lowerBound == 0
      try sound?.finish(isCut: !isAtEnd, originalFrames: decoder.codedSound.map { isWhole ? $0.originalFrames : nil }, to: writer)
      try writer.finish()
    } catch { throw Failure(error, at: target) }
    progress.end()
    if quiet { return }
    for notice in writer.notices + outgoing.flatMap(\.notices) { Console.notice("\(target): \(notice)") }
    if !(decoder.soundTracks.isEmpty && decoder.codedSound.isEmpty), !file.holdsSound { Console.notice("\(target): \(file.rawValue) cannot hold sound: it was left out") }
    let line = "\(target): \(decoder.format.summary), \(writer.frames) frames, \(writer.byteCount) bytes"
    Console.print(Console.oneLine(line), to: Console.reportStream(besideOutput: output))
  }
}
