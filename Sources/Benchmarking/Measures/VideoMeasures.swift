import Media

/// Measures of video: those of pictures, as the mean over all frames.
package enum VideoMeasures {
  package static let standard = ["psnr", "msssim"]
  /// Those that need no other program.
  package static var all: [any ImageMeasure] { ImageMeasures.computed }

  package static func record(_ measure: any ImageMeasure) -> MeasureRecord {
    var record = measure.record
    record.version += "; mean over frames" + (measure.unit == "dB" ? ", of which one without error counts \(Int(lossless)) dB" : "")
    return record
  }

  /// dB that count for a frame without error: one black frame would make the mean infinite.
  private static let lossless = 100.0

  /// Takes the frames of a clip and what they were decoded to, pair by pair.
  package struct Sum {
    private let measures: [any ImageMeasure]
    /// Nil once there was a frame for which it is not defined.
    private var sums: [Double?]
    package private(set) var frames = 0

    package init(_ measures: [any ImageMeasure]) {
      self.measures = measures
      sums = measures.map { _ in 0 }
    }

    /// Throws what the measures throw.
    package mutating func add(_ original: VideoFrame, _ decoded: VideoFrame) throws {
      frames += 1
      let (a, b) = (original.image, decoded.image)
      for (i, measure) in measures.enumerated() {
        guard let sum = sums[i] else { continue }
        guard let value = try measure.measure(reference: a, decoded: b) else {
          sums[i] = nil
          continue
        }
        sums[i] = sum + (measure.unit == "dB" ? min(value, lossless) : value)
      }
    }

    package var means: [String: Double?] {
      Dictionary(uniqueKeysWithValues: zip(measures, sums).map { ($0.name, $1.map { $0 / Double(max(frames, 1)) }) })
    }
  }
}
