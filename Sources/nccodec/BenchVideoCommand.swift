import ArgumentParser
import Benchmarking
import MediaIO
import NeuralCodecs

struct BenchVideoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "video",
    abstract: "Measure codecs of video: rate, quality and time on your own clips.",
    discussion: """
      Every codec gets the same frames, R'G'B' of 8 bits: those that --start, --duration and --frames leave, scaled by --scale, \
      of which --crop keeps the middle. Ours are hnerv, nerv, nervpp and nirvana, fitted on all cores. Others run through libavcodec, on one thread: x264 \
      and x265 (preset medium), svtav1 (preset 8), with --points rate factors each (crf 46 to 18, 46 to 20, 63 to 25); one that \
      this libavcodec lacks is named as missing.

      Rates are bits per pixel without sound: of our whole files, of the others' packets. PSNR is of R, G and B together; it and \
      MS-SSIM are means over the frames (MS-SSIM of frames with more than 160 pixels a side). At the end there is what every \
      codec takes for the PSNR of each point of ours, clip by clip, between its points.

      Ours take minutes to hours a point. Report, resuming and Ctrl-C are as of 'bench image'.

      Examples:
        nccodec bench video film.mp4 --duration 10 --scale 640x360 --out report
        nccodec bench video film.mp4 --crop 1280x640 --params 0.35M --epochs 30
        nccodec bench video clips --codecs x264,x265,svtav1 --points 8
      """)

  @Argument(help: ArgumentHelp("Videos, or folders of them.", valueName: "files"))
  var paths: [String]

  @Option(help: ArgumentHelp("The codecs, with commas between them.", valueName: "names"))
  var codecs = VideoBenchCodecs.standard.joined(separator: ",")

  @Option(help: ArgumentHelp("The qualities of ours, 0 to 100, with commas. (default: 25,50,75)", valueName: "numbers"))
  var qualities: String?

  @Option(help: ArgumentHelp("In their place, weights and embeddings of its networks, such as 0.35M,1.5M.", valueName: "numbers"))
  var params: String?

  @Option(help: ArgumentHelp("The effort of ours.", valueName: "1...9"))
  var effort = 3

  @Option(help: ArgumentHelp("How often ours fits each frame. (default: by --effort, 5 to 600)", valueName: "n"))
  var epochs: Int?

  @Option(help: ArgumentHelp("Begin at that time, such as 90, 1:30 or 0:01:30.5.", valueName: "time"))
  var start: String?

  @Option(help: ArgumentHelp("Measure that much of each clip. (default: to the end)", valueName: "time"))
  var duration: String?

  @Option(help: ArgumentHelp("Measure so many frames of each clip. (default: all)", valueName: "n"))
  var frames: Int?

  @Option(help: ArgumentHelp("Scale frames to that many pixels.", valueName: "WxH"))
  var scale: String?

  @Option(help: ArgumentHelp("Keep that many pixels of their middle.", valueName: "WxH"))
  var crop: String?

  @Option(help: ArgumentHelp("The measures to take: psnr, psnrYUV, ssim, msssim.", valueName: "names"))
  var measures = VideoMeasures.standard.joined(separator: ",")

  @OptionGroup var bench: BenchOptions

  func validate() throws {
    if paths.isEmpty { throw ValidationError("No videos were given.") }
    for name in try BenchOptions.names(codecs) {
      do { try VideoBenchCodecs.check(name) } catch { throw ValidationError("\(error).") }
    }
    if qualities != nil, params != nil { throw ValidationError("--qualities and --params say the same in two ways; give one of them.") }
    _ = try ours()
    _ = try cut()
    _ = try wantedMeasures()
  }

  private func ours() throws -> OurVideoCodec.Options {
    var options = OurVideoCodec.Options()
    if let qualities {
      options.rates = .qualities(
        try Self.list(qualities) { text in
          guard let quality = Double(text), (0...100).contains(quality) else { throw ValidationError("--qualities: '\(text)' is no number in 0...100.") }
          return quality
        })
    }
    if let params {
      options.rates = .parameters(
        try Self.list(params) { text in
          guard let count = VideoEncodeOptions.count(text) else { throw ValidationError("--params: '\(text)' is no number above 0 such as 350000 or 0.35M.") }
          return count
        })
    }
    if !(1...9).contains(effort) { throw ValidationError("--effort \(effort) is not in 1...9.") }
    if let epochs, !(1...1_000_000).contains(epochs) { throw ValidationError("--epochs \(epochs) is not in 1...1000000.") }
    (options.effort, options.epochs) = (effort, epochs)
    return options
  }

  private static func list<Value>(_ text: String, _ value: (String) throws -> Value) throws -> [Value] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { try value(String($0)) }
  }

  private func cut() throws -> VideoCut {
    var cut = VideoCut()
    func seconds(_ name: String, _ text: String?) throws -> Double? {
      guard let text else { return nil }
      guard let seconds = AudioDecodeOptions.seconds(text), seconds <= 1e9 else {
        throw ValidationError("--\(name) \(text) is no time such as 90, 1:30 or 0:01:30.5.")
      }
      return seconds
    }
    func size(_ name: String, _ text: String?) throws -> (width: Int, height: Int)? {
      guard let text else { return nil }
      guard let size = VideoEncodeOptions.size(text) else {
        throw ValidationError("--\(name) \(text) is no size such as 640x360, of 1 to 65535 pixels a side.")
      }
      return size
    }
    (cut.start, cut.duration) = (try seconds("start", start) ?? 0, try seconds("duration", duration))
    if cut.duration == 0 { throw ValidationError("--duration \(duration ?? "") is not above 0.") }
    if let frames, frames < 1 { throw ValidationError("--frames \(frames) is not above 0.") }
    (cut.frames, cut.size, cut.crop) = (frames, try size("scale", scale), try size("crop", crop))
    return cut
  }

  private func wantedMeasures() throws -> [any ImageMeasure] {
    let names = measures.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    let all = VideoMeasures.all
    for name in names where !all.contains(where: { $0.name == name }) {
      throw ValidationError("No measure of video is called '\(name)'; there are \(all.map(\.name).joined(separator: ", ")).")
    }
    return all.filter { names.contains($0.name) }
  }

  func run() throws {
    let version = Build.version(release: NCCodec.release)
    let ours = try ours()
    let codecs = try BenchOptions.names(codecs).map { try VideoBenchCodecs.named($0, ours, version: version) }
    let report = BenchReport(options: bench)
    let progress = ProgressLine(quiet: bench.quiet, stage: "reading")
    defer { progress.end() }
    Interrupt.letFirstPass()
    var options = VideoBench.Options()
    (options.points, options.cut, options.course) = (bench.points, try cut(), bench.course(progress))
    let paths = try Failure.about("bench") { try BenchFiles.list(self.paths, endings: BenchFiles.videoEndings) }
    let measuring = VideoBench(codecs: codecs, measures: try wantedMeasures(), options: options)
    let run = BenchRun(started: BenchRun.now, command: BenchReport.commandLine, nccodec: version, workers: options.course.workers)
    var results = try measuring.prepare(paths, run: run, previous: try report.previous())
    results = try Failure.about(bench.out ?? "bench") { try measuring.run(results, save: report.save) }
    progress.end()
    try report.finish(results, anchor: "x264", measure: "psnr")
  }
}
