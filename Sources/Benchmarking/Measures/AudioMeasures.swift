import Media
import MediaIO
import Metrics

/// A measure of a decoded sound against the original, of the same format and length.
package protocol AudioMeasure: Sendable {
  /// The key in reports.
  var name: String { get }
  var title: String { get }
  /// "dB", or "" for a number without one.
  var unit: String { get }
  var isHigherBetter: Bool { get }
  /// What computes it.
  var version: String { get }
  /// Why it cannot be computed here.
  var missing: String? { get }
  /// A guess, per second of sound.
  var secondsPerSecond: Double { get }

  /// Nil where it is not defined.
  func measure(original: AudioBuffer, decoded: AudioBuffer) throws -> Double?
}

extension AudioMeasure {
  package var record: MeasureRecord {
    MeasureRecord(name: name, title: title, unit: unit, isHigherBetter: isHigherBetter, version: version, missing: missing)
  }
}

package enum AudioMeasures {
  /// Those that a report has, in its order; what this machine cannot compute says so itself.
  package static var all: [any AudioMeasure] { computed + found }

  /// Those that need no other program.
  package static let computed: [any AudioMeasure] = [
    ComputedAudioMeasure(
      name: "sisdr", title: "SI-SDR", isHigherBetter: true, version: "nccodec: Le Roux 2019, means removed, over all channels together"
    ) { try siSDR($0, $1) },
    ComputedAudioMeasure(
      name: "lsd", title: "Log-spectral distance", isHigherBetter: false,
      version: "nccodec: Hann windows of 2048 every 512, floor -100 dB, mean over windows and channels"
    ) { try logSpectralDistance($0, $1) },
  ]

  /// Looked for once, on the PATH that the process was started with.
  package static let found: [any AudioMeasure] = tools(searchPath: ExternalTool.searchPath)

  package static func tools(searchPath: String) -> [any AudioMeasure] {
    [
      AudioToolMeasure.visqol(searchPath), AudioToolMeasure.visqol(searchPath, isSpeech: true), AudioToolMeasure.pesq(searchPath),
      AudioToolMeasure.stoi(searchPath),
    ]
  }
}

/// One of `Metrics`, in dB.
private struct ComputedAudioMeasure: AudioMeasure {
  let name, title, version: String
  let isHigherBetter: Bool
  let unit = "dB"
  let missing: String? = nil
  let secondsPerSecond = 0.01
  private let compute: @Sendable (AudioBuffer, AudioBuffer) throws -> Double?

  init(
    name: String, title: String, isHigherBetter: Bool, version: String,
    compute: @escaping @Sendable (AudioBuffer, AudioBuffer) throws -> Double?
  ) {
    (self.name, self.title, self.version, self.isHigherBetter) = (name, title, version, isHigherBetter)
    self.compute = compute
  }

  func measure(original: AudioBuffer, decoded: AudioBuffer) throws -> Double? { try compute(original, decoded) }
}
