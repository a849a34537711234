import CLibAV
import Glibc
import Media

/// Reads the sound of a file or a pipe, piece by piece, in whatever format libavformat and libavcodec know.
///
/// Encoders' delay and padding are left out, so that the sound begins and ends where its maker's did. Integers of n bits
/// are divided by 2^(n - 1); floats are taken as they are, beyond full scale too, but refused where they are not finite. What
/// is cut short, or damaged in its midst, is used as far as it goes, and `notices` says so.
package final class AudioReader {
  package let format: AudioFormat
  /// What the file says about the sound, in order, without what only concerned its container. No key comes twice.
  package let tags: [AudioTag]
  /// libavformat's name of the container and libavcodec's of the codec, such as "ogg" and "opus".
  package let container: String
  package let codec: String
  /// Bits per sample of the source where its codec is lossless; nil for others.
  package let sourceBits: Int?
  /// How long the file says it is, which may be an estimate; for telling progress.
  package let expectedFrames: Int?
  /// Frames that `next` has given.
  package private(set) var frames = 0
  /// One line each about what was left out; all of them are there when `next` has given nil.
  package private(set) var notices: [String]

  private let demuxer: Demuxer
  private let decoder: AudioFrameDecoder
  /// One frame is held back, as the last one may be longer than the sound.
  private var pending: DecodedAudio?
  private var isEnded = false
  /// Where the sound ends, if the demuxer does not cut there.
  private let end: Int?

  /// Opens a file, or standard input for "-"; `start` are bytes that were read from a pipe before.
  ///
  /// Throws `MediaIOError`: `unknownFormat`, `noAudio`, `unsupported` (a codec that is not there, a rate or channels beyond what
  /// `AudioFormat` takes), `empty` for no sample at all, `damaged`, `system`.
  package init(_ path: String, after start: [UInt8] = []) throws {
    var demuxer = try Demuxer(MediaInput(path, after: start))
    let name = demuxer.input.name
    let library = demuxer.library
    container = demuxer.container
    let number = library.findBestStream(demuxer.context, AVMEDIA_TYPE_AUDIO, -1, -1, nil, 0)
    let pictures = demuxer.streams.filter(\.isMovingPicture).map { library.name(of: $0.pointee.codecpar.pointee.codec_id) }
    guard number >= 0 else {
      if let picture = pictures.first {
        throw MediaIOError(.noAudio, at: name, "has video (\(picture)) and no sound")
      }
      throw MediaIOError(.unknownFormat, at: name, "has no sound that libav can read (\(container))")
    }
    // Vorbis' first packet counts in the sum, though nothing comes of it: libavcodec would cut as much from the end.
    let isVorbis = container == "ogg" && demuxer.streams[Int(number)].pointee.codecpar.pointee.codec_id == AV_CODEC_ID_VORBIS
    var ending: AudioFrameDecoder.Ending = isVorbis ? .sum(afterSkipping: 0) : .lastPacket
    if container == "mov", demuxer.input.byteCount != nil, let edits = try RoundedEdits(demuxer, path, track: Int(number)) {
      (demuxer, ending) = (edits.demuxer, .sum(afterSkipping: edits.delay))
    }
    self.demuxer = demuxer
    let context = demuxer.context
    let stream = demuxer.streams[Int(number)]
    let parameters = stream.pointee.codecpar.pointee
    self.codec = library.name(of: parameters.codec_id)
    var codec: UnsafePointer<AVCodec>?
    let status = library.findBestStream(context, AVMEDIA_TYPE_AUDIO, number, -1, &codec, 0)
    guard status >= 0, let codec else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec has no decoder for \(self.codec)")
    }
    for (i, other) in demuxer.streams.enumerated() where i != Int(number) { other.pointee.discard = AVDISCARD_ALL }
    var notices: [String] = []
    if let picture = pictures.first { notices.append("its video (\(picture)) was left out: only its sound is coded") }
    let sounds = demuxer.streams.count { $0.pointee.codecpar.pointee.codec_type == AVMEDIA_TYPE_AUDIO }
    if sounds > 1 { notices.append("of \(sounds) sound tracks the best was read, number \(number)") }
    tags = AudioTags.read(context.pointee.metadata, stream.pointee.metadata, library, &notices)

    decoder = try AudioFrameDecoder(demuxer, stream, codec, ending)
    // The first frame says for sure what headers may leave open.
    let first = try decoder.next()
    guard let first, let layout = first.layout, first.sampleRate > 0 else {
      let (damaged, codec) = (decoder.damagedPackets, self.codec)
      if damaged > 0 { throw MediaIOError(.damaged, at: name, "nothing of its \(codec) could be decoded") }
      throw MediaIOError(.empty, at: name, "its sound has no samples")
    }
    do {
      format = try AudioFormat(
        sampleRate: first.sampleRate, layout: ChannelLayout(count: Int(layout.nb_channels), mask: layout.knownMask))
    } catch { throw MediaIOError(.unsupported, at: name, "\(error)") }
    if layout.knownMask == 0, layout.order != AV_CHANNEL_ORDER_UNSPEC {
      notices.append("which channel is which (\(library.name(of: layout))) was not kept")
    }
    pending = first
    end = container == "mp3" ? GaplessMP3.samples(demuxer.input.head) : nil
    let bits = parameters.bits_per_raw_sample > 0 ? parameters.bits_per_raw_sample : parameters.bits_per_coded_sample
    let isLossless = self.codec.hasPrefix("pcm_") || ["flac", "alac", "wavpack", "ape", "tta"].contains(self.codec)
    sourceBits = isLossless && bits > 0 ? Int(bits) : nil
    expectedFrames = end ?? demuxer.expectedFrames(stream, sampleRate: first.sampleRate)
    self.notices = notices
  }

  /// The next piece of the sound, at least one frame of `format`; nil at its end.
  ///
  /// Throws `MediaIOError`: `damaged` for samples that are not finite, `unsupported` where rate or channels change on the way,
  /// `system`.
  package func next() throws -> AudioBuffer? {
    while !isEnded {
      let fresh = try decoder.next()
      guard var current = pending else { break }
      pending = fresh
      if fresh == nil { current.cut(to: decoder.length(ofLast: current)) }
      if let end { current.cut(to: max(0, end - frames)) }
      guard let buffer = try checked(current) else { continue }
      frames += buffer.frames
      return buffer
    }
    if !isEnded {
      isEnded = true
      addNoticesOfTheEnd()
    }
    return nil
  }

  private func checked(_ audio: DecodedAudio) throws -> AudioBuffer? {
    let name = demuxer.input.name
    if audio.samples[0].isEmpty { return nil }
    guard audio.sampleRate == format.sampleRate, audio.samples.count == format.layout.count else {
      throw MediaIOError(
        .unsupported, at: name,
        "after \(frames) samples it changes from \(format.sampleRate) Hz and \(format.layout.count) channels to \(audio.sampleRate) Hz and \(audio.samples.count)")
    }
    for (channel, plane) in audio.samples.enumerated() {
      // Multiplying by 0 makes NaN of all that is not finite, and NaN stays in the sum.
      if !(plane.reduce(0) { $0 + $1 * 0 }).isNaN { continue }
      let at = frames + (plane.firstIndex { !$0.isFinite } ?? 0)
      throw MediaIOError(.damaged, at: name, "sample \(at) of channel \(channel) is not a finite number")
    }
    return try AudioBuffer(format: format, samples: audio.samples)
  }

  private func addNoticesOfTheEnd() {
    let damaged = decoder.damagedPackets
    if damaged > 0 { notices.append("\(damaged) damaged \(damaged == 1 ? "packet was" : "packets were") left out") }
    let missing = container == "wav" ? demuxer.input.missingWaveBytes : 0
    if let reason = decoder.earlyEnd {
      notices.append("it ends early (\(reason)); the \(frames) samples before that were used")
    } else if missing > 0 {
      notices.append("it is cut short by \(missing) bytes; the \(frames) samples before that were used")
    } else if let expectedFrames, demuxer.saysLengthExactly, frames < expectedFrames {
      notices.append("it is cut short: \(frames) samples of \(expectedFrames) are there and were used")
    }
  }
}

