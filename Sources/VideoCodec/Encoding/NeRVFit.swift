import Autograd
import Glibc
import Tensors

/// How a segment's frames are fitted.
package struct NeRVSettings: Sendable, Equatable {
  package enum Cost: Sendable, Equatable {
    /// The loss is the mean squared error of samples 0...1 + lambda * bits per pixel.
    case lambda(Double)
    /// What leads to the bits that are best spent on a network of its size, about.
    case balanced
    /// What leads to so many bits.
    case bits(Double)

    /// Bits that all is to have, if it has so many numbers; nil where bits have a price instead.
    func wantedBits(numbers: Double) -> Double? {
      switch self {
      case .lambda: nil
      case .balanced: NeRVFit.balancedBits * numbers
      case .bits(let bits): bits
      }
    }
  }

  package enum Method: Sendable, Equatable {
    /// Matrices by `Muon`, the rest by Adam, from a network that makes the frames' mean colour.
    case orthogonal
    /// Adam for all, with this largest rate, as the authors of HNeRV fit (4.1: 1e-3, two frames an iteration).
    case published(rate: Double)

    /// Channels of HNeRV's encoder. With Muon, 16 fit as well as 64 in half the time, and embeddings cost less; 8 are worse.
    var encoderWidth: Int { self == .orthogonal ? 16 : 64 }
  }

  /// Times that each frame is seen.
  package var epochs = 30
  package var cost = Cost.balanced
  package var method = Method.orthogonal
  /// Share of the epochs, the last ones, in which everything is rounded; 0 for a fit without, of floats.
  package var roundedShare = 0.8
  /// Frames of an iteration.
  package var batch = 1
  package var seed: UInt64 = 1

  package init() {}
}

