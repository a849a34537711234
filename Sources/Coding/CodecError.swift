import Bitstream

/// Why something could not be encoded or decoded. Equal by code.
public struct CodecError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: String, Sendable {
    /// The bytes are not a readable `.ncb` file of this version.
    case malformed
    /// The file needs a codec, model or feature that this build lacks.
    case unsupported
    /// More pixels, elements or memory than the options allow.
    case limitExceeded
    /// The file has no picture.
    case noImage
    /// An option's value makes no sense.
    case invalidOption
    /// The operating system refused: no such file, no permission, disk full.
    case inputOutput
  }

  public let code: Code
  /// What was wrong, where, and what to do about it.
  public let description: String

  package init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }

  public static func == (a: CodecError, b: CodecError) -> Bool { a.code == b.code }
}

extension CodecError {
  package init(_ error: BitstreamError) {
    let code: Code =
      switch error.code {
      case .limitExceeded: .limitExceeded
      case .unsupportedMajor, .unknownCriticalChunk: .unsupported
      case .inputOutput: .inputOutput
      default: .malformed
      }
    self.init(code, error.description)
  }
}
