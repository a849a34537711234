import CLibAV

/// Whether a file has video, sound or both. For the choice of a reader; nothing is decoded but what headers leave open.
package struct MediaContents {
  package let hasVideo: Bool
  package let hasSound: Bool
  /// Of a pipe, all that was read, for the reader to begin with; of a file nothing.
  package let start: [UInt8]

  /// Looks into a file, or standard input for "-"; `start` are bytes that were read from a pipe before. Covers are no video.
  ///
  /// Throws `MediaIOError`: `unknownFormat`, `tooLarge`, `empty`, `system`.
  package init(_ path: String, after start: [UInt8] = []) throws(MediaIOError) {
    let limits = VideoReader.Options().limits
    let demuxer = try Demuxer(
      MediaInput(path, after: start, headSize: .max), for: "video or sound", codecOptions: [("max_pixels", "\(limits.maxCodedPixels)")], limits: limits)
    hasVideo = demuxer.streams.contains(where: \.isMovingPicture)
    hasSound = demuxer.streams.contains { $0.pointee.codecpar.pointee.codec_type == AVMEDIA_TYPE_AUDIO }
    self.start = demuxer.input.head
  }
}
