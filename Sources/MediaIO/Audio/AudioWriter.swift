import CLibAV
import Glibc
import Media

/// Writes sound to a file, piece by piece; it appears whole with `finish()` or not at all (`AtomicFile`). The counterpart of
/// `AudioReader`.
///
/// Where a format lacks the sound's sample rate or order of channels, the nearest that it has is taken and `notices` says so.
/// Integers are rounded to nearest, without dither; what lies beyond full scale is clipped there.
package final class AudioWriter {
  package struct Options: Sendable {
    /// In files without loss. FLAC takes no floats.
    package var samples = AudioSampleFormat.int16
    /// 1000 bits a second, in files with loss; nil: 96 a channel, of MP3 128 or 256.
    package var kbps: Double?
    /// Each format keeps those that it has a place for.
    package var tags: [AudioTag] = []
    package var overwrite = false

    package init() {}
  }

  /// What is appended.
  package let format: AudioFormat
  /// What the file has.
  package let writtenFormat: AudioFormat
  /// One line each; the last of them come with `finish()`.
  package private(set) var notices: [String] = []
  /// Frames that came in.
  package private(set) var frames = 0
  package var byteCount: Int { muxer.byteCount }

  private let name: String
  private let muxer: Muxer
  private let packets: AudioPacketEncoder

  private var library: LibAVFormat { muxer.library }

  /// Opens the file, so that what cannot be written is known before any work. The path "-" is standard output.
  ///
  /// Throws `MediaIOError`: `unsupported` for sound that the format cannot hold, `exists`, `system`.
  package convenience init(_ path: String, as file: AudioFileFormat, format: AudioFormat, options: Options = Options()) throws {
    try self.init(
      AtomicFile(path, overwrite: options.overwrite), named: path == "-" ? "standard output" : path, as: file, format: format,
      options: options)
  }

  package init(
    _ output: consuming AtomicFile, named name: String, as file: AudioFileFormat, format: AudioFormat, options: Options = Options()
  ) throws {
    (self.name, self.format) = (name, format)
    if file == .flac, options.samples == .float32 {
      throw MediaIOError(.unsupported, at: name, "FLAC holds integers of 16 or 24 bits, no floats")
    }
    if file.needsPlaces, !output.takesPlaces {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) needs a file, as its beginning is written last")
    }
    let isSeekable = output.takesPlaces
    muxer = try Muxer(output, named: name, container: file.container)
    packets = try AudioPacketEncoder(muxer.library, file, format, options, named: name)
    let encoder = packets.encoder
    writtenFormat = encoder.format
    notices = encoder.notices

    let context = muxer.context
    guard let stream = library.newStream(context, nil) else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    var status = library.parametersFromContext(stream.pointee.codecpar, encoder.context)
    stream.pointee.time_base = AVRational(num: 1, den: Int32(encoder.format.sampleRate))
    for tag in options.tags {
      if status >= 0 { status = library.setDictionaryEntry(&context.pointee.metadata, tag.key, tag.value, 0) }
    }
    // Longer than 4 GiB, which only a file can be that has room left for that.
    var extras: OpaquePointer?
    if file == .wav, isSeekable, status >= 0 { status = library.setDictionaryEntry(&extras, "rf64", "auto", 0) }
    // Edit lists that end at a sample.
    if file == .m4a, status >= 0 { status = library.setDictionaryEntry(&extras, "movie_timescale", "\(encoder.format.sampleRate)", 0) }
    if status >= 0 { status = library.writeHeader(context, &extras) }
    library.freeDictionary(&extras)
    guard status >= 0 else { throw failure(status) }
  }

  /// Throws `MediaIOError`. Samples must be finite.
  package func append(_ buffer: AudioBuffer) throws {
    precondition(buffer.format == format, "of the format that this was made for")
    frames += buffer.frames
    try packets.append(buffer, write)
  }

  /// Ends the file and gives it its name. Throws `MediaIOError`; then the target is as it was.
  package func finish() throws {
    try packets.finish(write)
    let status = library.writeTrailer(muxer.context)
    guard status >= 0 else { throw failure(status) }
    try muxer.commit()
    if packets.clipped > 0 { notices.append("\(packets.clipped) samples beyond full scale were clipped") }
  }

  private func write(_ packet: UnsafeMutablePointer<AVPacket>) throws {
    guard let stream = muxer.context.pointee.streams[0], let coded = packets.encoder.context else { throw failure(-EINVAL) }
    library.rescale(packet, coded.pointee.time_base, stream.pointee.time_base)
    packet.pointee.stream_index = 0
    let status = library.writeFrame(muxer.context, packet)
    guard status >= 0 else { throw failure(status) }
  }

  private func failure(_ status: Int32) -> MediaIOError {
    if let failure = muxer.failure { return failure }
    return MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libav: \(library.av.reason(status))")
  }
}
