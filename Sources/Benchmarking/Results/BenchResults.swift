/// All that one report knows: what results.json holds, and what page, CSV and guard are made from.
///
/// Sizes are in bytes, times in seconds, rates in bits per pixel of the original picture or frames (of a cache, per element; of sound, kbps),
/// whole files. Every measure may be null: not defined for this file (MS-SSIM of small pictures), or missing on this machine.
/// Infinite values (PSNR of what was coded without loss) are the text "inf".
package struct BenchResults: Codable, Sendable, Equatable {
  package enum Kind: String, Codable, Sendable { case image, kv, audio, video }

  package static let format = "nccodec-bench"
  package static let version = 1

  package var format = BenchResults.format
  package var version = BenchResults.version
  package var kind: Kind
  package var run: BenchRun
  package var measures: [MeasureRecord] = []
  package var codecs: [CodecRecord] = []
  package var files: [FileRecord] = []
  package var points: [PointRecord] = []
  package var references: [ReferenceCurve] = []
  @Nullable package var summary: BenchSummary? = nil

  package init(kind: Kind, run: BenchRun) {
    self.kind = kind
    self.run = run
  }
}

package struct BenchRun: Codable, Sendable, Equatable {
  /// ISO 8601 in UTC, such as "2026-11-29T03:00:00Z".
  package var started: String
  /// Nil until all was measured: the run was stopped, or goes on.
  @Nullable package var finished: String?
  /// The command line.
  package var command: String
  /// Version of nccodec, and the commit where it is known.
  package var nccodec: String
  package var machine: Machine
  /// Items measured at once.
  package var workers: Int
  /// What readers must know first, such as that the numbers are made up; the page shows it above all.
  @Nullable package var note: String? = nil

  package struct Machine: Codable, Sendable, Equatable {
    package var cpu: String
    package var cores: Int
    /// Level of our own kernels.
    package var simd: String
    package var os: String

    package init(cpu: String, cores: Int, simd: String, os: String) {
      (self.cpu, self.cores, self.simd, self.os) = (cpu, cores, simd, os)
    }
  }

  package init(
    started: String, finished: String? = nil, command: String, nccodec: String, machine: Machine, workers: Int
  ) {
    (self.started, self.command, self.nccodec) = (started, command, nccodec)
    (self.machine, self.workers) = (machine, workers)
    self.finished = finished
  }
}

package struct MeasureRecord: Codable, Sendable, Equatable {
  /// psnr, psnrYUV, ssim, msssim, ...: the key in `PointRecord.measures`.
  package var name: String
  package var title: String
  /// "dB", or "" for a number without one.
  package var unit: String
  package var isHigherBetter: Bool
  /// What computed it.
  package var version: String
  /// Why it was not measured on this machine.
  @Nullable package var missing: String?

  package init(
    name: String, title: String, unit: String, isHigherBetter: Bool, version: String, missing: String? = nil
  ) {
    (self.name, self.title, self.unit) = (name, title, unit)
    (self.isHigherBetter, self.version) = (isHigherBetter, version)
    self.missing = missing
  }
}

package struct CodecRecord: Codable, Sendable, Equatable {
  package enum Family: String, Codable, Sendable { case ours, peer }

  package var name: String
  package var title: String
  package var family: Family
  /// Of the library that codes.
  package var version: String
  package var settings: String
  /// Why there are no points of it.
  @Nullable package var missing: String?

  package init(
    name: String, title: String, family: Family, version: String, settings: String, missing: String? = nil
  ) {
    (self.name, self.title, self.family) = (name, title, family)
    (self.version, self.settings) = (version, settings)
    self.missing = missing
  }
}

