import CLibAV
import Glibc
import Media

/// Decodes a copied track's packets to samples from time 0 on.
///
/// What is to be skipped is left out, as is sound before time 0; before sound that begins later, and in gaps, there is silence. Times that differ
/// from the samples' count by less than a twentieth of a second are rounding and change nothing. Packets that cannot be decoded are counted.
package final class CopiedSoundDecoder {
  package let format: AudioFormat
  /// That were given: the next one is of that number.
  package private(set) var frames = 0
  package private(set) var damagedPackets = 0

  private let track: CopiedTrack
  private let name: String
  private let library: LibAVFormat
  private var context: UnsafeMutablePointer<AVCodecContext>?
  private var packet: UnsafeMutablePointer<AVPacket>?
  private var frame: UnsafeMutablePointer<AVFrame>?
  /// Of packets whose samples are to come.
  private var skips: [(time: Int64, start: Int, end: Int)] = []

  package typealias Receiver = (AudioBuffer) throws -> Void

  /// `name`: of the file, for errors. Throws `MediaIOError` (unsupported) for a codec that is not there.
  package init(_ track: CopiedTrack, named name: String) throws {
    (self.track, self.name) = (track, name)
    library = try LibAVFormat.load()
    let layout = track.layout.mask != 0 ? track.layout : track.layout.count == 1 ? .mono : track.layout.count == 2 ? .stereo : track.layout
    format = try AudioFormat(sampleRate: track.sampleRate, layout: layout)
    let av = library.av
    guard let descriptor = library.codecNamed(track.codec), let codec = av.findDecoder(descriptor.pointee.id) else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec has no decoder for its sound's codec \(track.codec)")
    }
    context = av.allocateContext(codec)
    packet = av.allocatePacket()
    frame = av.allocateFrame()
    var parameters = library.allocateParameters()
    defer { library.freeParameters(&parameters) }
    guard let context, let parameters, packet != nil, frame != nil, track.fill(parameters, descriptor.pointee.id, library) else {
      throw MediaIOError(.outOfMemory, at: name, "no memory")
    }
    var status = library.contextFromParameters(context, parameters)
    guard status >= 0 else { throw failure(status) }
    context.pointee.pkt_timebase = AVRational(num: Int32(track.timeBase.numerator), den: Int32(track.timeBase.denominator))
    context.pointee.thread_count = 1
    // The packets themselves say what is to be skipped.
    context.pointee.flags2 |= AV_CODEC_FLAG2_SKIP_MANUAL
    status = av.open(context, codec, nil)
    guard status >= 0 else { throw failure(status) }
  }

  deinit {
    library.av.freeContext(&context)
    library.av.freePacket(&packet)
    library.av.freeFrame(&frame)
  }

  /// Takes the next packet; `receive` gets what is known with it. Throws `MediaIOError` (unsupported) where rate or channels change, and what
  /// `receive` throws.
  package func decode(_ copied: CopiedPacket, _ receive: Receiver) throws {
    guard let packet, copied.fill(packet, library) >= 0 else { throw failure(-ENOMEM) }
    defer { library.av.clearPacket(packet) }
    skips.append((copied.time, copied.skippedAtStart, copied.skippedAtEnd))
    // Decoders hold back a few packets; what no sample came of is forgotten.
    if skips.count > 256 { skips.removeFirst(128) }
    let status = library.av.sendPacket(context, packet)
    if status == -ENOMEM { throw failure(status) }
    if status < 0 { damagedPackets += 1 }
    try take(receive)
  }

  /// What decoders hold back. Nothing can be decoded after it.
  package func finish(_ receive: Receiver) throws {
    _ = library.av.sendPacket(context, nil)
    try take(receive)
  }

  private func take(_ receive: Receiver) throws {
    while let frame {
      let status = library.av.receiveFrame(context, frame)
      switch status {
      case 0...: try place(frame, receive)
      case -ENOMEM: throw failure(status)
      case -EAGAIN, LibAVFormat.end: return
      default:
        damagedPackets += 1
        return
      }
    }
  }

  private func place(_ frame: UnsafeMutablePointer<AVFrame>, _ receive: Receiver) throws {
    let (rate, channels) = (Int(frame.pointee.sample_rate), Int(frame.pointee.ch_layout.nb_channels))
    guard rate == format.sampleRate, channels == format.layout.count else {
      throw MediaIOError(
        .unsupported, at: name,
        "its sound changes from \(format.sampleRate) Hz and \(format.layout.count) channels to \(rate) Hz and \(channels) after \(frames) samples")
    }
    guard let samples = AudioSamples.floats(of: frame, channels: channels) else {
      throw MediaIOError(.unsupported, at: name, "samples of libav's format \(frame.pointee.format)")
    }
    let time = frame.pointee.pts
    var start = frames
    if time != LibAVFormat.noTime {
      guard let place = track.timeBase.rescale(time, to: Rational(exactly: 1, rate) ?? .one), abs(place) < 1 << 50 else {
        throw MediaIOError(.damaged, at: name, "a packet of sound at \(time) ticks is behind the end of any video")
      }
      start = Int(place)
    }
    let length = samples[0].count
    var (first, end) = (0, length)
    if let found = skips.firstIndex(where: { $0.time == time }) {
      first = min(skips[found].start, length)
      end = max(first, length - skips[found].end)
      skips.removeFirst(found + 1)
    }
    start += first
    if frames > 0, abs(start - frames) <= rate / 20 { start = frames }
    guard start - frames <= 86_400 * rate else {
      throw MediaIOError(.damaged, at: name, "there is a gap of more than a day in its sound, after \(frames) samples")
    }
    first = min(end, first + max(0, frames - start))
    if first == end { return }
    while start > frames {
      let count = min(start - frames, rate)
      try give([[Float]](repeating: [Float](repeating: 0, count: count), count: channels), receive)
    }
    try give(samples.map { Array($0[first..<end]) }, receive)
  }

  private func give(_ samples: [[Float]], _ receive: Receiver) throws {
    frames += samples[0].count
    try receive(AudioBuffer(format: format, samples: samples))
  }

  private func failure(_ status: Int32) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .damaged, at: name, "libavcodec, sound: \(library.av.reason(status))")
  }
}
