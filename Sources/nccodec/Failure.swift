import Glibc
import MediaIO
import NeuralCodecs

/// Why a command failed: what, where, and what to do, in one line.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// `place` is the file that was worked on; it is left out where the error names it already.
  init(_ error: any Error, at place: String?) {
    switch error {
    case let failure as Failure: self = failure
    case let error as MediaIOError:
      let where_ = place.map { error.location == $0 ? "" : "\($0): " } ?? ""
      self.init(where_ + Self.sentence(error.description) + Self.advice(error))
    case let error as CodecError where error.code == .limitExceeded:
      // Its last sentence is about the library's options, which the command does not offer.
      let what = error.description.prefix(before: ". Raise ")
      self.init("\(place.map { "\($0): " } ?? "")\(what). Larger pictures need the library, whose limits are options.")
    case is CancellationError: self.init("\(place.map { "\($0): " } ?? "")cancelled")
    default:
      let sentence = Self.sentence("\(error)")
      self.init("\(place.map { sentence.hasPrefix("\($0): ") ? "" : "\($0): " } ?? "")\(sentence)")
    }
  }

  /// Runs `body` and turns what it throws into a `Failure` about `place`.
  static func about<R>(_ place: String, _ body: () throws -> R) throws(Failure) -> R {
    do { return try body() } catch { throw Failure(error, at: place) }
  }

  private static func sentence(_ text: String) -> String { text.hasSuffix(".") ? text : text + "." }

  private static func advice(_ error: MediaIOError) -> String {
    switch error.code {
    case .empty, .truncated, .damaged: " Get the file again from where it came from."
    case .unknownFormat: " Convert it to one of them first."
    case .unsupported: " Save it in another format or without that feature."
    case .noAudio: " Give a file with sound."
    case .noVideo: " Give a file with video."
    case .tooLarge: " Make it smaller, or cut it into parts."
    case .outOfMemory: " Free some memory, or make the picture smaller."
    case .exists: " Give --force to overwrite it, or another name."
    case .system: advice(system: error.reason)
    }
  }

  private static func advice(system reason: String) -> String {
    switch reason {
    case String(cString: strerror(ENOENT)): " Check the name, and that the folder exists."
    case String(cString: strerror(EACCES)), String(cString: strerror(EPERM)), String(cString: strerror(EROFS)):
      " Check the permissions, or use another folder."
    case String(cString: strerror(ENOSPC)), String(cString: strerror(EDQUOT)): " Free some space, or use another disk."
    case "is a directory": " Give the name of a file."
    default: ""
    }
  }
}

extension String {
  /// What stands before `separator`; all of it where that does not occur.
  fileprivate func prefix(before separator: String) -> Substring {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(separator) { return self[..<start] }
      start = index(after: start)
    }
    return self[...]
  }
}
