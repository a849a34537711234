import Autograd
import Glibc
import Tensors

/// How a fitted picture's loss bends with its networks' numbers while its latents stay, estimated from random probes of crops.
///
/// For the squared error it is the Gauss-Newton matrix 2 w J^T J, w a square's weight and J the samples' derivatives; for the bits
/// of the grids, ln 2 times the sum over positions of g g^T, g the gradient of a position's bits (the empirical Fisher matrix).
/// A probe gives J^T s or the sum of s g, s random signs, whose outer product with itself has that matrix as its mean.
/// The two have no numbers in common.
package struct OverfitCurvature {
  /// The second derivatives by the entropy model's numbers, which come first, divided by `contextScale`.
  let context: GramMatrix
  /// Those by the other networks' numbers, divided by `synthesisScale`.
  let synthesis: GramMatrix
  let contextScale: Double
  let synthesisScale: Double

  /// Pixels of a crop's side.
  private static let side = 64
  /// A large picture's crops are some of all.
  private static let maximumCrops = 96
  private static let batch = 64

  /// - Parameters:
  ///   - grids: the latents, rounded, in coding order
  ///   - probes: of each crop
  ///   - trial: called now and then; may throw to stop
  package init(
    _ graph: OverfitGraph, grids: [[Int8]], prior: OverfitPrior, probes: Int, threads: Int, before trial: () throws -> Void
  ) rethrows {
    let a = graph.architecture
    var part = a
    part.width = min(a.width, Self.side)
    part.height = min(a.height, Self.side)
    let across = a.width / part.width, all = across * (a.height / part.height)
    let crops = min(all, Self.maximumCrops), samples = crops * probes
    let split = a.tensors.first { $0.group.rawValue > OverfitGroupKind.featureBiases.rawValue }!.offset
    context = GramMatrix(size: split, batch: Self.batch)
    synthesis = GramMatrix(size: a.parameterCount - split, batch: Self.batch)
    // Sums over probed pixels to means over the picture.
    let share = 1 / (Double(samples) * Double(part.width * part.height))
    contextScale = log(2) * graph.lambda * share
    synthesisScale = 2 * share / Double(a.outputs)

    let floats = graph.floats
    let workers = (0..<max(1, min(threads, Self.batch))).map { _ in Crop(part, of: a, floats: floats, prior: prior) }
    let (context, synthesis) = (context, synthesis)
    for first in stride(from: 0, to: samples, by: Self.batch) {
      try trial()
      parallelFor(workers.count, threads: threads) { w in
        for i in w * Self.batch / workers.count..<(w + 1) * Self.batch / workers.count {
          let sample = first + i
          guard sample < samples else {
            context.vector(i).update(repeating: 0, count: context.size)
            synthesis.vector(i).update(repeating: 0, count: synthesis.size)
            continue
          }
          let crop = sample / probes * all / crops
          workers[w].load(grids, x: crop % across * part.width, y: crop / across * part.height)
          let gradient = workers[w].probe(seed: UInt64(sample))
          for (k, g) in gradient.enumerated() {
            if k < split { context.vector(i)[k] = g } else { synthesis.vector(i)[k - split] = g }
          }
        }
      }
      context.addBatch(threads: threads)
      synthesis.addBatch(threads: threads)
    }
  }
}

/// A graph of one crop after another.
private final class Crop {
  private let graph: OverfitGraph
  private let grids: [OverfitArchitecture.Grid]
  private let target: Variable
  /// Of the grids' positions.
  private let signs: [Variable]
  private var place: (x: Int, y: Int)?
  /// What the networks make of the crop: [outputs, height, width].
  private var prediction: [Float] = []

  package init(_ part: OverfitArchitecture, of whole: OverfitArchitecture, floats: [Float], prior: OverfitPrior) {
    grids = whole.grids
    target = Variable("signs", channels: part.outputs, height: part.height, width: part.width, hasGradient: false)
    graph = OverfitGraph(part, target: target, initial: floats, prior: prior, lambda: 1)
    graph.setRounding(.plain)
    graph.rate.weight = 1
    graph.network.weight = 0
    graph.error.weight = 0.5
    precondition(graph.rate.sampling == 1, "a crop has few bands")
    signs = graph.grids.map {
      Variable("signs", channels: 1, height: $0.values.height, width: $0.values.width, hasGradient: false)
    }
    graph.rate.probes = signs
  }

  /// `values` are the whole picture's; (x, y) is the crop's first pixel.
  func load(_ values: [[Int8]], x: Int, y: Int) {
    if let place, place == (x, y) { return }
    place = (x, y)
    for (number, grid) in graph.grids.enumerated() {
      let whole = grids[number]
      var part: [Float] = []
      for row in 0..<grid.latents.height {
        let start = min((y >> whole.level) + row, whole.height - 1) * whole.width
        for column in 0..<grid.latents.width {
          part.append(Float(values[number][start + min((x >> whole.level) + column, whole.width - 1)]) / OverfitGraph.latentGain)
        }
      }
      grid.latents.load(part)
    }
    graph.tape.forward(threads: 1, iteration: 0)
    prediction = zip(graph.error.x.elements, graph.error.other!.elements).map(+)
  }

  /// The gradient by all parameters if errors and gradients of bits are random signs.
  func probe(seed: UInt64) -> [Float] {
    var random = RandomSigns(seed: seed)
    for sign in signs { sign.load((0..<sign.count).map { _ in random.next() }) }
    let range = graph.error.range
    target.load(
      prediction.map { y in
        let clamped = min(max(y, range.lowerBound), range.upperBound)
        // What is clamped does not move with the parameters.
        return y == clamped ? y - random.next() : clamped
      })
    graph.tape.run(threads: 1, iteration: 0)
    return graph.parameters.flatMap(\.gradientElements)
  }
}

/// -1 or 1.
private struct RandomSigns {
  private var random: SplitMix64
  private var bits: UInt64 = 0
  private var left = 0

  package init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func next() -> Float {
    if left == 0 { (bits, left) = (random.next(), 64) }
    defer { (bits, left) = (bits >> 1, left - 1) }
    return bits & 1 == 0 ? -1 : 1
  }
}
