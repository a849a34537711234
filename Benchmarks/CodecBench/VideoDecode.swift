import ArgumentParser
import Foundation
import Tensors
import VideoCodec

/// How fast frames of a video are made by a network in integers. Its weights are random: their values do not matter to the time.
struct VideoDecode: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "video-decode", abstract: "Times the decoder of NeRV-type networks, as JSON.",
    discussion: "NCCODEC_SIMD caps what instructions it uses, as everywhere.")

  @Option(help: "Numbers of the network with the embeddings of 132 frames.") var parameters = 350_000
  @Option(help: "hnerv, nerv or nervpp.") var codec = "hnerv"
  @Flag(help: "HNeRV with kernels of 3 x 3 in its last stages.") var cheapBlocks = false
  @Option(help: "Pixels, a multiple of 320.") var width = 1280
  @Option(help: "Pixels, a multiple of 320.") var height = 640
  @Option(help: "Frames to time.") var frames = 24
  @Option(help: "Frames that are decoded together; twice the threads by default.") var together: Int?
  @Option(help: "Threads, several numbers for several measurements.") var threads = [1, 2]
  @Flag(help: "Without instructions that multiply pairs and add in one (VNNI), as on older CPUs.") var plain = false

  func run() throws {
    guard width > 0, height > 0, width % 320 == 0, height % 320 == 0 else { throw ValidationError("sides must be multiples of 320") }
    guard frames > 0, together ?? 1 > 0, threads.allSatisfy({ $0 > 0 }) else { throw ValidationError("counts must be positive") }
    guard let codec = VideoEncoder.Codec(rawValue: codec), codec != .nirvana else { throw ValidationError("there is no codec \(codec) here") }
    let architecture = NeRVArchitecture.of(codec, width: width, height: height, frames: 132, parameters: parameters, cheapBlocks: cheapBlocks)
    var random = SystemRandomNumberGenerator()
    let layers = architecture.layers.map { stage in
      NeRVLayer(
        weights: (0..<stage.weightCount).map { _ in .random(in: -63...63, using: &random) },
        biases: (0..<stage.biasCount).map { _ in .random(in: -1000...1000, using: &random) }, shift: 10, multiplier: 20000, fraction: 10)
    }
    let kernels = plain ? NeRVKernels.at(Kernels.current.level, dot: false)! : .current
    let decoder = try NeRVFrameDecoder(NeRVNetwork(architecture, layers: layers), kernels: kernels)
    let reports = try threads.map { threads in
      let together = together ?? 2 * threads
      let embeddings = (0..<together * architecture.embedding.count).map { _ in Int16.random(in: -4000...4000, using: &random) }
      _ = try decoder.frames(embeddings, threads: threads)
      var (seconds, cpu, made) = ([Double](), [Double](), 0)
      while made < frames {
        let start = ContinuousClock.now, used = FitSpeed.processSeconds
        made += try decoder.frames(embeddings, threads: threads).count
        seconds.append((ContinuousClock.now - start).inSeconds / Double(together))
        cpu.append((FitSpeed.processSeconds - used) / Double(together))
      }
      return Report(
        kernels: kernels.name, width: width, height: height, parameters: architecture.parameterCount,
        gigaMAC: Double(architecture.multiplications) / 1e9, threads: threads, together: together,
        framesPerSecond: Double(seconds.count) / seconds.reduce(0, +), bestFramesPerSecond: 1 / seconds.min()!,
        cpuMilliseconds: 1e3 * cpu.reduce(0, +) / Double(cpu.count))
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    for report in reports { print(String(decoding: try encoder.encode(report), as: UTF8.self)) }
  }

  struct Report: Encodable {
    let kernels: String
    let width, height, parameters: Int
    /// Of a frame.
    let gigaMAC: Double
    let threads, together: Int
    /// On the mean, and of the fastest group that was decoded together.
    let framesPerSecond, bestFramesPerSecond: Double
    /// Of a frame, of all threads together.
    let cpuMilliseconds: Double
  }
}
