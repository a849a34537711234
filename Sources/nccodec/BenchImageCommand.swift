import ArgumentParser
import Benchmarking
import MediaIO
import NeuralCodecs

struct BenchImageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "Measure codecs of pictures: rate, quality and time on your own files.",
    discussion: """
      Every codec gets the same 8-bit RGB in memory and gives the bytes of a whole file; what those decode to is compared \
      with the original. Ours: hyperprior, overfit (at --effort; or overfit1 to overfit9). Others run through libavcodec: \
      jpeg, jpegplain, webp, webp4, avif, avif420, avifslow, svtav1, jxl, jpeg2000; one that this libavcodec lacks is named \
      as missing.

      With --out, results.json has every measurement, results.csv the same as a table, and index.html plots and shows \
      them. A second run measures only what is missing; Ctrl-C keeps what is done.

      Times are of this machine, and with several workers of a busy one: processor seconds are recorded beside them.

      Examples:
        nccodec bench image photos --out report
        nccodec bench image --codecs hyperprior,overfit,jpeg,webp,avif,jxl --points 8 photos --out report
        nccodec bench image ../shared/data/kodak --reference kodak --out report
        nccodec bench image a.png b.png --codecs hyperprior,jpeg --against report/results.json
        nccodec bench image --digits ../shared/data/small --out machine

      Exit codes: 0; 1 where a file or point failed, a comparison was lost, or the run was stopped.
      """)

  @Argument(help: ArgumentHelp("Pictures, or folders of them.", valueName: "files"))
  var paths: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      In place of pictures: mosaics of MNIST's test digits, and how many of them a small classifier still reads. The \
      folder has t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, gzipped or not.
      """, valueName: "folder"))
  var digits: String?

  @Option(help: ArgumentHelp("The measures to take, by name, with commas. (default: all)", valueName: "names"))
  var measures: String?

  @Option(help: ArgumentHelp("The codecs, with commas between them.", valueName: "names"))
  var codecs = ImageCodecs.standard.joined(separator: ",")

  @Option(help: ArgumentHelp("The effort of overfit.", valueName: "1...9"))
  var effort = 1

  @Option(
    help: ArgumentHelp(
      "Show published curves beside: kodak, or a file of that form; :name,name behind it picks some.", valueName: "curves"))
  var reference: [String] = []

  @Option(help: ArgumentHelp("Keep the decoded pictures of so many files, for the page.", valueName: "n"))
  var pictures = 3

  @Flag(help: "Measure each point in processes of its own, so that peak memory is known.")
  var isolate = false

  @OptionGroup var bench: BenchOptions

  func validate() throws {
    if paths.isEmpty, digits == nil { throw ValidationError("No pictures were given.") }
    if digits != nil {
      // Rates of mosaics and photographs have no mean worth knowing.
      if !paths.isEmpty { throw ValidationError("--digits takes the place of pictures, and there are some.") }
      if bench.out == nil { throw ValidationError("--digits needs --out, a folder to put the mosaics in.") }
    }
    try ImageMeasures.check(measures, isAccuracyThere: digits != nil)
    if !(1...9).contains(effort) { throw ValidationError("--effort \(effort) is not in 1...9.") }
    if pictures < 0 { throw ValidationError("--pictures \(pictures) is below 0.") }
    for name in try BenchOptions.names(codecs) {
      do { _ = try ImageCodecs.named(name, effort: effort, version: "") } catch { throw ValidationError("\(error).") }
    }
  }

  func run() throws {
    let version = Build.version(release: NCCodec.release)
    let codecs = try BenchOptions.names(codecs).map { try ImageCodecs.named($0, effort: effort, version: version) }
    let report = BenchReport(options: bench)
    let progress = ProgressLine(quiet: bench.quiet, stage: "reading")
    defer { progress.end() }
    Interrupt.letFirstPass()
    var options = ImageBench.Options()
    options.points = bench.points
    options.course = bench.course(progress)
    options.pictures = bench.out == nil ? 0 : pictures
    options.isolated = isolate ? ["bench", "probe", "--effort", "\(effort)"] : nil
    let (paths, measures) = try pathsAndMeasures()
    let references = try reference.flatMap { text in try Failure.about(text) { try PublishedCurves.read(text) } }
    let measuring = ImageBench(codecs: codecs, measures: measures, options: options)
    let run = BenchRun(started: BenchRun.now, command: BenchReport.commandLine, nccodec: version, workers: options.course.workers)
    var results = try measuring.prepare(paths, run: run, previous: try report.previous())
    if !references.isEmpty { results.references = references }
    results = try Failure.about(bench.out ?? "bench") { try measuring.run(results, folder: bench.out, save: report.save) }
    progress.end()
    try report.finish(results, anchor: "jpeg", measure: "psnr")
  }
}

extension BenchImageCommand {
  /// 2,000 digits, yet no more pixels than five of Kodak's pictures have.
  private static let mosaics = 5

  private func pathsAndMeasures() throws -> ([String], [any ImageMeasure]) {
    var all = ImageMeasures.all
    var files = paths
    if let digits, let out = bench.out {
      let mosaics = try Failure.about(digits) { try DigitMosaics.make(folder: digits, count: Self.mosaics) }
      files = try Failure.about(out) { try DigitMosaics.write(mosaics, to: "\(out)/digits") }
      all.append(try DigitAccuracy(mosaics))
    }
    files = try Failure.about("bench") { try BenchFiles.list(files, endings: BenchFiles.pictureEndings) }
    guard let measures else { return (files, all) }
    let names = measures.split(separator: ",").map(String.init)
    return (files, all.filter { names.contains($0.name) })
  }
}

extension ImageMeasures {
  /// Throws `ValidationError` for a list of names with one that no measure has.
  static func check(_ list: String?, isAccuracyThere: Bool = false) throws {
    guard let list else { return }
    let names = all.map(\.name) + (isAccuracyThere ? [DigitAccuracy.name] : [])
    for name in list.split(separator: ",", omittingEmptySubsequences: false) where !names.contains(String(name)) {
      throw ValidationError("No measure is called '\(name)'; there are \(names.joined(separator: ", ")).")
    }
  }
}

/// The other side of `bench image --isolate`.
struct BenchProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe", abstract: "Measure one point; for bench image --isolate.", shouldDisplay: false)

  @Option var codec: String
  @Option var effort = 1
  @Option var value: Double
  @Option var repetitions = 1
  @Argument var direction: String
  @Argument var input: String
  @Argument var output: String

  func run() throws {
    let name = codec
    let chosen = try Failure.about("probe") { try ImageCodecs.named(name, effort: effort, version: "") }
    Console.print(
      ImageProbe.answer(
        chosen, value: value, repetitions: repetitions, isEncoding: direction == "encode", input: input, output: output),
      to: .standardOutput)
  }
}
