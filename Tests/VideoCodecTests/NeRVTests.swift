import Autograd
import Testing
import VideoCodec

struct NeRVTests {
  /// Counts of the authors' code for 132 frames of 640x1280, and multiply-adds as measured on it (references/video.md).
  @Test(arguments: [(350_000, 5.9), (750_000, 13.9), (1_500_000, 28.8), (3_000_000, 59)])
  func hnervIsAsLargeAsPublished(parameters: Int, giga: Double) {
    let architecture = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: parameters)
    let embeddings = 132 * architecture.embedding.channels * architecture.embedding.height * architecture.embedding.width
    #expect(embeddings == 132 * 128)
    #expect(abs(Double(architecture.parameterCount + embeddings) / Double(parameters) - 1) < 0.07)
    #expect(abs(Double(architecture.multiplications) / 1e9 / giga - 1) < 0.02)
  }

  @Test func smallestHNeRVIsTheAuthors() {
    let architecture = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: 350_000)
    #expect(architecture.parameterCount == 312_830)
    #expect(architecture.stages.map(\.outputs) == [32, 27, 22, 18, 15, 12, 3])
    #expect(architecture.stages.map(\.side) == [1, 1, 3, 5, 5, 5, 3])
  }

  /// A short fit of two frames, with as many threads.
  private func fit(threads: Int) -> (losses: [Double], weights: [Float]) {
    let architecture = NeRVArchitecture.hnerv(width: 320, height: 320, frames: 2, parameters: 60_000)
    let graph = NeRVGraph(architecture, strides: NeRVArchitecture.strides, batch: 2, seed: 3)
    for (k, frame) in graph.frames.enumerated() {
      frame.target.load((0..<frame.target.count).map { Float($0 % 320 + $0 / 320 % 320 * (k + 1)) / 960 })
    }
    let adam = Adam()
    for parameter in graph.decoder.all + graph.encoderParameters { adam.add(parameter) }
    var losses: [Double] = []
    for i in 0..<12 {
      losses.append(graph.tape.run(threads: threads, iteration: i))
      adam.step(rate: 2e-3, threads: threads)
    }
    return (losses, graph.decoder.all.flatMap(\.elements) + graph.encoderParameters.flatMap(\.elements))
  }

  @Test func fitsAndDoesNotDependOnThreads() throws {
    let one = fit(threads: 1), three = fit(threads: 3)
    #expect(one.losses == three.losses)
    #expect(one.weights == three.weights)
    // 0.08 is the variance of such frames, nearly: a constant would leave that.
    #expect(try #require(one.losses.last) < 0.6 * one.losses[0])
  }
}
