import ArgumentParser
import Benchmarking
import Foundation
import Media
import Metrics
import VideoCodec

/// One fit to a clip, with all that a measurement beside the authors' code wants to know; `Benchmarks/hnerv.sh` and `nerv.sh` run it.
struct VideoFit: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "video-fit", abstract: "Fits HNeRV, NeRV, NeRV++ or NIRVANA to a clip, and tells its PSNR as floats and in integers, its bytes and CPU time, as JSON.",
    discussion: "Fits as nccodec does, or with --published as the authors do. What an epoch comes to goes to standard error.")

  @Argument(help: "A clip.") var clip: String
  @Option(help: "Pixels of the middle that are fitted, WIDTHxHEIGHT.") var crop: String?
  @Option(help: "The first so many frames.") var frames: Int?
  @Option(help: "hnerv, nerv, nervpp or nirvana.") var codec = "hnerv"
  @Option(help: "Numbers of network and embeddings.") var parameters = 350_000
  @Flag(help: "HNeRV with kernels of 3 x 3 in its last stages.") var cheapBlocks = false
  @Option(help: "How often each frame is seen.") var epochs = 30
  @Flag(help: "The authors' setting: Adam at 1e-3, two frames an iteration, nothing rounded.") var published = false
  @Option(help: "The share of the epochs in which all is rounded; by default as nccodec does.") var rounded: Double?
  @Option(help: "What a bit per pixel costs then; by default what leads to the bits that suit the network.") var lambda: Double?
  @Option(help: "Threads.") var threads = 2
  @Option(help: "A file for the segment's data.") var out: String?

  func run() throws {
    var cut = VideoCut()
    cut.frames = frames
    if let crop {
      let sides = crop.split(separator: "x").compactMap { Int($0) }
      guard sides.count == 2, sides.allSatisfy({ $0 > 0 }) else { throw ValidationError("--crop is WIDTHxHEIGHT") }
      cut.crop = (sides[0], sides[1])
    }
    guard epochs > 0, threads > 0, rounded.map((0...1).contains) ?? true else { throw ValidationError("counts must be positive, and the share 0 to 1") }
    let source = try VideoClip(clip, cut)
    var (all, left): ([VideoFrame], ClipSource) = ([], try source.source())
    while let frame = try left.next() { all.append(frame) }
    let frames = all
    let (width, height) = (source.format.width, source.format.height)
    guard let codec = VideoEncoder.Codec(rawValue: codec) else { throw ValidationError("there is no codec \(codec)") }
    let architecture = NeRVArchitecture.of(
      codec, width: width, height: height, frames: frames.count, parameters: parameters, cheapBlocks: cheapBlocks)
    var settings = NeRVSettings()
    settings.epochs = epochs
    if published { (settings.method, settings.batch, settings.roundedShare) = (.published(rate: 1e-3), 2, 0) }
    if let rounded { settings.roundedShare = rounded }
    if let lambda { settings.cost = .lambda(lambda) }
    let fit = architecture.fit(frames: frames.count, settings: settings) { frames[$0].load(into: $1) }
    let mark = max(1, fit.iterations / epochs)
    let started = FitSpeed.processSeconds
    while !fit.isDone {
      fit.step(threads: threads)
      guard fit.iteration % mark == 0 || fit.isDone else { continue }
      let bits = fit.bits.map { String(format: ", %.3f bits a weight", $0 / Double(architecture.parameterCount)) } ?? ""
      let time = String(format: ", %.0f CPU s\n", FitSpeed.processSeconds - started)
      let line = String(format: "iteration %d: PSNR %.3f dB", fit.iteration, fit.psnr) + bits + time
      FileHandle.standardError.write(Data(line.utf8))
    }
    let seconds = FitSpeed.processSeconds - started
    var floats = 0.0
    if let fit = fit as? NeRVFit {
      fit.forEachFrame(threads: threads) { _, frame in floats += frame.psnr(pixels: width * height) }
    } else {
      floats = fit.psnr * Double(frames.count)
    }
    let segment = fit.segment(threads: threads)
    let bytes = try SegmentWriter.bytes(of: segment)
    if let out { try Data(bytes).write(to: URL(fileURLWithPath: out)) }
    let decoder = try NetworkSegments.open(bytes[...], SegmentShape(frames: frames.count, width: width, height: height, maxMemory: .max))
    var integers = 0.0
    for (i, frame) in frames.enumerated() {
      let samples = try decoder.samples(of: i..<i + 1, threads: threads)[0]
      integers += try psnr(frame, VideoFrame(width: width, height: height, samples: samples, time: frame.time, duration: frame.duration))
    }
    let count = Double(frames.count)
    let report = Report(
      width: width, height: height, frames: frames.count, weights: architecture.parameterCount, embeddings: segment.embeddings.count, epochs: epochs,
      published: published, rounded: settings.roundedShare, lambda: fit.lambda, floatPSNR: floats / count, psnr: integers / count, bytes: bytes.count,
      bitsPerNumber: 8 * Double(bytes.count) / Double(architecture.parameterCount + segment.embeddings.count),
      bitsPerPixel: 8 * Double(bytes.count) / Double(width * height) / count, cpuSeconds: seconds)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(report), as: UTF8.self))
  }

  struct Report: Encodable {
    let width, height, frames, weights, embeddings, epochs: Int
    let published: Bool
    let rounded, lambda: Double
    /// Means over frames, in dB: of what the fit makes, once rounded if anything is, and of what a decoder makes.
    let floatPSNR, psnr: Double
    let bytes: Int
    let bitsPerNumber, bitsPerPixel, cpuSeconds: Double
  }
}
