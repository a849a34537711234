/// What the points come to over all files.
package struct BenchSummary: Codable, Sendable, Equatable {
  package var curves: [Curve]
  /// Percent, by measure, then anchor, then test; null where the curves do not overlap. Curves are those of `curves` (means
  /// over the files that every codec of the pair has at all its points) and references of the same measure.
  package var bdRate: [String: [String: [String: Double?]]]
  /// In the measure's unit (dB of 1 - MS-SSIM for msssim and ssim), likewise.
  package var bdPSNR: [String: [String: [String: Double?]]]

  package init(
    curves: [Curve], bdRate: [String: [String: [String: Double?]]], bdPSNR: [String: [String: [String: Double?]]]
  ) {
    (self.curves, self.bdRate, self.bdPSNR) = (curves, bdRate, bdPSNR)
  }

  package struct Curve: Codable, Sendable, Equatable {
    package var codec: String
    /// By rising rate.
    package var points: [Point]

    package init(codec: String, points: [Point]) { (self.codec, self.points) = (codec, points) }
  }

  /// Arithmetic means over the files that have this point.
  package struct Point: Codable, Sendable, Equatable {
    package var point: Int
    package var setting: String
    /// How many.
    package var files: Int
    @Nullable package var bpp: Double?
    @Nullable package var bits: Double?
    @Nullable package var kbps: Double? = nil
    package var measures: [String: Double?]
    /// Seconds per megapixel of each file's fastest repetition (per million elements of caches, per second of sound, per frame of video).
    @Nullable package var encodeSecondsPerMegapixel: Spread?
    @Nullable package var decodeSecondsPerMegapixel: Spread?
    @Nullable package var encodeCPUSecondsPerMegapixel: Spread?
    @Nullable package var decodeCPUSecondsPerMegapixel: Spread?
    /// The largest of all files.
    @Nullable package var encodePeakBytes: Int?
    @Nullable package var decodePeakBytes: Int?

    /// Of whichever kind.
    package var rate: Double? { bpp ?? bits ?? kbps }

    package init(
      point: Int, setting: String, files: Int, bpp: Double? = nil, bits: Double? = nil, measures: [String: Double?],
      encodeSecondsPerMegapixel: Spread? = nil, decodeSecondsPerMegapixel: Spread? = nil,
      encodeCPUSecondsPerMegapixel: Spread? = nil, decodeCPUSecondsPerMegapixel: Spread? = nil,
      encodePeakBytes: Int? = nil, decodePeakBytes: Int? = nil
    ) {
      (self.point, self.setting, self.files, self.measures) = (point, setting, files, measures)
      self.bpp = bpp
      self.bits = bits
      self.encodeSecondsPerMegapixel = encodeSecondsPerMegapixel
      self.decodeSecondsPerMegapixel = decodeSecondsPerMegapixel
      self.encodeCPUSecondsPerMegapixel = encodeCPUSecondsPerMegapixel
      self.decodeCPUSecondsPerMegapixel = decodeCPUSecondsPerMegapixel
      self.encodePeakBytes = encodePeakBytes
      self.decodePeakBytes = decodePeakBytes
    }
  }

  /// Of several samples: the median, and the range of the middle half.
  package struct Spread: Codable, Sendable, Equatable {
    package var median: Double
    /// First and third quartile.
    package var low: Double
    package var high: Double
    package var samples: Int

    package init(median: Double, low: Double, high: Double, samples: Int) {
      (self.median, self.low, self.high, self.samples) = (median, low, high, samples)
    }

    /// Nil of nothing. Quartiles interpolate linearly between the sorted samples.
    package init?(_ values: [Double]) {
      guard !values.isEmpty else { return nil }
      let sorted = values.sorted()
      func quantile(_ part: Double) -> Double {
        let place = part * Double(sorted.count - 1)
        let below = Int(place)
        let above = min(below + 1, sorted.count - 1)
        return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
      }
      self.init(median: quantile(0.5), low: quantile(0.25), high: quantile(0.75), samples: sorted.count)
    }
  }
}
