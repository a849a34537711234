import CLibAV
import Glibc
import Media

/// Writes frames to a file, with sound that was copied; it appears whole with `finish()` or not at all (`AtomicFile`). The counterpart of
/// `VideoReader`.
///
/// Times are exact in MP4 and MOV, steady or not (of unsteady ones the last frame's duration may be lost); Matroska and WebM count in ms, and each
/// time is rounded. AVI and Y4M have a rate and no times: frames that do not come at a steady rate are refused. Numbered pictures have neither.
/// Rotation is written where a file can say it (MP4, MOV); elsewhere frames are turned before they are coded. Where sound begins before the video
/// or in the midst of a packet, MP4 and MOV leave out what is not to be heard; the others cannot, and all that was decoded is heard.
///
/// Without an encoder of the caller's, H.264 (in WebM VP9) at a quality whose loss is not seen, with 4:2:0, which ordinary players play.
package final class VideoWriter: FrameSink {
  package struct Options: Sendable {
    /// Nil: the file's `defaultEncoder`.
    package var encoding: VideoEncoding?
    /// Sound that will be appended, packet by packet.
    package var soundTracks: [CopiedTrack] = []
    package var overwrite = false

    package init() {}
  }

  package let format: VideoFormat
  /// One line each.
  package private(set) var notices: [String] = []
  /// Frames that came in.
  package private(set) var frames = 0
  /// Of the file, and of the video's packets alone (of Y4M and pictures all).
  package var byteCount: Int { pictures?.byteCount ?? muxed?.muxer.byteCount ?? 0 }
  package private(set) var videoBytes = 0

  private let name: String
  private let file: VideoFileFormat
  /// One of them is there until `finish`.
  private var pictures: PictureSequenceWriter?
  private var muxed: MuxedVideo?
  private var lastTime: Int64?

  /// Opens the file, so that what cannot be written is known before any work. The path "-" is standard output; a `file` of `.pictures` takes a
  /// name with a number in it (`NumberedNames`), and numbers from 1.
  ///
  /// Throws `MediaIOError`: `unsupported` for an encoder that is not there, an option or size that it refuses, sound or codecs that the file cannot
  /// hold; `exists`, `system`.
  package init(_ path: String, as file: VideoFileFormat, format: VideoFormat, options: Options = Options()) throws {
    name = path == "-" ? "standard output" : path
    (self.format, self.file) = (format, file)
    if file == .pictures {
      guard options.soundTracks.isEmpty else { throw MediaIOError(.unsupported, at: name, "pictures cannot hold sound") }
      if let encoding = options.encoding, encoding.encoder != file.defaultEncoder {
        throw MediaIOError(.unsupported, at: name, "pictures are written as PNG, not by \(encoding.encoder)")
      }
      guard let names = NumberedNames(path) else { throw MediaIOError(.unsupported, at: name, "the name has no place for a number, such as %04d") }
      pictures = PictureSequenceWriter(names, overwrite: options.overwrite)
      return
    }
    let output = try AtomicFile(path, overwrite: options.overwrite)
    if file.needsPlaces, !output.takesPlaces {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) needs a file, as its beginning is written last; mkv, webm and y4m do not")
    }
    muxed = try MuxedVideo(output, file, format, options, named: name)
    notices = muxed!.notices
  }

  /// Takes a frame of the format's size, whose time comes after the one before and is not negative. Throws `MediaIOError`.
  package func append(_ frame: VideoFrame) throws {
    precondition(frame.width == format.width && frame.height == format.height, "of the size that this was made for")
    guard frame.time > lastTime ?? -1 else {
      throw MediaIOError(.unsupported, at: name, "frame \(frames) begins at \(frame.time), the one before at \(lastTime ?? 0)")
    }
    lastTime = frame.time
    let shown = file.holdsRotation ? frame : frame.turned(format.rotation)
    if let pictures {
      try pictures.append(shown)
    } else {
      guard let muxed else { preconditionFailure("nothing comes after finish()") }
      try muxed.append(shown, number: frames)
      videoBytes = muxed.videoBytes
    }
    frames += 1
  }

  /// Takes a packet of `Options.soundTracks[track]`, in the order of its times. Packets of sound and frames may come in any order; with less
  /// than ten seconds between them they lie beside each other in the file. Throws `MediaIOError`.
  package func append(_ packet: CopiedPacket, track: Int) throws {
    guard let muxed else { preconditionFailure("nothing comes after finish()") }
    try muxed.append(packet, track: track)
  }

  /// Ends the file and gives it its name. Throws `MediaIOError`, `empty` where there was no frame; then the target is as it was.
  package func finish() throws {
    guard frames > 0 else { throw MediaIOError(.empty, at: name, "a video has at least one frame") }
    if let muxed {
      try muxed.finish()
      videoBytes = file == .y4m ? byteCount : muxed.videoBytes
    }
    if let pictures {
      pictures.isFinished = true
      videoBytes = pictures.byteCount
    }
  }
}

