import CLibAV
import Glibc
import Media

/// A copied track in an output of libavformat.
struct SoundMuxing {
  let track: CopiedTrack
  let stream: UnsafeMutablePointer<AVStream>
  private let library: LibAVFormat
  private let file: VideoFileFormat

  /// Before the header is written. Throws `MediaIOError` (unsupported) where the file cannot hold its codec.
  init(_ track: CopiedTrack, _ muxer: Muxer, _ file: VideoFileFormat, named name: String) throws(MediaIOError) {
    (self.track, self.file) = (track, file)
    library = muxer.library
    guard let descriptor = library.codecNamed(track.codec), descriptor.pointee.type == AVMEDIA_TYPE_AUDIO else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec does not know the sound's codec \(track.codec)")
    }
    guard file.holdsSound, library.queryCodec(muxer.context.pointee.oformat, descriptor.pointee.id, 0) != 0 else {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) cannot hold sound of \(track.codec)")
    }
    guard let stream = library.newStream(muxer.context, nil), let parameters = stream.pointee.codecpar else {
      throw MediaIOError(.outOfMemory, at: name, "no memory")
    }
    self.stream = stream
    guard track.fill(parameters, descriptor.pointee.id, library) else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    if !track.language.isEmpty { _ = library.setDictionaryEntry(&stream.pointee.metadata, "language", track.language, 0) }
    stream.pointee.time_base = AVRational(num: Int32(track.timeBase.numerator), den: Int32(track.timeBase.denominator))
  }

  /// Writes a packet through `space`, an empty packet. Throws `MediaIOError`.
  func write(
    _ packet: CopiedPacket, through space: UnsafeMutablePointer<AVPacket>, _ muxer: Muxer, named name: String
  ) throws(MediaIOError) {
    func failure(_ status: Int32) -> MediaIOError {
      muxer.failure
        ?? MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libavformat, sound: \(library.av.reason(status))")
    }
    var status = packet.fill(space, library)
    guard status >= 0 else { throw failure(status) }
    defer { library.av.clearPacket(space) }
    if file == .mkv || file == .webm, track.initialPadding > 0 {
      // Matroska's readers take a codec's delay off all times, which libavformat does not add.
      let delay = (Rational(exactly: 1, track.sampleRate) ?? .one).rescale(Int64(track.initialPadding), to: track.timeBase) ?? 0
      space.pointee.pts += delay
      space.pointee.dts += delay
    }
    let isCoarse = track.timeBase.value * Double(track.sampleRate) > 1.5
    if file.holdsRotation, isCoarse, packet.skippedAtEnd == 0 {
      // Rounded times, such as Matroska's ms, must not make the last packet end before its samples do.
      space.pointee.duration += 1
    }
    if packet.skippedAtEnd > 0 {
      if file.holdsRotation {
        // Their edit list ends where the last packet does.
        let perSample = Rational(exactly: 1, track.sampleRate) ?? .one
        space.pointee.duration = max(0, packet.duration - (perSample.rescale(Int64(packet.skippedAtEnd), to: track.timeBase) ?? 0))
      } else if let memory = library.newPacketSideData(space, AV_PKT_DATA_SKIP_SAMPLES, 10) {
        // Little-endian: samples at the beginning, at the end, and a reason each, which is not said.
        for i in 0..<10 { memory[i] = 0 }
        for i in 0..<4 { memory[4 + i] = UInt8(truncatingIfNeeded: packet.skippedAtEnd >> (8 * i)) }
      }
    }
    let own = AVRational(num: Int32(track.timeBase.numerator), den: Int32(track.timeBase.denominator))
    library.rescale(space, own, stream.pointee.time_base)
    space.pointee.stream_index = stream.pointee.index
    status = library.writeInterleaved(muxer.context, space)
    guard status >= 0 else { throw failure(status) }
  }
}
