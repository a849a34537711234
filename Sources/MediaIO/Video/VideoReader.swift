import Media

/// Reads the frames of a video, in the order and with the times in which they are shown, from whatever libavformat and libavcodec know, from
/// numbered pictures (`PictureSequence`), or from a pipe where its format allows.
///
/// Time 0 is where the earliest of video and sound begins, as players and ffmpeg have it, or where `Options.start` is. Times are the file's own
/// ticks (`FrameClock` says what becomes of missing ones), edit lists are followed, and each frame lasts until the next. The last one lasts as
/// long as its packet says, or else the nominal rate.
///
/// `Rotation` is kept as what it says in `format` and not applied; a matrix that mirrors or turns otherwise is left out, with a notice. Colours
/// become R'G'B' by the source's matrix and range; where no matrix is said, by `ColourDescription.resolvedMatrix`, and `format.colour` has what
/// was taken. Light is not mapped: frames of an HDR source have its transfer function. Interlaced frames stay woven. More than 8 bits are rounded
/// to 8; alpha is dropped, colours stay as they are stored. Frames whose size changes on the way are scaled to the first one's.
///
/// A few frames are in memory at a time, however long the video is.
package final class VideoReader: FrameSource {
  package struct Options: Sendable {
    /// Frames a second of streams without times (raw H.264 and HEVC, numbered pictures); nil: what the stream says of itself, or 25. Does
    /// nothing to files with times.
    package var rate: Rational?
    /// Seconds. Frames that begin earlier are left out, and times count from here, to the nearest tick.
    package var start = 0.0
    /// Seconds from `start`; nil: to the end. Frames that begin within are there.
    package var duration: Double?
    /// Pixels that frames are scaled to; nil: as they are.
    package var size: (width: Int, height: Int)?
    package var damage = DamagePolicy.skip
    package var limits = ImageLimits(maxPixels: 1 << 26)
    /// Whether sound is kept as packets, for `nextSoundPacket`.
    package var copiesSound = false
    /// Of libavcodec's decoder. More than one only where nothing is damaged: what is patched up may depend on it.
    package var threads = 1

    package init() {}
  }

  private let input: any VideoInput

  /// Opens a file, or standard input for "-"; `start` are bytes that were read from a pipe before. A path with `%d` or `%04d` names numbered
  /// pictures, unless there is a file of that very name.
  ///
  /// Throws `MediaIOError`: `unknownFormat`, `noVideo` (of sound alone too), `unsupported` (a codec that is not there, a matrix or pixels without
  /// conversion), `tooLarge`, before memory is taken for it, `empty` for no frame at all, `damaged`, `system`.
  package init(_ path: String, after start: [UInt8] = [], options: Options = Options()) throws {
    precondition((0...1e9).contains(options.start) && (options.duration ?? 1) > 0, "a stretch of time")
    if let pattern = NumberedNames(path), pattern.isNeeded {
      input = try PictureSequenceInput(pattern, options)
    } else {
      input = try VideoFileInput(path, after: start, options)
    }
  }

  package var format: VideoFormat { input.format }
  package var frameCount: Int? { input.frameCount }
  /// libavformat's name of the container and libavcodec's of the codec, such as "mov" and "h264"; "pictures" and their format.
  package var container: String { input.container }
  package var codec: String { input.codec }
  /// Tracks that `nextSoundPacket` gives packets of.
  package var soundTracks: [CopiedTrack] { input.soundTracks }
  /// Frames that `next` has given.
  package var frames: Int { input.frames }
  /// One line each about what was left out or changed; all of them are there when `next` has given nil.
  package var notices: [String] { input.notices }
  /// Packets that could not be decoded, and frames that the decoder patched up.
  package var damagedPackets: Int { input.damagedPackets }
  package var patchedFrames: Int { input.patchedFrames }

  package func next() throws -> VideoFrame? { try input.next() }

  /// The next packet of copied sound in the order of the file; nil where none has been met yet: after `next` has given nil, none is left.
  package func nextSoundPacket() -> (track: Int, packet: CopiedPacket)? { input.nextSoundPacket() }
}

/// What `VideoReader` reads.
protocol VideoInput: AnyObject {
  var format: VideoFormat { get }
  var frameCount: Int? { get }
  var container: String { get }
  var codec: String { get }
  var soundTracks: [CopiedTrack] { get }
  var frames: Int { get }
  var notices: [String] { get }
  var damagedPackets: Int { get }
  var patchedFrames: Int { get }
  func next() throws -> VideoFrame?
  func nextSoundPacket() -> (track: Int, packet: CopiedPacket)?
}
