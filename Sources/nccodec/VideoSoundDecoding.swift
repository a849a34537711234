import MediaIO
import NeuralCodecs

/// A coded track's samples on their way to packets of the output's sound codec, at the rate that the sound had.
final class CodedSoundOut {
  private let encoder: VideoSoundEncoder
  private let resampler: AudioResampler?

  /// `name`: of the output, for errors. Throws `MediaIOError`.
  init(_ sound: CodedSoundTrack, for file: VideoFileFormat, kbps: Double?, named name: String) throws {
    resampler = try sound.originalSampleRate.map { try AudioResampler(sound.format, to: $0) }
    encoder = try VideoSoundEncoder(resampler?.format ?? sound.format, for: file, kbps: kbps, named: name)
  }

  var track: CopiedTrack { encoder.track }
  var notices: [String] { encoder.notices }

  func packets(of samples: AudioBuffer) throws -> [CopiedPacket] {
    var packets: [CopiedPacket] = []
    try encoder.append(resampler?.convert(samples) ?? samples) { packets.append($0) }
    return packets
  }

  /// `frames`: of all sound at its original rate, if that is known and all of it is wanted.
  func rest(frames: Int?) throws -> [CopiedPacket] {
    var packets: [CopiedPacket] = []
    if let resampler { try encoder.append(resampler.finish(frames: frames)) { packets.append($0) } }
    try encoder.finish { packets.append($0) }
    return packets
  }
}

/// Sound on its way into a video file, beside the frames of its time: packets that were copied, and coded sound as packets of the file's own codec.
struct SoundBeside {
  /// For the writer: those that were copied, then the coded ones.
  let tracks: [CopiedTrack]
  /// In ticks of the video: what becomes 0, and where the frames that were written end.
  let origin: Int64
  var end: Int64 = 0
  private let timeBase: Rational
  private let coded: [CodedSoundOut]
  private var trimmers: [PacketTrimmer]
  /// `[track]`: packets from `next` on wait for frames of their time.
  private var waiting: [[CopiedPacket]]
  private var next: [Int]

  private var copiedCount: Int { tracks.count - coded.count }

  /// `isCut`: what lies before `origin` is left out.
  init(_ copied: [CopiedTrack], _ coded: [CodedSoundOut], _ timeBase: Rational, origin: Int64, isCut: Bool) {
    tracks = copied + coded.map(\.track)
    (self.coded, self.timeBase, self.origin) = (coded, timeBase, origin)
    trimmers = copied.map { track in
      let start = timeBase.rescale(origin, to: track.timeBase) ?? 0
      return PacketTrimmer(track, origin: start, from: isCut ? start : nil)
    }
    waiting = [[CopiedPacket]](repeating: [], count: tracks.count)
    next = [Int](repeating: 0, count: tracks.count)
  }

  /// All sound that the decoder has met, and at the end of the frames that are wanted what is left of it.
  mutating func take(from decoder: VideoDecoder) throws {
    if copiedCount > 0 {
      while let (track, packet) = try decoder.nextSoundPacket() { waiting[track] += trimmers[track].trim(packet) }
    }
    if !coded.isEmpty {
      // Pieces come without gaps from the first frame's time on.
      while let (track, _, samples) = try decoder.nextSound() {
        waiting[copiedCount + track] += try coded[track].packets(of: samples)
      }
    }
  }

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

  /// All that is left; `isCut`: up to the last frame's end. `originalFrames`: of coded tracks, where all of them is wanted.
  mutating func finish(isCut: Bool, originalFrames: [Int?], to writer: VideoWriter) throws {
    for (track, sound) in coded.enumerated() { waiting[copiedCount + track] += try sound.rest(frames: originalFrames[track]) }
    for track in tracks.indices {
      var last = PacketTrimmer(tracks[track], origin: 0, to: isCut ? timeBase.rescale(end, to: tracks[track].timeBase) : nil)
      for packet in waiting[track][next[track]...] { for kept in last.trim(packet) { try writer.append(kept, track: track) } }
    }
  }
}
