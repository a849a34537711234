import Coding

extension NetworkSegments {
  /// What this build fits.
  package static let fits = SegmentFits(
    start: { _, settings in throw missing(settings.codec) }, resume: { _, settings, _ in throw missing(settings.codec) }, open: open)

  private static func missing(_ codec: VideoEncoder.Codec) -> CodecError {
    CodecError(.unsupported, "this build does not fit videos by \(codec.rawValue) yet.")
  }
}