/// Video and sound on their way into a file of libavformat's.
private final class MuxedVideo {
  let muxer: Muxer
  private(set) var notices: [String]
  private(set) var videoBytes = 0
  private let name: String
  private let file: VideoFileFormat
  private let format: VideoFormat
  private let encoding: VideoEncoding
  private let turned: VideoFormat
  private let options: VideoWriter.Options
  /// Of files without times: frames a second.
  private var steadyRate: Rational?
  /// From the first frame on, whose duration tells the rate where the format does not.
  private var encoder: VideoFrameEncoder?
  private var stream: UnsafeMutablePointer<AVStream>?
  private var sound: [SoundMuxing] = []
  private var space: UnsafeMutablePointer<AVPacket>?
  /// The first frame's, in files without times.
  private var origin: Int64 = 0
  /// Sound that came before the first frame.
  private var early: [(packet: CopiedPacket, track: Int)] = []

  private var library: LibAVFormat { muxer.library }

  init(
    _ output: consuming AtomicFile, _ file: VideoFileFormat, _ format: VideoFormat, _ options: VideoWriter.Options, named name: String
  ) throws {
    (self.file, self.format, self.options, self.name) = (file, format, options, name)
    var encoding = try options.encoding ?? VideoEncoding(file.defaultEncoder)
    if encoding.encoder == "rawvideo", file == .y4m || file == .avi {
      // Raw R, G and B in AVI stand on their heads or not, by who reads them.
      if encoding.sampling == .rgb { throw MediaIOError(.unsupported, at: name, "\(file.rawValue) is not written with raw samples of rgb") }
      encoding.sampling = encoding.sampling ?? (file == .y4m ? .c444 : .c420)
    }
    if file == .y4m {
      guard encoding.encoder == "rawvideo" else {
        throw MediaIOError(.unsupported, at: name, "y4m cannot hold what \(encoding.encoder) makes, only rawvideo")
      }
      // Its muxer is handed whole frames.
      encoding.encoder = "wrapped_avframe"
    }
    self.encoding = encoding
    var turned = format
    notices = []
    if !file.holdsRotation, format.rotation != .none {
      let ratio = format.sampleAspectRatio
      turned = try VideoFormat(
        width: format.shownWidth, height: format.shownHeight, timeBase: format.timeBase, frameRate: format.frameRate,
        sampleAspectRatio: format.rotation.isSideways ? ratio.reciprocal : ratio, colour: format.colour, sourceBitDepth: format.sourceBitDepth)
      notices.append("\(file.rawValue) cannot say that pictures are to be turned: they were turned by \(format.rotation.rawValue) degrees")
    }
    self.turned = turned
    muxer = try Muxer(output, named: name, container: file.container)
    space = muxer.library.av.allocatePacket()
    guard space != nil else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    // Refusals come before any work, so all is set up with the rate that is known so far.
    if format.frameRate != nil || !file.hasSteadyRate { try start(format.frameRate) }
  }

  deinit { muxer.library.av.freePacket(&space) }

