import ArgumentParser
import Foundation
import MediaIO
import NeuralCodecs
import Synchronization

#if canImport(Glibc)
  import Glibc
#endif

/// Where the time of encoding a picture, or of decoding an `.ncb` file, goes.
struct Timing: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "time",
    abstract: "Times the stages of encoding a PNG, or of decoding an .ncb file, in this process.",
    discussion: """
      Stages are those of the codec's progress reports. The first run includes what happens once per process, such as \
      loading the model, and stands apart; of the others the medians are shown. Reading and writing PNG are stages of \
      this program.
      """)

  @Argument(help: "A picture to encode, or an .ncb file to decode.") var input: String
  @Option(help: "Quality 0 to 100, where encoding.") var quality = 50
  @Option(help: "Threads; one per core by default.") var threads: Int?
  @Option(help: "Runs after the first.") var runs = 7
  @Option(help: "Where to write the last result: an .ncb file, or a PNG.") var output: String?
  @Flag(help: "Print JSON.") var json = false

  func run() throws {
    guard runs >= 0 else { throw ValidationError("runs must not be negative") }
    let bytes = try loadFile(input)
    let isDecoding = bytes.starts(with: [0x8E, 0x4E]) || input.hasSuffix(".ncb")
    var result: [UInt8] = []
    var all: [[Lap]] = []
    for _ in 0...runs {
      let (out, laps) = isDecoding ? try decode(bytes) : try encode(bytes)
      all.append(laps)
      result = out
    }
    if let output { try Data(result).write(to: URL(fileURLWithPath: output)) }
    try report(all, isDecoding: isDecoding, fileBytes: isDecoding ? bytes.count : result.count)
  }

  private func encode(_ bytes: [UInt8]) throws -> ([UInt8], [Lap]) {
    let watch = Stopwatch("read PNG")
    let image = try ImageReader.read(bytes).image
    watch.lap("load model")
    var options = ImageEncoder.Options()
    options.target = .quality(quality)
    options.threads = threads
    options.progress = { watch.lap($0.stage) }
    let encoded = try ImageEncoder(options: options).encode(image)
    return (encoded.bytes, watch.laps)
  }

  private func decode(_ bytes: [UInt8]) throws -> ([UInt8], [Lap]) {
    let watch = Stopwatch("container and model")
    var options = ImageDecoder.Options()
    options.threads = threads
    options.progress = { watch.lap($0.stage) }
    let image = try ImageDecoder(options: options).decode(bytes)
    watch.lap("write PNG")
    let png = try PNGWriter.write(image, options: .init(compressionLevel: 1))  // nccodec's default
    watch.lap("done")
    return (png, watch.laps)
  }

  private func report(_ all: [[Lap]], isDecoding: Bool, fileBytes: Int) throws {
    let stages = all[0].indices.map { i in
      Stage(
        stage: all[0][i].stage, first: all[0][i].seconds * 1e3,
        median: median(all.dropFirst().map { $0[i].seconds * 1e3 }))
    }
    let totals = all.map { $0.reduce(0) { $0 + $1.seconds } * 1e3 }
    let report = Report(
      task: isDecoding ? "decode" : "encode", threads: threads ?? ProcessInfo.processInfo.activeProcessorCount,
      fileBytes: fileBytes, stages: stages,
      total: Stage(stage: "total", first: totals[0], median: median(Array(totals.dropFirst()))), peakMiB: Self.peakMiB)
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      print(String(decoding: try encoder.encode(report), as: UTF8.self))
      return
    }
    print("\(report.task), \(report.threads) threads, \(fileBytes) bytes of .ncb; ms")
    for stage in stages + [report.total] {
      print(
        stage.stage.padding(toLength: 24, withPad: " ", startingAt: 0), String(format: "first %8.2f", stage.first),
        stage.median.map { String(format: "  then %8.2f", $0) } ?? "")
    }
    print(String(format: "peak memory of this process %.0f MiB", report.peakMiB))
  }

  struct Report: Encodable {
    let task: String
    let threads, fileBytes: Int
    let stages: [Stage]
    let total: Stage
    let peakMiB: Double
  }

  /// In ms.
  struct Stage: Encodable {
    let stage: String
    let first: Double
    /// Of the runs after the first; nil without any.
    let median: Double?
  }

  private func median(_ values: [Double]) -> Double? {
    guard !values.isEmpty else { return nil }
    let sorted = values.sorted()
    return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
  }

  /// Most resident memory so far.
  private static var peakMiB: Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_maxrss) / 1024
  }
}

struct Lap: Sendable {
  let stage: String
  let seconds: Double
}

/// Cuts time into stages, equal names in a row counted: "latents 1", "latents 2".
private final class Stopwatch: Sendable {
  private struct State {
    var stage: String
    var since = ContinuousClock.now
    var laps: [Lap] = []
  }
  private let state: Mutex<State>

  /// Starts in the stage `stage`.
  init(_ stage: String) { state = Mutex(State(stage: stage)) }

  /// Ends the present stage and begins another.
  func lap(_ stage: String) {
    state.withLock { state in
      let now = ContinuousClock.now
      let repeats = state.laps.count { $0.stage == state.stage || $0.stage.hasPrefix(state.stage + " ") }
      let name = repeats == 0 ? state.stage : "\(state.stage) \(repeats + 1)"
      state.laps.append(Lap(stage: name, seconds: (now - state.since).inSeconds))
      (state.stage, state.since) = (stage, now)
    }
  }

  /// The stages that have ended.
  var laps: [Lap] { state.withLock { $0.laps } }
}
