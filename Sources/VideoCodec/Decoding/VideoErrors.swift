import Coding

extension CodecError {
  static func damagedVideo(_ reason: String) -> CodecError { CodecError(.malformed, "the file's video is damaged: \(reason).") }
}
