import ArgumentParser
import Autograd
import Fitting
import Foundation
import ImageCodec
import MediaIO

/// How long an iteration of the overfitted codec's fit takes; `Benchmarks/overfit.sh speed` runs it beside Cool-chic's.
struct FitSpeed: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit-speed", abstract: "Times iterations of the overfitted codec's fit, as JSON.",
    discussion: """
      The iterations are those of the main phase: soft rounding with noise, all gradients, clipping, the steps of both \
      optimisers. Start-up, evaluations and the search for parameter steps do not count.
      """)

  @Argument(help: "A picture.") var picture: String
  @Option(help: "Multiplications per pixel of the decoder: 500, 1000, 2000 or 3000.") var decoderCost = 2000
  @Option(help: "Weight of the rate.") var lambda = 0.001
  @Option(help: "Iterations to time.") var iterations = 20
  @Option(help: "Iterations before those.") var warmUp = 3
  @Option(help: "Threads; one per core by default.") var threads: Int?

  func run() throws {
    guard let preset = OverfitArchitecture.Preset.allCases.first(where: { $0.cost == decoderCost }) else {
      throw ValidationError("no decoder of \(decoderCost) MAC/pixel")
    }
    guard iterations > 0, warmUp >= 0 else { throw ValidationError("iterations must be positive") }
    let image = try ImageReader.read(loadFile(picture)).image
    let threads = threads ?? ProcessInfo.processInfo.activeProcessorCount
    let architecture = OverfitArchitecture(
      preset: preset, width: image.width, height: image.height, outputs: image.channels)
    let prior = OverfitPrior(noneFor: architecture)
    let graph = OverfitGraph(
      architecture, target: OverfitGraph.target(of: image),
      initial: OverfitGraph.start(architecture, prior: prior, seed: 1), prior: prior, lambda: lambda)
    // A long fit's, of which only the first iterations are done.
    let fit = Fit(
      graph.tape, roundings: graph.grids.map(\.rounding), parameters: graph.parameters,
      schedule: FitSchedule(iterations: 10_000, settling: 0))
    for _ in 0..<warmUp { fit.step(threads: threads) }
    var milliseconds: [Double] = [], cpu: [Double] = []
    for _ in 0..<iterations {
      let start = ContinuousClock.now, used = Self.processSeconds
      fit.step(threads: threads)
      milliseconds.append((ContinuousClock.now - start).inSeconds * 1e3)
      cpu.append((Self.processSeconds - used) * 1e3)
    }
    let report = Report(
      decoderCost: decoderCost, width: image.width, height: image.height, threads: threads,
      macPerPixel: architecture.multipliesPerPixel, milliseconds: milliseconds,
      cpuMilliseconds: cpu)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  struct Report: Encodable {
    let decoderCost, width, height, threads, macPerPixel: Int
    /// Of each iteration; of all threads together.
    let milliseconds, cpuMilliseconds: [Double]
  }

  static var processSeconds: Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }
}
