/// The state of a rANS stream whose symbols other code decodes, as a model's kernel does: header in, lanes and words
/// out, and the end checked. // bitstream-spec 5.5
package struct RANSLanes: Sendable {
  /// With fewer lanes in the stream the last ones are unused.
  package private(set) var lanes: (UInt64, UInt64, UInt64, UInt64)
  /// Number of lanes, a power of two, less one.
  package let laneMask: Int
  /// Steps taken so far.
  package private(set) var step = 0
  /// Byte offset of the next word. Invariant: position + 4 * wordsLeft == count of the payload's bytes.
  package private(set) var position: Int
  package private(set) var wordsLeft: Int
  private let isEmpty: Bool

  /// Throws `truncated` or `corrupt` where the header makes no sense. An empty payload holds no symbols.
  package init(_ payload: [UInt8]) throws {
    let (header, length) = try RANSDecoder.parse(payload)
    let padded = header.lanes + [0, 0, 0]
    lanes = (padded[0], padded[1], padded[2], padded[3])
    laneMask = header.lanes.count - 1
    position = length
    wordsLeft = (payload.count - length) / 4
    isEmpty = payload.isEmpty
  }

  /// Takes over what decoding left. `failed`: the last word found a lane too low. Throws `corrupt`.
  package mutating func advance(
    to lanes: (UInt64, UInt64, UInt64, UInt64), step: Int, wordsLeft: Int, failed: Bool
  ) throws {
    guard !failed else { throw EntropyError(.corrupt, in: "rANS payload", "a lane is too low at the last word") }
    position += 4 * (self.wordsLeft - wordsLeft)
    (self.lanes, self.step, self.wordsLeft) = (lanes, step, wordsLeft)
  }

  /// As `RANSDecoder.finish`.
  package func finish() throws {
    try RANSDecoder.checkEnd(lanes: lanes, wordsLeft: wordsLeft, steps: step, isEmpty: isEmpty)
  }
}
