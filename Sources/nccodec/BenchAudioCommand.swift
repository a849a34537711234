import ArgumentParser
import Benchmarking
import MediaIO
import NeuralCodecs

struct BenchAudioCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audio",
    abstract: "Measure codecs of sound: rate, quality and time on your own files.",
    discussion: """
      Every codec gets the same floats in memory and gives the bytes of a whole file; what those decode to is compared with \
      the original, at its sample rate (above 48 kHz: at 48 kHz) and of its length. Ours: mdct, mdct-mse (least squared \
      error), tokens (the nearest of their rates). Others run through libav: mp3, aac, opus; one that this libav lacks is named as missing.

      SI-SDR and log-spectral distance are ours; ViSQOL, PESQ and STOI come from programs visqol, pesq and stoi where they \
      are installed ('Benchmarks/audio.sh programs' makes some). The last two and ViSQOL's speech mode are for speech.

      Rates are kilobits per second of whole files, all channels together. Report, resuming and Ctrl-C are as of 'bench image'.

      Examples:
        nccodec bench audio sounds --out report
        nccodec bench audio sounds --codecs mdct,mp3,aac,opus --kbps 24,48,64 --out report
        nccodec bench audio speech.wav --measures sisdr,visqol
        nccodec bench audio speech --codecs tokens,opus --kbps 0.9,3,6 --out report
      """)

  @Argument(help: ArgumentHelp("Sounds, or folders of them.", valueName: "files"))
  var paths: [String]

  @Option(help: ArgumentHelp("The codecs, with commas between them.", valueName: "names"))
  var codecs = AudioBenchCodecs.standard.joined(separator: ",")

  @Option(
    help: ArgumentHelp("The rates, with commas between them. (default: --points of them from 16 to 96)", valueName: "numbers"))
  var kbps: String?

  @Option(help: ArgumentHelp("The measures to take, by name, with commas. (default: all)", valueName: "names"))
  var measures: String?

  @OptionGroup var bench: BenchOptions

  func validate() throws {
    if paths.isEmpty { throw ValidationError("No sounds were given.") }
    for name in try BenchOptions.names(codecs) {
      do { _ = try AudioBenchCodecs.named(name, version: "") } catch { throw ValidationError("\(error).") }
    }
    _ = try rates()
    _ = try wantedMeasures()
  }

  private func rates() throws -> [Double] {
    guard let kbps else { return AudioBenchCodecs.rates(points: bench.points) }
    let rates = try kbps.split(separator: ",", omittingEmptySubsequences: false).map { text -> Double in
      guard let rate = Double(text), rate.isFinite, rate > 0, rate <= 10_000 else {
        throw ValidationError("--kbps: '\(text)' is no rate above 0 and up to 10000.")
      }
      return rate
    }
    return rates.sorted()
  }

  private func wantedMeasures() throws -> [any AudioMeasure] {
    let all = AudioMeasures.all
    guard let measures else { return all }
    let names = measures.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    for name in names where !all.contains(where: { $0.name == name }) {
      throw ValidationError("No measure is called '\(name)'; there are \(all.map(\.name).joined(separator: ", ")).")
    }
    return all.filter { names.contains($0.name) }
  }

  func run() throws {
    let version = Build.version(release: NCCodec.release)
    let codecs = try BenchOptions.names(codecs).map { try AudioBenchCodecs.named($0, version: version) }
    let report = BenchReport(options: bench)
    let progress = ProgressLine(quiet: bench.quiet, stage: "reading")
    defer { progress.end() }
    Interrupt.letFirstPass()
    var options = AudioBench.Options()
    options.kbps = try rates()
    options.course = bench.course(progress)
    let paths = try Failure.about("bench") { try BenchFiles.list(self.paths, endings: BenchFiles.soundEndings) }
    let measuring = AudioBench(codecs: codecs, measures: try wantedMeasures(), options: options)
    let run = BenchRun(started: BenchRun.now, command: BenchReport.commandLine, nccodec: version, workers: options.course.workers)
    var results = try measuring.prepare(paths, run: run, previous: try report.previous())
    results = try Failure.about(bench.out ?? "bench") { try measuring.run(results, save: report.save) }
    progress.end()
    try report.finish(results, anchor: "opus", measure: "sisdr")
  }
}