package struct FileRecord: Codable, Sendable, Equatable {
  /// Unique within the results.
  package var name: String
  package var path: String
  /// Pixels, of video as it is measured; nil of caches and sound, and of what cannot be read.
  @Nullable package var width: Int?
  @Nullable package var height: Int?
  /// Frames of video that are measured.
  @Nullable package var frames: Int? = nil
  /// Keys and values of a cache.
  @Nullable package var elements: Int?
  /// Seconds of sound.
  @Nullable package var duration: Double? = nil
  /// Hz, as codecs get it.
  @Nullable package var sampleRate: Int? = nil
  @Nullable package var bytes: Int?
  /// Of the file's bytes, or of the frames of video that are measured: 64 hexadecimal digits.
  @Nullable package var sha256: String?
  /// Why it cannot be read; it then has no points.
  @Nullable package var error: String?
  /// A PNG of it from the report's folder, where decoded pictures of it are kept.
  @Nullable package var picture: String?

  package init(
    name: String, path: String, width: Int? = nil, height: Int? = nil, elements: Int? = nil, bytes: Int? = nil,
    sha256: String? = nil, error: String? = nil, picture: String? = nil
  ) {
    (self.name, self.path) = (name, path)
    self.width = width
    self.height = height
    self.elements = elements
    self.bytes = bytes
    self.sha256 = sha256
    self.error = error
    self.picture = picture
  }
}

/// One codec at one setting on one file. With `error`, everything else is null or empty.
package struct PointRecord: Codable, Sendable, Equatable {
  package var file: String
  package var codec: String
  /// 0... from the lowest rate up.
  package var point: Int
  /// What the codec was asked for, such as "q:v 31".
  package var setting: String
  @Nullable package var bytes: Int?
  /// Bits per pixel; nil of caches.
  @Nullable package var bpp: Double?
  /// Bits per element; nil of pictures.
  @Nullable package var bits: Double?
  /// 1000 bits a second of sound.
  @Nullable package var kbps: Double? = nil
  package var measures: [String: Double?]
  /// Wall time, one per repetition.
  package var encodeSeconds: [Double]
  package var decodeSeconds: [Double]
  /// Processor time of the same; empty where the codec starts threads of its own.
  package var encodeCPUSeconds: [Double]
  package var decodeCPUSeconds: [Double]
  /// Resident at the peak, the whole process; only with --isolate.
  @Nullable package var encodePeakBytes: Int?
  @Nullable package var decodePeakBytes: Int?
  /// The decoded picture, from the report's folder.
  @Nullable package var picture: String?
  @Nullable package var error: String?

  /// Of whichever kind.
  package var rate: Double? { bpp ?? bits ?? kbps }

  package init(
    file: String, codec: String, point: Int, setting: String, bytes: Int? = nil, bpp: Double? = nil, bits: Double? = nil,
    measures: [String: Double?] = [:], encodeSeconds: [Double] = [], decodeSeconds: [Double] = [],
    encodeCPUSeconds: [Double] = [], decodeCPUSeconds: [Double] = [], encodePeakBytes: Int? = nil,
    decodePeakBytes: Int? = nil, picture: String? = nil, error: String? = nil
  ) {
    (self.file, self.codec, self.point, self.setting) = (file, codec, point, setting)
    (self.measures, self.encodeSeconds, self.decodeSeconds) = (measures, encodeSeconds, decodeSeconds)
    (self.encodeCPUSeconds, self.decodeCPUSeconds) = (encodeCPUSeconds, decodeCPUSeconds)
    self.bytes = bytes
    self.bpp = bpp
    self.bits = bits
    self.encodePeakBytes = encodePeakBytes
    self.decodePeakBytes = decodePeakBytes
    self.picture = picture
    self.error = error
  }
}

/// A curve that someone else published; means over the set of pictures that its source names.
package struct ReferenceCurve: Codable, Sendable, Equatable {
  package struct Point: Codable, Sendable, Equatable {
    package var bpp: Double
    package var value: Double

    package init(bpp: Double, value: Double) { (self.bpp, self.value) = (bpp, value) }
  }

  package var name: String
  package var title: String
  package var source: String
  /// A measure's name.
  package var measure: String
  package var points: [Point]

  package init(name: String, title: String, source: String, measure: String, points: [Point]) {
    (self.name, self.title, self.source, self.measure, self.points) = (name, title, source, measure, points)
  }
}