  /// Sets up the encoder and writes the header.
  private func start(_ rate: Rational?) throws(MediaIOError) {
    let context = muxer.context
    if file.hasSteadyRate { steadyRate = rate }
    let timeBase = steadyRate?.reciprocal ?? format.timeBase
    let global = context.pointee.oformat.pointee.flags & AVFMT_GLOBALHEADER != 0
    let encoder = try VideoFrameEncoder(
      library, turned, encoding, timeBase: timeBase, frameRate: rate, isInContainer: global, allowsReordering: file != .avi, named: name)
    notices += encoder.notices
    self.encoder = encoder
    let codec = encoder.context.pointee.codec_id
    guard library.queryCodec(context.pointee.oformat, codec, 0) != 0 else {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) cannot hold \(library.name(of: codec))")
    }
    guard let stream = library.newStream(context, nil) else { throw failure(-ENOMEM) }
    self.stream = stream
    var status = library.parametersFromContext(stream.pointee.codecpar, encoder.context)
    guard status >= 0 else { throw failure(status) }
    stream.pointee.time_base = encoder.context.pointee.time_base
    stream.pointee.sample_aspect_ratio = encoder.context.pointee.sample_aspect_ratio
    if let rate {
      let frames = AVRational(num: Int32(rate.numerator), den: Int32(rate.denominator))
      (stream.pointee.avg_frame_rate, stream.pointee.r_frame_rate) = (frames, frames)
    }
    // The name by which Apple's players know it.
    if codec == AV_CODEC_ID_HEVC, file == .mp4 || file == .mov { stream.pointee.codecpar.pointee.codec_tag = 0x3163_7668 }
    if file.holdsRotation, format.rotation != .none {
      guard let memory = library.newStreamSideData(stream, AV_PKT_DATA_DISPLAYMATRIX, 36) else { throw failure(-ENOMEM) }
      for (i, entry) in format.rotation.displayMatrix(width: format.width, height: format.height).enumerated() {
        UnsafeMutableRawPointer(memory).storeBytes(of: entry, toByteOffset: 4 * i, as: Int32.self)
      }
    }
    for track in options.soundTracks { sound.append(try SoundMuxing(track, muxer, file, named: name)) }
    var extras: OpaquePointer?
    // Edit lists that begin and end at a sample.
    if file.holdsRotation {
      _ = library.setDictionaryEntry(&extras, "movie_timescale", "\(options.soundTracks.first?.sampleRate ?? timeBase.denominator)", 0)
      // FLAC, and Opus in older versions, which players play.
      context.pointee.strict_std_compliance = -2
    }
    status = library.writeHeader(context, &extras)
    library.freeDictionary(&extras)
    guard status >= 0 else { throw failure(status) }
  }

  func append(_ frame: VideoFrame, number: Int) throws(MediaIOError) {
    if encoder == nil { try startByFirst(frame) }
    var (time, duration) = (frame.time, max(1, frame.duration))
    if let steadyRate {
      if number == 0 { origin = frame.time }
      // Within half a tick, which is what rounding of times does, or a twentieth of a frame.
      let place = Double(frame.time - origin) * format.timeBase.value * steadyRate.value
      guard abs(place - Double(number)) <= max(0.05, 0.5 * format.timeBase.value * steadyRate.value + 1e-6) else {
        throw MediaIOError(
          .unsupported, at: name,
          "\(file.rawValue) has a steady rate, \(steadyRate) frames a second, and frame \(number) does not come at it; mp4, mov and mkv have times")
      }
      (time, duration) = (Int64(number), 1)
    }
    try encoder!.encode(frame, time: time, duration: duration) { packet throws(MediaIOError) in try write(packet) }
  }

  private func startByFirst(_ frame: VideoFrame) throws(MediaIOError) {
    let ticks = format.timeBase.numerator.multipliedReportingOverflow(by: Int(clamping: frame.duration))
    guard !ticks.overflow, let rate = Rational(exactly: format.timeBase.denominator, ticks.partialValue)?.reduced else {
      throw MediaIOError(.unsupported, at: name, "\(file.rawValue) needs a rate, and the first frame lasts \(frame.duration) ticks")
    }
    try start(rate)
    for (packet, track) in early { try append(packet, track: track) }
    early = []
  }

  func append(_ packet: CopiedPacket, track: Int) throws(MediaIOError) {
    guard encoder != nil else {
      early.append((packet, track))
      return
    }
    guard let space else { return }
    try sound[track].write(packet, through: space, muxer, named: name)
  }

  private func write(_ packet: UnsafeMutablePointer<AVPacket>) throws(MediaIOError) {
    guard let stream, let encoder else { return }
    // Y4M's are frames in memory.
    if file != .y4m { videoBytes += Int(packet.pointee.size) }
    library.rescale(packet, encoder.context.pointee.time_base, stream.pointee.time_base)
    packet.pointee.stream_index = stream.pointee.index
    let status = library.writeInterleaved(muxer.context, packet)
    guard status >= 0 else { throw failure(status) }
  }

  func finish() throws(MediaIOError) {
    try encoder!.encode(nil) { packet throws(MediaIOError) in try write(packet) }
    let status = library.writeTrailer(muxer.context)
    guard status >= 0 else { throw failure(status) }
    try muxer.commit()
  }

  private func failure(_ status: Int32) -> MediaIOError {
    if let failure = muxer.failure { return failure }
    return MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libavformat: \(library.av.reason(status))")
  }
}
