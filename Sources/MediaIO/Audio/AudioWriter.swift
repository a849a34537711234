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
  private let bits: Int
  private let muxer: Muxer
  private let encoder: AudioFrameEncoder
  private let resampler: AudioResampler?
  /// What has not filled an encoder's frame yet, [channel][frame].
  private var queue: [[Float]]
  private var clipped = 0

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
    bits = options.samples.bits
    if file == .flac, options.samples == .float32 {
      throw MediaIOError(.unsupported, at: name, "FLAC holds integers of 16 or 24 bits, no floats")
    }
    if file.needsPlaces, !output.takesPlaces {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) needs a file, as its beginning is written last")
    }
    let isSeekable = output.takesPlaces
    muxer = try Muxer(output, named: name, container: file.container)
    encoder = try AudioFrameEncoder(muxer.library, file, format, options, named: name)
    writtenFormat = encoder.format
    resampler = encoder.format.sampleRate == format.sampleRate ? nil : try AudioResampler(format, to: encoder.format.sampleRate)
    queue = [[Float]](repeating: [], count: format.layout.count)
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
    try enqueue(resampler?.convert(buffer) ?? buffer)
  }

  /// Ends the file and gives it its name. Throws `MediaIOError`; then the target is as it was.
  package func finish() throws {
    if let resampler { try enqueue(resampler.finish()) }
    if !queue[0].isEmpty { try encode(queue, 0..<queue[0].count) }
    try send(nil)
    let status = library.writeTrailer(muxer.context)
    guard status >= 0 else { throw failure(status) }
    try muxer.commit()
    if clipped > 0 { notices.append("\(clipped) samples beyond full scale were clipped") }
  }

  private func enqueue(_ buffer: AudioBuffer) throws {
    for channel in queue.indices { queue[channel] += buffer.samples[channel] }
    let size = encoder.frameSize
    let whole = queue[0].count / size * size
    for start in stride(from: 0, to: whole, by: size) { try encode(queue, start..<(start + size)) }
    if whole > 0 { for channel in queue.indices { queue[channel].removeFirst(whole) } }
  }

  private func encode(_ samples: [[Float]], _ range: Range<Int>) throws {
    guard let frame = encoder.frame(range.count) else { throw failure(-ENOMEM) }
    guard let beyond = AudioSamples.fill(frame, with: samples, range: range, bits: bits) else {
      throw MediaIOError(.unsupported, at: name, "its encoder takes samples of libav's format \(frame.pointee.format)")
    }
    clipped += beyond
    try send(frame)
  }

  /// Nil: there is no more.
  private func send(_ frame: UnsafeMutablePointer<AVFrame>?) throws {
    let av = library.av
    var status = av.sendFrame(encoder.context, frame)
    guard status >= 0 else { throw failure(status) }
    while let packet = encoder.packet {
      status = av.receivePacket(encoder.context, packet)
      if status == -EAGAIN || status == LibAVFormat.end { return }
      guard status >= 0, let stream = muxer.context.pointee.streams[0], let coded = encoder.context else { throw failure(status) }
      library.rescale(packet, coded.pointee.time_base, stream.pointee.time_base)
      packet.pointee.stream_index = 0
      status = library.writeFrame(muxer.context, packet)
      av.clearPacket(packet)
      guard status >= 0 else { throw failure(status) }
    }
  }

  private func failure(_ status: Int32) -> MediaIOError {
    if let failure = muxer.failure { return failure }
    return MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libav: \(library.av.reason(status))")
  }
}
