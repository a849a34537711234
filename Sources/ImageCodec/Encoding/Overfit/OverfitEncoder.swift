import Autograd
import Bitstream
import Coding
import Fitting
import Glibc
import Media
import Metrics

/// Fits a picture and writes it as a file of codec 2. A value serves one encoding.
///
/// Every decision hangs on iterations and on numbers that do not depend on threads, never on time.
final class OverfitEncoder {
  private let image: Image
  private let options: ImageEncoder.Options
  private let threads: Int
  private let effort: OverfitEffort
  // What follows from lambda, once that is known.
  private var schedule: FitSchedule
  private var architecture: OverfitArchitecture
  private var prior: OverfitPrior
  /// Iterations between evaluations, which cost a third of one each, in the last third; before that they are three times as
  /// far apart, as the best state comes late.
  private let interval: Int
  private static let rare = 3
  /// Bits of the file that are neither grids nor parameters: container, alpha, metadata, headers.
  private let overhead: Double
  private var progress: OverfitProgress
  /// Where `finishesEarly` said so, cancellation no longer counts.
  private var endedEarly = false
  /// Iterations done.
  private var ended = 0
  /// Iterations of trials, which do not count as the fit's.
  private var tried = 0.0

  /// Of each crop, for the curvature of a finished fit: few where iterations are few.
  private let probes: Int
  /// What rounding the networks takes, in iterations, about.
  private var rounding: Double { 1.5 * Double(probes) + 25 }
  /// Bits of the stream's header and length fields, about.
  private static let headerBits = 200.0

  /// Throws `CodecError` (limitExceeded).
  init(_ image: Image, options: ImageEncoder.Options) throws {
    self.image = image
    self.options = options
    threads = Threads.resolve(options.threads)
    effort = OverfitEffort(options.effort, decoderCost: options.decoderCost, iterations: options.iterations)
    schedule = effort.schedule(lambda: 0)
    architecture = effort.architecture(width: image.width, height: image.height, outputs: image.channels)
    prior = OverfitPrior(noneFor: architecture)
    interval = min(max(12, schedule.total / 48), 50)
    probes = min(max(schedule.total / 60, 5), 40)
    let memory = Self.memory(architecture)
    guard memory <= options.maxMemory else {
      throw CodecError(
        .limitExceeded,
        "fitting \(image.width)x\(image.height) pixels would take about \(memory >> 20) MB. Raise maxMemory, or make the picture smaller.")
    }
    overhead =
      8 * Double(try OverfitFile.bytes([], image: image, modelID: prior.modelID, quality: 0).count) + Self.headerBits
    progress = OverfitProgress(options.progress)
  }

  private var pixels: Double { Double(image.pixelCount) }

  /// Throws `CodecError` and `CancellationError`.
  func encode() throws -> EncodedImage {
    try check()
    progress.stage("analysis")
    var control = try startingPoint()
    let dropped = effort.droppedLevels(lambda: control.lambda, detail: OverfitDetail(image))
    schedule = effort.schedule(lambda: control.lambda, dropping: dropped)
    architecture = effort.architecture(
      width: image.width, height: image.height, outputs: image.channels, dropping: dropped)
    let graph = try start(control)
    return try finished(try fit(graph, &control))
  }

  /// What to fit, from the prior that suits the picture: of several the one whose trial, a short fit, ends best.
  private func start(_ control: OverfitRateControl) throws -> OverfitGraph {
    let lambda = control.lambda
    let target = OverfitGraph.target(of: image)
    func graph(_ prior: OverfitPrior) -> OverfitGraph {
      OverfitGraph(
        architecture, target: target, initial: OverfitGraph.start(architecture, prior: prior, seed: 1), prior: prior,
        lambda: lambda)
    }
    let priors = OverfitPrior.trained(for: lambda, architecture)
    prior = priors[0]
    guard priors.count > 1, let trial = effort.trial(of: schedule, lambda: lambda) else { return graph(prior) }
    var best: (prior: OverfitPrior, loss: Double)?
    tried = Double(priors.count * trial.total)
    let cycles = control.cycles(schedule)
    plan(Self.usual(cycles), cycles: cycles.count)
    for candidate in priors {
      prior = candidate
      let graph = graph(candidate)
      try run(trial, graph)
      if endedEarly { return graph }
      let loss = graph.evaluate(threads: threads).loss
      if best == nil || loss < best!.loss { best = (candidate, loss) }
    }
    prior = best!.prior
    return graph(prior)
  }

