/// How far an encoding or decoding has come.
public struct CodingProgress: Sendable, Equatable {
  /// 0...1
  public let fraction: Double
  /// What is being done, such as "synthesis".
  public let stage: String
}

/// Reports steps of known weight, and stops where the surrounding task was cancelled.
struct ProgressReporter {
  let report: (@Sendable (CodingProgress) -> Void)?

  /// Throws `CancellationError` if the task that runs this was cancelled.
  func at(_ fraction: Double, _ stage: String) throws {
    try Task.checkCancellation()
    report?(CodingProgress(fraction: fraction, stage: stage))
  }
}
