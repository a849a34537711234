import Autograd
import Glibc

/// How a segment's frames are fitted.
package struct NeRVSettings: Sendable, Equatable {
  /// Times that each frame is seen.
  package var epochs = 30
  /// What bits cost: the loss is the mean squared error of samples 0...1 + lambda * bits per pixel.
  package var lambda = 0.02
  /// Share of the epochs in which everything is rounded; 0 for a fit without, of floats.
  package var roundedShare = 0.3
  /// Frames of an iteration.
  package var batch = 2
  /// Largest learning rate, reached after a tenth of the epochs, from where it falls along a cosine to 0.
  package var rate = 1e-3
  package var seed: UInt64 = 1

  package init() {}
}

/// Fits a network to the frames of a segment. The result does not depend on threads.
package final class NeRVFit {
  package let settings: NeRVSettings
  package let graph: NeRVGraph
  package let frameCount: Int
  /// Iterations done.
  package private(set) var iteration = 0
  /// In dB: mean over the frames of the last epoch, as they were when they were seen; of the one that goes on, before the first has ended.
  package var psnr: Double { lastPSNR ?? (seen > 0 ? sum / Double(seen) : 0) }

  private let load: (Int, Variable) -> Void
  private let adam = Adam()
  private var order: [Int] = []
  private var random: SplitMix64
  private var (sum, seen, lastPSNR): (Double, Int, Double?) = (0, 0, nil)

  /// `load` puts a frame's samples, 0...1, into a variable [3, h, w] that may be larger than the frame (`load(frame:into:)`).
  package init(_ architecture: NeRVArchitecture, frames: Int, settings: NeRVSettings, load: @escaping (Int, Variable) -> Void) {
    precondition(frames > 0 && settings.epochs > 0 && settings.batch > 0, "there is something to fit")
    (self.settings, self.load, frameCount) = (settings, load, frames)
    graph = NeRVGraph(architecture, batch: min(settings.batch, frames), seed: settings.seed)
    random = SplitMix64(seed: settings.seed &+ 2)
    for parameter in graph.decoder.trained + graph.encoderParameters { adam.add(parameter) }
    // Their values are logarithms, which have further to go.
    for step in graph.decoder.steps + [graph.embeddingStep] { adam.add(step, rate: 20) }
  }

  package var iterationsPerEpoch: Int { (frameCount + graph.frames.count - 1) / graph.frames.count }
  package var iterations: Int { settings.epochs * iterationsPerEpoch }
  package var isDone: Bool { iteration >= iterations }
  package var epoch: Int { iteration / iterationsPerEpoch }
  package var rounds: Bool { graph.frames[0].rounding.isOn }

  /// Estimate of what weights and embeddings take; nil before they are rounded.
  package var bits: Double? {
    guard rounds else { return nil }
    let embeddings = graph.frames.reduce(0) { $0 + $1.rounding.bits } / Double(graph.frames.count)
    return graph.decoder.bits + embeddings * Double(frameCount)
  }

  package func step(threads: Int) {
    let batch = graph.frames.count
    if iteration % iterationsPerEpoch == 0 { shuffle() }
    let first = iteration % iterationsPerEpoch * batch
    for (k, frame) in graph.frames.enumerated() { load(order[(first + k) % frameCount], frame.target) }
    if !rounds, Double(iteration) >= Double(iterations) * (1 - settings.roundedShare), settings.roundedShare > 0 {
      graph.tape.forward(threads: threads, iteration: iteration)
      graph.beginRounding(lambda: settings.lambda, frames: frameCount)
    }
    graph.tape.run(threads: threads, iteration: iteration)
    adam.step(rate: Float(settings.rate * schedule), threads: threads)
    for frame in graph.frames { sum += frame.psnr(pixels: graph.pixels) }
    seen += batch
    iteration += 1
    if iteration % iterationsPerEpoch == 0 { (lastPSNR, sum, seen) = (sum / Double(seen), 0, 0) }
  }

  private var schedule: Double {
    let part = Double(iteration) / Double(iterations)
    return part < 0.1 ? 0.1 + 9 * part : 0.5 * (1 + cos(.pi * (part - 0.1) / 0.9))
  }

  private func shuffle() {
    order = Array(0..<frameCount)
    for i in stride(from: frameCount - 1, to: 0, by: -1) { order.swapAt(i, Int(random.next() % UInt64(i + 1))) }
  }

  /// Calls `body` with the number and the graph's part of each frame, after a forward pass over it.
  package func forEachFrame(threads: Int, _ body: (Int, NeRVGraph.Frame) -> Void) {
    let batch = graph.frames.count
    for first in stride(from: 0, to: frameCount, by: batch) {
      for (k, frame) in graph.frames.enumerated() { load(min(first + k, frameCount - 1), frame.target) }
      graph.tape.forward(threads: threads, iteration: iteration)
      for (k, frame) in graph.frames.enumerated() where first + k < frameCount { body(first + k, frame) }
    }
  }
}
