import ArgumentParser
import Benchmarking
import MediaIO
import NeuralCodecs

struct BenchKVCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kv",
    abstract: "Measure codecs of KV caches: bits, error and time on your own caches.",
    discussion: """
      Ours: kv1, kv5 (--effort 1 and 5), kv9 (with --profile), lossless; cachegen, CacheGen's scheme in our files. Others: \
      q8_0 and q4_0 as llama.cpp quantises, f16 as it is. Rates are bits per element of whole files (of q8_0, q4_0 and f16, \
      of the numbers alone); errors are signal-to-noise ratios of keys and of values, in dB over all elements.

      Each codec runs on one thread. Report, resuming and Ctrl-C are as of 'bench image'.

      Examples:
        nccodec bench kv cache.safetensors
        nccodec bench kv --codecs kv1,kv5,kv9,q8_0,q4_0 --profile m.ncprofile caches --out report
      """)

  @Argument(help: ArgumentHelp("Caches, or folders of them.", valueName: "files"))
  var paths: [String]

  @Option(help: ArgumentHelp("The codecs, with commas between them.", valueName: "names"))
  var codecs = KVBenchCodecs.standard.joined(separator: ",")

  @Option(help: ArgumentHelp("The profile of the caches' model, for kv9.", valueName: "file"))
  var profile: String?

  @OptionGroup var bench: BenchOptions

  func validate() throws {
    if paths.isEmpty { throw ValidationError("No caches were given.") }
    for name in try BenchOptions.names(codecs) {
      do { _ = try KVBenchCodecs.named(name, profile: nil, version: "") } catch { throw ValidationError("\(error).") }
    }
  }

  func run() throws {
    let version = Build.version(release: NCCodec.release)
    let profile = try KVProfile.given(profile)
    let codecs = try BenchOptions.names(codecs).map { try KVBenchCodecs.named($0, profile: profile, version: version) }
    let report = BenchReport(options: bench)
    let progress = ProgressLine(quiet: bench.quiet, stage: "reading")
    defer { progress.end() }
    Interrupt.letFirstPass()
    var options = KVBench.Options()
    options.points = bench.points
    options.course = bench.course(progress)
    let paths = try Failure.about("bench") { try BenchFiles.list(self.paths, endings: BenchFiles.cacheEndings) }
    let measuring = KVBench(codecs: codecs, options: options)
    let run = BenchRun(started: BenchRun.now, command: BenchReport.commandLine, nccodec: version, workers: options.course.workers)
    var results = try measuring.prepare(paths, run: run, previous: try report.previous())
    results = try Failure.about(bench.out ?? "bench") { try measuring.run(results, save: report.save) }
    progress.end()
    try report.finish(results, anchor: "q8_0", measure: "snr")
  }
}
