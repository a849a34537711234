/// Frames' coefficients back to samples.
// bitstream-spec 11.6
final class Synthesis {
  private let geometry: AudioGeometry
  private let transform: LappedTransform
  private let channels: Int
  /// [channel]: the frame before, whose end waits for the next one; empty at first.
  private var held: [[Float]] = []
  /// By pair: size of the last block of the frame before.
  private var lastSizes: [Int] = []

  init(_ geometry: AudioGeometry, channels: Int) {
    self.geometry = geometry
    self.channels = channels
    transform = LappedTransform(longest: geometry.longest, depth: AudioGeometry.depth)
  }

  /// Forgets the frame before.
  func reset() { (held, lastSizes) = ([], []) }

  /// Takes the next frame and gives the samples of the one before, [channel][sample]; nil where there is none.
  func next(_ coefficients: [[Float]], _ depths: [[Int]]) -> [[Float]]? {
    var frame = coefficients
    for c in 0..<channels {
      let depths = depths[c / 2]
      frame[c].withUnsafeMutableBufferPointer { samples in
        var first = 0, before = 0
        for depth in depths {
          let size = geometry.longest >> depth
          transform.transform(UnsafeMutableBufferPointer(rebasing: samples[first..<first + size]))
          if first > 0 {
            let boundary = samples.baseAddress! + first
            transform.separate(boundary, boundary, overlap: min(before, size))
          }
          (first, before) = (first + size, size)
        }
        guard !held.isEmpty else { return }
        let overlap = min(lastSizes[c / 2], geometry.longest >> depths[0])
        held[c].withUnsafeMutableBufferPointer {
          transform.separate($0.baseAddress! + geometry.longest, samples.baseAddress!, overlap: overlap)
        }
      }
    }
    let done = held
    held = frame
    lastSizes = depths.map { geometry.longest >> $0.last! }
    return done.isEmpty ? nil : done
  }

  /// The samples of the last frame, behind which there is nothing.
  func end() -> [[Float]]? {
    defer { reset() }
    return held.isEmpty ? nil : held
  }
}
