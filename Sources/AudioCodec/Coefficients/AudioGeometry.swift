/// How sound of a sample rate is cut into frames, blocks and bands. A *bin* is a coefficient of a frame's longest block; 12 of 4096 at
/// 48 kHz are 70 Hz.
// bitstream-spec 11.2
struct AudioGeometry: Sendable {
  /// Samples of a channel in a transform frame, a power of two.
  let longest: Int
  /// Times that a frame can be halved.
  static let depth = 4
  /// Edges in bins, of a frame of 4096.
  static let edges = [
    0, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 304, 352, 416, 496, 592, 704, 832, 992, 1184, 1408, 1680, 2000, 2384, 2848,
    3424, 4096,
  ]
  /// In bins; the last is `longest`.
  let edges: [Int]
  var bandCount: Int { edges.count - 1 }
  /// For each depth, of each coefficient of a block: its place on a scale that is finer at low frequencies.
  let places: [[UInt8]]
  /// The bandwidth is coded in units of so many bins.
  var bandwidthUnit: Int { longest / 64 }

  /// `sampleRate` is 1...48000 Hz.
  init(sampleRate: Int) {
    let longest = sampleRate > 36_000 ? 4096 : sampleRate > 18_000 ? 2048 : sampleRate > 9000 ? 1024 : 512
    self.longest = longest
    edges = Self.edges.filter { $0 < longest } + [longest]
    places = (0...Self.depth).map { depth in
      (0..<longest >> depth).map { k in
        let bin = ((2 * k + 1) << depth) >> 1
        // A quarter of an octave from 64 bins on, 8 bins below.
        guard bin >= 64 else { return UInt8(bin / 8) }
        let octave = Int.bitWidth - 1 - bin.leadingZeroBitCount
        return UInt8(min(31, 8 + 4 * (octave - 6) + (bin >> (octave - 2)) - 4))
      }
    }
  }

  /// Seconds of sound that a frame stands for make a group of about one second.
  func framesInGroup(sampleRate: Int) -> Int { max(1, min(64, (sampleRate + longest / 2) / longest)) }
}