  private func check() throws {
    if !endedEarly { try Task.checkCancellation() }
  }

  private func startingPoint() throws -> OverfitRateControl {
    try OverfitRateControl.start(options.target) { target in
      let trial = try HyperpriorTrial(image, threads: threads)
      guard case .bitsPerPixel(let wanted) = target else {
        guard case .psnr(let wanted) = target else { preconditionFailure("only rate and PSNR are tried") }
        return try trial.nearest(psnr: wanted, before: check)
      }
      return try trial.nearest(bitsPerPixel: wanted, before: check)
    }
  }

  /// Fits in one go, or, where lambda has to be found, in cycles until the result is near enough.
  private func fit(_ graph: OverfitGraph, _ control: inout OverfitRateControl) throws -> Result {
    let cycles = control.cycles(schedule)
    var (done, planned) = (0, 0)
    var nearest: (result: Result, miss: Double)?
    for (number, cycle) in cycles.enumerated() {
      if number == 0 { planned = Self.usual(cycles) }
      if number > 2 { planned = done + cycle.total }
      plan(planned, cycles: cycles.count)
      if number > 0 { graph.lambda = control.lambda }
      try run(cycle, graph, of: (done, planned))
      done += cycle.total
      if endedEarly { return try quantised(graph, iterations: ended, of: planned) }
      let fitted = graph.floats
      let result = try quantised(graph, iterations: done, of: done)
      let miss = control.miss(bitsPerPixel: result.estimate / pixels, psnr: result.psnr)
      if nearest == nil || miss < nearest!.miss { nearest = (result, miss) }
      // Once it is close, another cycle mostly gives another miss.
      if miss < (number < 3 ? 1 : 1.5) { break }
      control.correct(bitsPerPixel: result.estimate / pixels, psnr: result.psnr)
      graph.floats = fitted
    }
    return nearest!.result
  }

  /// Iterations that are likely: two cycles are needed as a rule, and a third often.
  private static func usual(_ cycles: [FitSchedule]) -> Int { cycles.prefix(3).reduce(0) { $0 + $1.total } }

  /// Tells progress of so many iterations, evaluations and roundings included.
  private func plan(_ iterations: Int, cycles: Int) {
    let evaluations = (1 + 2 / Double(Self.rare)) / (9 * Double(interval))
    progress.plan(tried + Double(iterations) * (1 + evaluations) + Double(min(cycles, 3)) * rounding)
  }

  /// One cycle; leaves the graph with the best that it has evaluated. It is part of a `whole` of iterations, or else a trial.
  private func run(_ cycle: FitSchedule, _ graph: OverfitGraph, of whole: (done: Int, planned: Int)? = nil) throws {
    var cycle = cycle
    cycle.latentEps = graph.latentEps
    let fit = Fit(graph.tape, roundings: graph.grids.map(\.rounding), parameters: graph.parameters, schedule: cycle)
    var best: Snapshot?
    var last: Evaluation?
    let lambda = graph.lambda
    defer { graph.lambda = lambda }
    while !fit.isDone && !endedEarly {
      try check()
      graph.lambda = lambda * Double(fit.rateFactor)
      fit.step(threads: threads)
      graph.lambda = lambda
      progress.add(1)
      endedEarly = options.finishesEarly?() ?? false
      ended = (whole?.done ?? 0) + fit.iteration
      let interval = 3 * fit.iteration < 2 * cycle.total ? Self.rare * interval : interval
      if fit.iteration % interval == 0 || fit.iteration == 8 || fit.isDone || endedEarly {
        let now = evaluate(graph)
        last = now
        progress.add(1 / 3)
        if best == nil || now.loss <= best!.evaluation.loss { best = Snapshot(graph, now) }
      }
      guard let whole else {
        progress.stage("trial")
        continue
      }
      progress.fit(
        CodingProgress.Fit(
          iteration: ended, iterations: whole.planned, loss: fit.loss, lambda: graph.lambda,
          bitsPerPixel: last.map { $0.bits / pixels }, psnr: last?.psnr))
    }
    if let best, let last, best.evaluation.loss < last.loss { best.restore(graph) }
  }

