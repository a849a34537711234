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
    if let option = (pngLevel != nil ? "png-level" : nil) ?? audio.given.first ?? kv.givenForCaches.first {
      throw Failure("\(source): is video, and --\(option) is not for that. Leave the option out.")
    }
    let file = try videoFormat(source)
    let range = video.range ?? 0..<Int.max
    // Before the output is made: frames behind the end are a mistake.
    if let count = decoder.frameCount, range.lowerBound >= count {
      throw Failure("\(source): --frames \(video.frames ?? "") is behind its last frame, \(count - 1).")
    }
    if range.lowerBound > 0 { try Failure.about(source) { try decoder.seek(toFrame: range.lowerBound) } }
    let keepsSound = file.holdsSound && video.audio != SoundChoice.none
    let writer: VideoWriter
    do {
      var options = VideoWriter.Options()
      if video.encoder != nil || video.encoderOptions != nil || video.chroma != nil {
        options.encoding = try VideoEncoding(video.encoder ?? file.defaultEncoder, options: video.encoderOptions ?? "", sampling: video.chroma)
      }
      options.soundTracks = keepsSound ? decoder.soundTracks : []
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
      if sound == nil { sound = SoundBeside(keepsSound ? decoder.soundTracks : [], decoder.format.timeBase, origin: origin, isCut: range.lowerBound > 0) }
      frame.time -= origin
      if keepsSound { while let (track, packet) = try Failure.about(source, { try decoder.nextSoundPacket() }) { sound?.take(packet, track) } }
      do {
        try sound?.give(until: frame.time + frame.duration, to: writer)
        try writer.append(frame)
      } catch { throw Failure(error, at: target) }
      if let expected { progress.update("decoding", ProgressLine.codecShare * Double(writer.frames) / Double(expected)) }
      sound?.end = frame.time + frame.duration
    }
    if writer.frames == 0 { throw Failure("\(source): --frames \(video.frames ?? "") is behind its last frame.") }
    if keepsSound { while let (track, packet) = try Failure.about(source, { try decoder.nextSoundPacket() }) { sound?.take(packet, track) } }
    do {
      try sound?.finish(isCut: !isAtEnd, to: writer)
      try writer.finish()
    } catch { throw Failure(error, at: target) }
    progress.end()
    if quiet { return }
    for notice in writer.notices { Console.notice("\(target): \(notice)") }
    if !decoder.soundTracks.isEmpty, !file.holdsSound { Console.notice("\(target): \(file.rawValue) cannot hold sound: it was left out") }
    let line = "\(target): \(decoder.format.summary), \(writer.frames) frames, \(writer.byteCount) bytes"
    Console.print(Console.oneLine(line), to: Console.reportStream(besideOutput: output))
  }
}

/// Copied sound on its way into a file, beside the frames of its time.
private struct SoundBeside {
  /// In ticks of the video: what becomes 0, and where the frames that were written end.
  let origin: Int64
  var end: Int64 = 0
  private let tracks: [CopiedTrack]
  private let timeBase: Rational
  private var trimmers: [PacketTrimmer]
  /// `[track]`: packets from `next` on wait for frames of their time.
  private var waiting: [[CopiedPacket]]
  private var next: [Int]

  /// `isCut`: what lies before `origin` is left out.
  init(_ tracks: [CopiedTrack], _ timeBase: Rational, origin: Int64, isCut: Bool) {
    (self.tracks, self.timeBase, self.origin) = (tracks, timeBase, origin)
    trimmers = tracks.map { track in
      let start = timeBase.rescale(origin, to: track.timeBase) ?? 0
      return PacketTrimmer(track, origin: start, from: isCut ? start : nil)
    }
    waiting = [[CopiedPacket]](repeating: [], count: tracks.count)
    next = [Int](repeating: 0, count: tracks.count)
  }

  mutating func take(_ packet: CopiedPacket, _ track: Int) { waiting[track] += trimmers[track].trim(packet) }

  /// Packets that end by a time, in ticks of the video from `origin` on.
  mutating func give(until time: Int64, to writer: VideoWriter) throws {
    for (track, waits) in waiting.enumerated() {
      let end = timeBase.rescale(time, to: tracks[track].timeBase) ?? .max
      while next[track] < waits.count, waits[next[track]].time + waits[next[track]].duration <= end {
        try writer.append(waits[next[track]], track: track)
        next[track] += 1
      }
      if next[track] > 1024 {
        waiting[track].removeFirst(next[track])
        next[track] = 0
      }
    }
  }

  /// All that is left; `isCut`: up to the last frame's end.
  mutating func finish(isCut: Bool, to writer: VideoWriter) throws {
    for track in tracks.indices {
      var last = PacketTrimmer(tracks[track], origin: 0, to: isCut ? timeBase.rescale(end, to: tracks[track].timeBase) : nil)
      for packet in waiting[track][next[track]...] { for kept in last.trim(packet) { try writer.append(kept, track: track) } }
    }
  }
}
