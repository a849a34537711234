import Glibc

/// A shared library that stays loaded for the life of the process.
struct SharedLibrary: Sendable {
  private let name: String
  /// What needs it, and how to get it.
  private let purpose: String
  private nonisolated(unsafe) let handle: UnsafeMutableRawPointer

  /// Throws `MediaIOError` (unsupported) where it is not installed.
  init(_ name: String, purpose: String) throws(MediaIOError) {
    guard let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) else { throw Self.failure(name, purpose) }
    (self.name, self.purpose, self.handle) = (name, purpose, handle)
  }

  /// The function of that name, as the type that its header declares.
  subscript<Function>(function: String) -> Function {
    get throws(MediaIOError) {
      guard let address = dlsym(handle, function) else { throw Self.failure(name, purpose) }
      return unsafeBitCast(address, to: Function.self)
    }
  }

  private static func failure(_ name: String, _ purpose: String) -> MediaIOError {
    let reason = dlerror().map { String(cString: $0) } ?? "it cannot be loaded"
    return MediaIOError(.unsupported, at: name, "needed for \(purpose): \(reason)")
  }
}
