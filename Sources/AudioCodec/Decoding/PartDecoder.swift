/// Turns the parts of a file into samples: one for each codec.
protocol PartDecoder: AnyObject {
  /// The frame whose part has to be decoded first where samples from `frame` on are wanted.
  func start(for frame: Int) -> Int

  /// Forgets what came before; samples from `frame` on are wanted.
  func begin(at frame: Int)

  /// Takes the next part. `give` gets the samples that are known with it, [channel][sample], and the frame at which they begin: frames follow
  /// each other, but those before the sound and before what is wanted, and behind the sound's end, may be among them or not.
  func decode(_ part: AudioParts.Part, give: ([[Float]], Int) -> Void) throws
}

/// Codec 5's.
// bitstream-spec 11.6
final class TransformPartDecoder: PartDecoder {
  private let decoder: GroupDecoder
  private let synthesis: Synthesis
  private let longest: Int
  /// Where the frame that `synthesis` holds begins.
  private var heldStart = 0

  init(_ geometry: AudioGeometry, channels: Int) {
    longest = geometry.longest
    decoder = GroupDecoder(geometry, channels: channels, CoefficientPrior.shipped)
    synthesis = Synthesis(geometry, channels: channels)
  }

  func start(for frame: Int) -> Int { frame }

  func begin(at frame: Int) { synthesis.reset() }

  func decode(_ part: AudioParts.Part, give: ([[Float]], Int) -> Void) throws {
    var start = part.start - longest / 2
    try decoder.decode(part.data, frames: part.frames) { coefficients, depths in
      if let samples = synthesis.next(coefficients, depths) { give(samples, heldStart) }
      heldStart = start
      start += longest
    }
    if part.isLast, let samples = synthesis.end() { give(samples, heldStart) }
  }
}
