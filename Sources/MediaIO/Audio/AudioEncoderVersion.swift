import CLibAV

extension AudioWriter {
  /// What encodes a file's sound, such as "libavcodec 59.37.100, LAME 3.100". For measuring other codecs beside ours.
  ///
  /// Throws `MediaIOError` (unsupported) where libavcodec is not installed, or was built without that encoder.
  package static func encoderVersion(_ file: AudioFileFormat) throws(MediaIOError) -> String {
    let av = try LibAV.load()
    let name = file.encoder(.int16)
    guard av.findEncoderByName(name) != nil else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec (\(av.codecVersionText)) was built without the encoder")
    }
    typealias Text = @convention(c) () -> UnsafePointer<CChar>?
    /// Asked of the library itself.
    func text(_ function: String) -> String? { av.function(function, as: Text.self)?().map { String(cString: $0) } }
    let library: String? =
      switch name {
      case "libmp3lame": text("get_lame_version").map { "LAME \($0)" }
      case "libopus": text("opus_get_version_string")
      default: nil
      }
    return "libavcodec \(av.codecVersionText), \(library ?? name)"
  }
}
