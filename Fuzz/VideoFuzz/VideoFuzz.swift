import AudioCodec
import Bitstream
import Coding
import Media
import VideoCodec

// Video (codec 8) under libFuzzer: any bytes either are frames in order, the same from a file and from a stream, or are refused. The first byte says
// what the rest is: a configuration; the start of a payload; payloads of a video and three sounds; a file without checksums; a segment's data.

private func demand(_ condition: Bool, _ rule: String) {
  if !condition { fatalError("not so: \(rule)") }
}

private let format = try! VideoFormat(width: 4, height: 3, timeBase: Rational(exactly: 1, 600)!)
private let video = try! TrackHeader(format, .hnerv)
private let sound = try! CopiedTrackWriter(
  CopiedTrack(codec: "opus", timeBase: Rational(exactly: 1, 48_000)!, sampleRate: 48_000, layout: .stereo)
).header
/// Tracks of coded sound, as their encoders begin them.
private let coded: [TrackHeader] = AudioEncoder.Codec.allCases.map { codec in
  final class Begun: SoundOutput {
    var track: TrackHeader?
    var byteCount: Int { 0 }
    func begin(_ track: TrackHeader, tags: [AudioTag]) { self.track = track }
    func append(_ payload: Payload) {}
    func finish() -> Int { 0 }
  }
  var options = AudioEncoder.Options()
  (options.codec, options.originalSampleRate) = (codec, 44_100)
  let begun = Begun()
  _ = try! AudioEncoder(format: AudioFormat(sampleRate: codec.codedSampleRate(of: 8000), layout: .stereo), options: options, to: begun)
  return begun.track!
}

/// Frames of one grey: for what is not about networks.
private final class Grey: SegmentDecoding {
  let shape: SegmentShape

  init(_ shape: SegmentShape) { self.shape = shape }

  func samples(of frames: Range<Int>, threads: Int) -> [[UInt8]] {
    demand(frames.lowerBound >= 0 && frames.upperBound <= shape.frames && !frames.isEmpty, "only frames that are there are asked for")
    return frames.map { _ in [UInt8](repeating: 128, count: 3 * shape.width * shape.height) }
  }
}

private func options() -> VideoDecoder.Options {
  var options = VideoDecoder.Options()
  (options.threads, options.maxPixels, options.maxMemory) = (3, 1 << 12, 1 << 24)
  return options
}

/// Times of all frames and packets, and coded sound; nil for what is refused.
private func contents(_ make: () throws -> VideoDecoder) -> (frames: [Int64], packets: [Int64], sound: [[Float]], decoder: VideoDecoder)? {
  guard let decoder = try? make() else { return nil }
  var (frames, packets, sound): ([Int64], [Int64], [[Float]]) = ([], [], decoder.codedSound.map { _ in [] })
  do {
    while true {
      let frame = try decoder.next()
      while let (track, packet) = try decoder.nextSoundPacket() {
        demand(decoder.soundTracks.indices.contains(track), "sound is of a track")
        packets.append(packet.time)
      }
      while let (track, start, samples) = try decoder.nextSound() {
        demand(sound[track].count == start && samples.frames > 0, "sound goes on without gaps")
        sound[track] += samples.samples[0]
      }
      guard let frame else { break }
      demand(frame.time > frames.last ?? -1 && frame.duration > 0, "frames come one after the other")
      frames.append(frame.time)
    }
  } catch { return nil }
  demand(decoder.frameCount == frames.count && !frames.isEmpty, "there are as many frames as is said")
  demand(zip(sound, decoder.codedSound).allSatisfy { $0.count == $1.frames ?? 0 }, "there is as much sound as is said")
  return (frames, packets, sound, decoder)
}

private func exercise(_ bytes: [UInt8]) {
  let whole = contents { try VideoDecoder(MemorySource(bytes), options: options()) { _, shape in Grey(shape) } }
  var rest = bytes[...]
  let stream = contents {
    try VideoDecoder(options: options(), open: { _, shape in Grey(shape) }) { count in
      let some = Array(rest.prefix(min(count, 50)))
      rest = rest.dropFirst(some.count)
      return some
    }
  }
  demand((whole == nil) == (stream == nil), "a stream is refused as a file is")
  guard let whole, let stream else { return }
  demand(whole.frames == stream.frames && whole.packets == stream.packets, "a stream holds what a file holds")
  let alike = zip(whole.sound.joined(), stream.sound.joined()).allSatisfy { $0 == $1 || $0.isNaN && $1.isNaN }
  demand(whole.sound.map(\.count) == stream.sound.map(\.count) && alike, "its sound too")
  demand((try? VideoFile(reading: bytes).frames) == whole.frames.count, "a file tells its frames")
  for frame in [whole.frames.count - 1, 0, whole.frames.count / 2] {
    try! whole.decoder.seek(toFrame: frame)
    demand((try? whole.decoder.next()?.time) == whole.frames[frame], "any frame is found")
    while let (track, start, samples) = try? whole.decoder.nextSound() {
      demand(start + samples.frames <= whole.sound[track].count, "no more sound is found than there is")
    }
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzVideo(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let mode = input.first else { return 0 }
  var rest = input[1...]
  switch mode % 5 {
  case 0:
    var track = video
    track.configuration = rest
    if let (format, family) = try? VideoFormat.read(track) {
      demand((try? TrackHeader(format, family))?.configuration.elementsEqual(rest) == true, "a configuration that was read is written alike")
    }
  case 1:
    if let header = try? VideoPayloadHeader.parse(rest, into: VideoPayloadHeader(), named: "video payload") {
      demand((try? header.serialised()) == Array(rest), "a payload that was read is written alike")
      demand((1...4096).contains(header.times.count) && header.times.dropFirst().allSatisfy { $0.gap > 0 }, "times ascend")
    }
  case 2:
    var (payloads, starts): ([Payload], [UInt64]) = ([], [0, 0, 0, 0])
    while rest.count >= 3, payloads.count < 24 {
      let head = Array(rest.prefix(3)), track = Int(head[0] & 1) | Int(head[0] >> 1 & 2)
      starts[track] += UInt64(head[1]) << (head[0] >> 4)
      let data = rest.dropFirst(3).prefix(Int(head[2]))
      payloads.append(Payload(track: UInt32(track), isRandomAccess: head[0] & 2 == 0, start: starts[track], data: data))
      rest = rest.dropFirst(3 + data.count)
    }
    // Times that no file may have are not written.
    if let bytes = try? Container(tracks: [video, sound] + coded, payloads: payloads, hasIndex: mode & 64 == 0).serialised() { exercise(bytes) }
  case 3:
    let source = MemorySource(Magic.bytes + [1, 0] + rest)
    _ = contents { try VideoDecoder(source, options: options(), checksums: .ignored) { _, shape in Grey(shape) } }
  default:
    let shape = SegmentShape(frames: 1 + Int(mode) / 5 % 4, width: 20, height: 12, maxMemory: 1 << 21)
    guard let segment = try? NetworkSegments.open(rest, shape) else { return 0 }
    let one = try? segment.samples(of: 0..<shape.frames, threads: 1), three = try? segment.samples(of: 0..<shape.frames, threads: 3)
    demand(one == three && one?.allSatisfy { $0.count == 720 } ?? true, "frames do not depend on threads")
  }
  return 0
}
