import Autograd
import Glibc
import Tensors

/// Improves rounded latents one step at a time: rate-distortion-optimised quantisation after the fit.
///
/// A round computes the loss's gradient by every rounded value, once. For a value v and a change d = -1 or 1 the loss would
/// change by about
///
///     (g - own) d + h d^2 / 2 + weight (bits(v + d) - bits(v))
///
/// where g is the whole gradient, `own` the part of it that is v's own cost, which is then counted exactly, and h the curvature of the
/// distortion, measured for each grid. A round goes through the grids, and moves a quarter of a grid's positions at once, no two
/// of them side by side; what raised the loss is undone.
package struct OverfitLatentSearch {
  let graph: OverfitGraph
  let threads: Int

  package init(graph: OverfitGraph, threads: Int) { (self.graph, self.threads) = (graph, threads) }

  /// - Parameter rounds: of four quarters each.
  /// - Returns: the losses before and after.
  @discardableResult
  package func improve(rounds: Int, before trial: () throws -> Void = {}) rethrows -> (before: Double, after: Double) {
    graph.setRounding(.plain)
    graph.rate.keepsDistributions = true
    defer { graph.rate.keepsDistributions = false }
    let grids = graph.grids
    for grid in grids { snap(grid) }
    var loss = graph.tape.run(threads: threads, iteration: 0)
    let first = loss
    let curvature = curvatures(loss)
    _ = graph.tape.run(threads: threads, iteration: 0)
    var caution = [Float](repeating: 1.5, count: grids.count)
    for round in 0..<4 * rounds {
      for number in grids.indices {
        try trial()
        let changes = self.changes(in: number, quarter: round & 3, curvature: curvature[number], caution: caution[number])
        if changes.isEmpty { continue }
        apply(changes, to: number, sign: 1)
        let after = graph.tape.run(threads: threads, iteration: 0)
        if after < loss {
          loss = after
        } else {
          apply(changes, to: number, sign: -1)
          graph.tape.run(threads: threads, iteration: 0)
          caution[number] *= 2
        }
      }
    }
    return (first, loss)
  }

  private func snap(_ grid: OverfitGraph.Grid) {
    let x = grid.latents
    for y in 0..<x.height {
      let row = x.value + x.offset(channel: 0, row: y)
      for i in 0..<x.width { row[i] = (row[i] * OverfitGraph.latentGain).rounded(.toNearestOrEven) / OverfitGraph.latentGain }
    }
  }

  /// Second derivative of the distortion by one value, by grid: what small random changes of all of them add.
  private func curvatures(_ loss: Double) -> [Float] {
    let size: Float = 0.25
    let weight = graph.rate.weight
    graph.rate.weight = 0
    defer { graph.rate.weight = weight }
    let base = graph.tape.forward(threads: threads, iteration: 0)
    var random = SplitMix64(seed: 7)
    var result: [Float] = []
    for grid in graph.grids {
      let x = grid.latents
      let saved = x.elements
      // Unrounded for once: gain 1 would round, so the values themselves are moved after rounding.
      grid.rounding.mode = .soft
      grid.rounding.temperature = 1e4
      grid.rounding.sigma = 0
      x.load(saved.map { $0 + (random.next() & 1 == 0 ? size : -size) / OverfitGraph.latentGain })
      let moved = graph.tape.forward(threads: threads, iteration: 0)
      x.load(saved)
      grid.rounding.mode = .plain
      result.append(max(0, Float(2 * (moved - base) / Double(size * size) / Double(saved.count))))
    }
    return result
  }

  private func changes(in number: Int, quarter: Int, curvature: Float, caution: Float) -> [(Int, Float)] {
    let grid = graph.grids[number]
    let values = grid.values
    let (mean, scale) = graph.rate.distributions(number)
    let weight = graph.rate.weight
    let bands = Bands(count: values.height, size: 32)
    let parts = [[(Int, Float)]](unsafeUninitializedCapacity: bands.number) { parts, count in
      nonisolated(unsafe) let parts = parts
      parallelFor(bands.number, threads: threads) { band in
        var found: [(Int, Float)] = []
        for y in bands.range(band) where y & 1 == quarter >> 1 {
          let v = values.value + values.offset(channel: 0, row: y)
          let g = values.gradient! + values.offset(channel: 0, row: y)
          for x in stride(from: quarter & 1, to: values.width, by: 2) {
            let at = y * mean.pitch + x
            let cost = LaplaceCost(mean: mean.value[at], logScale: scale.value[at])
            let now = cost.bits(v[x])
            let slope = g[x] - weight * cost.slope(v[x])
            var best: Float = 0
            var change: Float = 0
            for d: Float in [-1, 1] where (v[x] + d).magnitude <= 127 {
              let difference = slope * d + 0.5 * caution * curvature + weight * (cost.bits(v[x] + d) - now)
              if difference < best { (best, change) = (difference, d) }
            }
            if change != 0 { found.append((grid.latents.offset(channel: 0, row: y) + x, change)) }
          }
        }
        (parts.baseAddress! + band).initialize(to: found)
      }
      count = bands.number
    }
    return parts.flatMap { $0 }
  }

  private func apply(_ changes: [(Int, Float)], to number: Int, sign: Float) {
    let latents = graph.grids[number].latents.value
    for (offset, change) in changes {
      let v = (latents[offset] * OverfitGraph.latentGain).rounded(.toNearestOrEven) + sign * change
      latents[offset] = v / OverfitGraph.latentGain
    }
  }
}

/// The cost of a value's bin, as `ContextRate` has it.
private struct LaplaceCost {
  let mean: Float
  let inverse: Float

  init(mean: Float, logScale: Float) {
    self.mean = mean
    inverse = expf(4 - min(max(logScale, 0.5), 8.4375))
  }

  private func terms(_ v: Float) -> (near: Float, far: Float, isInside: Bool) {
    let a = (v - mean).magnitude
    return (expf(-(a - 0.5).magnitude * inverse), expf(-(a + 0.5) * inverse), a < 0.5)
  }

  private func probability(_ v: Float) -> Float {
    let (near, far, isInside) = terms(v)
    return (isInside ? 1 - 0.5 * (near + far) : 0.5 * (near - far)) + 0x1p-16
  }

  func bits(_ v: Float) -> Float { -log2f(probability(v)) }

  /// Derivative of `bits`.
  func slope(_ v: Float) -> Float {
    let (near, far, _) = terms(v)
    let outwards = 0.5 * inverse * (far - near)
    return -1.44269504 * (v < mean ? -outwards : outwards) / probability(v)
  }
}