  /// Rounds the networks. Leaves the graph with the rounded numbers.
  private func quantised(_ graph: OverfitGraph, iterations: Int, of wanted: Int) throws -> Result {
    progress.stage("network")
    let search = OverfitNetworkSearch(graph: graph, prior: prior, probes: probes, threads: threads)
    let parameters = try search.quantise {
      try check()
      progress.add(1)
      progress.stage("network")
    }
    let now = graph.evaluate(threads: threads)
    let grids = graph.roundedGrids
    let formats = try OverfitFormats.fitted(parameters, grids: grids, threads: threads)
    // Of the decoder's own samples.
    let synthesis = OverfitSynthesis(try OverfitNetwork(parameters, formats: formats), threads: threads)
    let decoded = try Image(
      width: image.width, height: image.height, colour: image.colour, samples: synthesis.samples(grids))
    return Result(
      parameters: parameters, formats: formats, grids: grids, lambda: graph.lambda,
      estimate: now.bits + parameters.bits + overhead, psnr: try psnr(image, decoded), iterations: iterations,
      wantedIterations: wanted)
  }

  private func finished(_ result: Result) throws -> EncodedImage {
    try check()
    let stream = try OverfitStream.write(
      result.parameters, formats: result.formats, grids: result.grids, threads: threads)
    let quality = OverfitQuality.quality(result.lambda)
    let bytes = try OverfitFile.bytes(stream, image: image, modelID: prior.modelID, quality: quality)
    try check()
    progress.stage("done", isLast: true)
    return EncodedImage(
      bytes: bytes, codec: .overfit, quality: quality, bitsPerPixel: 8 * Double(bytes.count) / pixels,
      psnr: result.psnr,
      fit: EncodedImage.Fit(
        lambda: result.lambda, iterations: result.iterations, wantedIterations: result.wantedIterations,
        estimatedBytes: result.estimate / 8))
  }

  /// Upper estimate of the memory of a fit, in bytes: 290 to 340 a pixel were measured.
  private static func memory(_ a: OverfitArchitecture) -> Int {
    a.width * a.height * 400 + 64 << 20
  }
}

extension OverfitEncoder {
  /// All that a file needs.
  private struct Result {
    let parameters: OverfitParameters
    let formats: OverfitFormats
    /// In coding order, each [height, width].
    let grids: [[Int8]]
    let lambda: Double
    /// Bits of the file, by the float model.
    let estimate: Double
    /// In dB, of the decoder's samples.
    let psnr: Double
    let iterations: Int
    let wantedIterations: Int
  }

  /// A float picture's PSNR once its samples are rounded to 8 bits, which adds 1/12 to the squared error.
  private static func rounded(psnr: Double) -> Double { -10 * log10(pow(10, -psnr / 10) + 1 / (12 * 255 * 255)) }

  /// What a file of the graph's latents and networks, all rounded, would be.
  private struct Evaluation {
    /// As the graph's: the grids' bits alone.
    let loss: Double
    /// Of the whole file.
    let bits: Double
    let psnr: Double
  }

  private func evaluate(_ graph: OverfitGraph) -> Evaluation {
    let now = graph.evaluate(threads: threads)
    // Numbers too large for the usual steps are a matter of the fit's first iterations.
    let side = try? OverfitParameters.quantised(
      graph.floats, architecture: architecture, prior: prior, steps: architecture.groups.map { OverfitNetworkSearch.usualStep($0.kind) }
    ).bits
    return Evaluation(loss: now.loss, bits: now.bits + (side ?? 0) + overhead, psnr: Self.rounded(psnr: now.psnr))
  }

  /// A state of the fit, its latents rounded.
  private struct Snapshot {
    let evaluation: Evaluation
    private let grids: [[Int8]]
    private let floats: [Float]

    /// `evaluation` is of the graph as it is.
    init(_ graph: OverfitGraph, _ evaluation: Evaluation) {
      self.evaluation = evaluation
      grids = graph.roundedGrids
      floats = graph.floats
    }

    func restore(_ graph: OverfitGraph) {
      graph.floats = floats
      for (grid, values) in zip(graph.grids, grids) {
        grid.latents.load(values.map { Float($0) / OverfitGraph.latentGain })
      }
    }
  }
}
