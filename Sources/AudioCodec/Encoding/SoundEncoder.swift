/// Turns samples into a file: one for each codec.
protocol SoundEncoder: AnyObject {
  /// Of the sound so far.
  var frames: Int { get }

  /// [channel][sample], at least one of them. Throws what writing throws, and `CancellationError`.
  func append(_ samples: [[Float]]) throws
  func finish(originalFrames: Int?) throws -> EncodedAudio
}
