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
    case is CancellationError: self.init("\(place.map { "\($0): " } ?? "")cancelled")
    default: self.init("\(place.map { "\($0): " } ?? "")\(Self.sentence("\(error)"))")
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
    case .tooLarge: " Make it smaller, or cut it into parts."
    case .outOfMemory: " Free some memory, or make the picture smaller."
    case .exists: " Give --force to overwrite it, or another name."
    case .system: " Check the name, that its folder exists, and the permissions."
    }
  }
}
