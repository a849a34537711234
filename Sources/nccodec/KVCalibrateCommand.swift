import ArgumentParser
import MediaIO
import NeuralCodecs

struct KVCalibrateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "calibrate",
    abstract: "Learn a profile of a model from its KV caches, for effort 9.",
    discussion: """
      Caches of many kinds of text make a profile that serves many kinds of text: some tens of caches of a thousand tokens \
      each. --sensitivity says what noise costs the model (Training/kv/sensitivity.py makes it); without, all channels of a \
      layer's keys count alike, and so do its values'. Files that are encoded with a profile name it by its hash and need it \
      to be decoded.

      Examples:
        nccodec kv calibrate --out m.ncprofile --sensitivity s.safetensors caches/*
        nccodec encode --effort 9 --profile m.ncprofile cache.safetensors cache.ncb
        nccodec decode --profile m.ncprofile cache.ncb cache.safetensors
      """)

  @Argument(help: ArgumentHelp("Caches of one model.", valueName: "cache"))
  var caches: [String]

  @Option(help: ArgumentHelp("The profile to write; - for standard output.", valueName: "file"))
  var out: String

  @Option(help: ArgumentHelp("What noise costs the model, a safetensors file.", valueName: "file"))
  var sensitivity: String?

  @Option(
    help: ArgumentHelp(
      "Numbers that pass from layer to layer, a multiple of 16: more make files smaller, and the profile larger and slower.",
      valueName: "16...1024"))
  var state = 192

  @Option(help: ArgumentHelp("Tokens to learn from, at most.", valueName: "n"))
  var tokens = 36_000

  @Option(help: ArgumentHelp("Threads to use. (default: one per core)", valueName: "n"))
  var threads: Int?

  @Flag(help: "Replace the profile if it exists.")
  var force = false

  @Flag(help: "Print errors only.")
  var quiet = false

  func validate() throws {
    try validate(threads: threads)
    if caches.isEmpty { throw ValidationError("There is no cache to learn from.") }
    if tokens < 1 { throw ValidationError("--tokens \(tokens) is not above 0.") }
    if !(16...1024).contains(state) || state % 16 != 0 { throw ValidationError("--state \(state) is no multiple of 16 in 16...1024.") }
  }

  func run() throws {
    let target = Console.name(out, input: false)
    try Console.refuseTerminal(out, suffix: "ncprofile")
    let progress = ProgressLine(quiet: quiet, stage: "reading")
    defer { progress.end() }
    var file: AtomicFile
    do { file = try AtomicFile(out, overwrite: force) } catch { throw Failure(error, at: target) }
    let read = try caches.map { path in try Failure.about(path) { try KVCacheReader.read(path) } }
    let known = try sensitivity.map { path in try Failure.about(path) { try KVSensitivity(try KVTensorFile.read(path)) } }
    var options = KVCalibration.Options()
    (options.stateSize, options.tokens, options.threads) = (state, tokens, threads)
    options.progress = progress.handler
    let bytes = try Failure.about("calibration") { try KVCalibration.profile(of: read, sensitivity: known, options: options) }
    let profile = try Failure.about(target) { try KVProfile(reading: bytes) }
    do {
      try file.write(bytes)
      try file.commit()
    } catch { throw Failure(error, at: target) }
    progress.end()
    if !quiet {
      Console.print(
        Console.oneLine("\(target): profile \(profile.shortHash)\(profile.model.isEmpty ? "" : " of \(profile.model)"), \(bytes.count) bytes, from \(read.count) caches"),
        to: Console.reportStream(besideOutput: out))
    }
  }
}
