import Foundation

enum Threads {
  /// The number of threads that an option asks for: nil means one per core.
  static func resolve(_ wanted: Int?) -> Int { max(1, wanted ?? ProcessInfo.processInfo.activeProcessorCount) }
}