extension AVChannelLayout {
  /// 0 where the channels' order is not said, or not by loudspeakers. One and two channels are mono and stereo then.
  fileprivate var knownMask: UInt64 {
    switch order {
    case AV_CHANNEL_ORDER_NATIVE: u.mask.nonzeroBitCount == Int(nb_channels) ? u.mask : 0
    case AV_CHANNEL_ORDER_UNSPEC: nb_channels == 1 ? ChannelLayout.mono.mask : nb_channels == 2 ? ChannelLayout.stereo.mask : 0
    default: 0
    }
  }
}

extension UnsafeMutablePointer<AVStream> {
  /// Not a cover.
  var isMovingPicture: Bool {
    pointee.codecpar.pointee.codec_type == AVMEDIA_TYPE_VIDEO && pointee.disposition & AV_DISPOSITION_ATTACHED_PIC == 0
  }
}

extension Demuxer {
  /// Of the containers whose header counts samples.
  fileprivate var saysLengthExactly: Bool {
    ["wav", "w64", "aiff", "caf", "flac"].contains(String(cString: context.pointee.iformat.pointee.name))
  }

  fileprivate func expectedFrames(_ stream: UnsafeMutablePointer<AVStream>, sampleRate: Int) -> Int? {
    let base = stream.pointee.time_base
    var seconds = -1.0
    if stream.pointee.duration > 0, base.den > 0 {
      seconds = Double(stream.pointee.duration) * Double(base.num) / Double(base.den)
    } else if context.pointee.duration > 0 {
      seconds = Double(context.pointee.duration) / Double(AV_TIME_BASE)
    }
    let frames = (seconds * Double(sampleRate)).rounded()
    return frames > 0 && frames < 1e15 ? Int(frames) : nil
  }
}