/// Fits a network to the frames of a segment. The result does not depend on threads.
package final class NeRVFit: NetworkFit {
  package let settings: NeRVSettings
  package let graph: NeRVGraph
  package let frameCount: Int
  /// Iterations done.
  package private(set) var iteration = 0
  /// In dB: mean over the frames of the last epoch, as they were when they were seen; of the one that goes on, before the first has ended.
  package var psnr: Double { lastPSNR ?? (seen > 0 ? sum / Double(seen) : 0) }

  private let load: (Int, Variable) -> Void
  private let iterationsPerEpoch: Int
  package let iterations: Int
  private let optimiser: NeRVOptimiser
  private var order: [Int] = []
  private var random: SplitMix64
  /// What the writer's bytes are of the estimate, by the last epoch's end.
  private var coding = 1.0
  /// Of HNeRV, by frame: the embedding and its estimated bits when it was seen last.
  private var embeddings: [[Float]]
  private var embeddingBits: [Float]
  private var (sum, seen, lastPSNR): (Double, Int, Double?) = (0, 0, nil)

  /// `load` puts a frame's samples, 0...1, into a variable [3, h, w] that may be larger than the frame (`VideoFrame.load(into:)`).
  package init(_ architecture: NeRVArchitecture, frames: Int, settings: NeRVSettings, load: @escaping (Int, Variable) -> Void) {
    precondition(frames > 0 && settings.epochs > 0 && settings.batch > 0, "there is something to fit")
    (self.settings, self.load, frameCount) = (settings, load, frames)
    graph = NeRVGraph(architecture, batch: min(settings.batch, frames), encoderWidth: settings.method.encoderWidth, seed: settings.seed)
    random = SplitMix64(seed: settings.seed &+ 2)
    embeddings = Array(repeating: Array(repeating: 0, count: architecture.hasEmbeddings ? architecture.embedding.count : 0), count: frames)
    embeddingBits = Array(repeating: 0, count: frames)
    iterationsPerEpoch = (frames + graph.frames.count - 1) / graph.frames.count
    iterations = settings.epochs * iterationsPerEpoch
    optimiser = NeRVOptimiser(graph, settings, iterations: iterations)
    // Of some frames.
    if settings.method == .orthogonal { graph.beginAtMean(of: stride(from: 0, to: frames, by: max(1, frames / 4)), load) }
  }

  package var rounds: Bool { graph.decoder.weights[0].rounding.isOn }

  /// Estimate of what weights and embeddings take; nil before they are rounded.
  package var bits: Double? {
    guard rounds else { return nil }
    return estimate * coding
  }

  /// Of all weights, by the last iteration.
  private var weightBits = 0.0
  private var estimate: Double { weightBits + embeddingBits.reduce(0) { $0 + Double($1) } }

  /// What a bit costs at present.
  package private(set) var lambda = 0.0

  package func step(threads: Int) {
    let batch = graph.frames.count
    if iteration % iterationsPerEpoch == 0 { shuffle() }
    let first = iteration % iterationsPerEpoch * batch
    let numbers = graph.frames.indices.map { order[(first + $0) % frameCount] }
    for (number, frame) in zip(numbers, graph.frames) { load(number, into: frame) }
    if !rounds, Double(iteration) >= Double(iterations) * (1 - settings.roundedShare), settings.roundedShare > 0 { beginRounding(threads: threads) }
    if rounds { followRate() }
    graph.tape.run(threads: threads, iteration: iteration)
    weightBits = graph.decoder.bits
    optimiser.step(iteration, rounded: rounds ? roundedPart : nil, threads: threads)
    for (number, frame) in zip(numbers, graph.frames) {
      sum += frame.psnr(pixels: graph.pixels)
      if let rounding = frame.rounding { (embeddings[number], embeddingBits[number]) = (frame.stageInput.elements, Float(rounding.bits)) }
    }
    seen += batch
    iteration += 1
    if iteration % iterationsPerEpoch == 0 {
      (lastPSNR, sum, seen) = (sum / Double(seen), 0, 0)
      if rounds { coding = Double(8 * bytes) / max(estimate, 1) }
    }
  }

  private func load(_ number: Int, into frame: NeRVGraph.Frame) {
    load(number, frame.target)
    graph.setNumber(number, of: frameCount, in: frame)
    frame.reference?.load(number > 0 ? embeddings[number - 1] : Array(repeating: 0, count: graph.architecture.embedding.count))
  }

  /// Bits that a number of a network comes to where they are spent well. Short fits of bikes are best near 0.7, with a network of three times the
  /// numbers and the time; carphone near 2.
  package static let balancedBits = 2.0

  /// Bits that all is to have.
  private var wantedBits: Double? {
    settings.cost.wantedBits(numbers: Double(graph.architecture.parameterCount + graph.architecture.embeddingCount(frames: frameCount)))
  }

  /// Share of the iterations with rounding that are done.
  private var roundedPart: Double {
    let begin = Double(iterations) * (1 - settings.roundedShare)
    return max(0, min(1, (Double(iteration) - begin) / (Double(iterations) - begin)))
  }

  /// Steps of the first rounding; from here on bits cost.
  private func beginRounding(threads: Int) {
    graph.tape.forward(threads: threads, iteration: iteration)
    graph.beginRounding(frames: frameCount)
    if case .lambda(let lambda) = settings.cost {
      self.lambda = lambda
    } else if let wantedBits {
      lambda = Self.firstLambda(psnr: psnr, bits: wantedBits, pixels: graph.pixels * frameCount)
    }
    graph.setCost(lambda, frames: frameCount)
  }

  /// At the end, when the error will be some eighth of what it is, a percent of the bits shall be worth as much as one of the error.
  static func firstLambda(psnr: Double, bits: Double, pixels: Int) -> Double {
    let squares = psnr > 0 ? pow(10, -psnr / 10) : 0.01
    return squares / 8 / (max(1, bits) / Double(pixels))
  }

  /// Moves the cost of bits towards where the wanted number of them results, once steps had time to follow the first one. Bits fall on by themselves while
  /// rates do, and late ones hardly move at all: more than is wanted is aimed at before the last fifth.
  private func followRate() {
    guard let wanted = wantedBits, roundedPart > 0.1, let bits, bits > 0 else { return }
    lambda = Self.cost(after: lambda, bits: bits, wanted: wanted, part: roundedPart / 0.8, gain: 40 / (Double(iterations) * settings.roundedShare))
    graph.setCost(lambda, frames: frameCount)
  }

  /// The next cost of bits, once this part of the iterations is done in which their number is to come down to what is wanted.
  static func cost(after lambda: Double, bits: Double, wanted: Double, part: Double, gain: Double) -> Double {
    let excess = max(-1, min(1, log(bits / (wanted * (1.3 - 0.3 * min(1, part))))))
    return max(1e-8, min(100, lambda * exp(gain * excess)))
  }

  /// Of the network as it is now, and embeddings as they were seen last.
  private var bytes: Int {
    let inverse = exp2f(-graph.embeddingStep.value[0])
    return SegmentWriter.bytes(
      of: graph.decoder.numbers, embeddings: embeddings.flatMap { $0.map { NeRVParameters.embedding($0 * inverse) } }, graph.architecture)
  }

  private func shuffle() {
    order = Array(0..<frameCount)
    for i in stride(from: frameCount - 1, to: 0, by: -1) { order.swapAt(i, Int(random.next() % UInt64(i + 1))) }
  }

  private var parameters: [Parameter] { graph.decoder.trained + graph.encoderParameters + graph.decoder.steps + [graph.embeddingStep] }

  /// All that a fit of the same frames and settings needs to go on; the inverse is `restore(_:)`.
  package var state: [UInt8] {
    var state = FitStateWriter()
    state.append(
      [
        UInt64(iteration), random.state, UInt64(seen), rounds ? 1 : 0, sum.bitPattern, (lastPSNR ?? -1).bitPattern, coding.bitPattern, lambda.bitPattern,
        weightBits.bitPattern,
      ] as [UInt64])
    state.append(order.map { UInt32($0) })
    state.append(parameters.flatMap(\.elements) + embeddings.flatMap { $0 } + embeddingBits + optimiser.state)
    return state.bytes
  }

  /// Goes on from a state. False for one of other frames or settings; the fit is of no use then.
  package func restore(_ state: ArraySlice<UInt8>) -> Bool {
    var state = FitStateReader(state)
    guard let words = state.numbers(9, of: UInt64.self), words[0] <= UInt64(iterations), words[2] <= UInt64(frameCount + settings.batch),
      let places = state.numbers(words[0] == 0 ? 0 : frameCount, of: UInt32.self), places.allSatisfy({ $0 < frameCount }), state.load(parameters)
    else { return false }
    order = places.map { Int($0) }
    for frame in embeddings.indices {
      guard let seen = state.floats(embeddings[frame].count) else { return false }
      embeddings[frame] = seen
    }
    guard let bits = state.floats(frameCount), let rest = state.floats(), optimiser.restore(rest[...]) else { return false }
    embeddingBits = bits
    (iteration, random, seen) = (Int(words[0]), SplitMix64(seed: words[1]), Int(words[2]))
    (sum, coding, lambda) = (Double(bitPattern: words[4]), Double(bitPattern: words[6]), Double(bitPattern: words[7]))
    weightBits = Double(bitPattern: words[8])
    lastPSNR = Double(bitPattern: words[5]) >= 0 ? Double(bitPattern: words[5]) : nil
    if words[3] == 1 { graph.isRounding(cost: lambda, frames: frameCount) }
    return true
  }

  /// Calls `body` with the number and the graph's part of each frame, after a forward pass over it.
  package func forEachFrame(threads: Int, _ body: (Int, NeRVGraph.Frame) -> Void) {
    let batch = graph.frames.count
    for first in stride(from: 0, to: frameCount, by: batch) {
      for (k, frame) in graph.frames.enumerated() { load(min(first + k, frameCount - 1), into: frame) }
      graph.tape.forward(threads: threads, iteration: iteration)
      for (k, frame) in graph.frames.enumerated() where first + k < frameCount { body(first + k, frame) }
    }
  }
}
