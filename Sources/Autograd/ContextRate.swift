import CKernels
import Tensors

/// The cost in bits of grids of (nearly) integer values under a causal context model, as a term of the loss: gather,
/// perceptron, Laplace bin and all gradients in one pass over tiles that stay in cache.
///
/// Each position's value is modelled from `neighbours` of its own grid (zero outside) and, where the grid has a
/// `FeatureLayer`, from features that are linear in the planes of a stack of half the resolution (nearest position). Both
/// go through residual layers h = relu(W h + b + h) shared by all grids, then (mu, s) = Wo h + Ws x + bo; the value costs
/// -log2 of the bin [v - 1/2, v + 1/2] of a Laplace distribution of mean mu and scale exp(s - 4), to which 2^-16 is added.
/// (Cool-chic 5.0's ARM and IFCE; C3 section 3.) Bit costs and gradients do not depend on the number of threads.
package final class ContextRate: Operation {
  /// Features = W r + b. r holds each plane of the stack at the parent position; of plane 0 also, if `mirrored`, the three
  /// other values of the 2x2 cell of parents around the child: beside, above or below, and across.
  package struct FeatureLayer {
    /// [planes, ceil(H / 2), ceil(W / 2)]
    package let stack: Variable
    package let isMirrored: Bool
    /// [features, planes + (mirrored ? 3 : 0)]
    package let weights: Parameter
    /// [1, features]
    package let bias: Parameter

    package init(stack: Variable, isMirrored: Bool, weights: Parameter, bias: Parameter) {
      (self.stack, self.isMirrored, self.weights, self.bias) = (stack, isMirrored, weights, bias)
    }
  }

  package struct Grid {
    /// [1, H, W]
    package let values: Variable
    /// Nil: the features are 0.
    package let layer: FeatureLayer?

    package init(values: Variable, layer: FeatureLayer?) { (self.values, self.layer) = (values, layer) }
  }

  package struct Network {
    /// At most 4 residual layers: weights [C, C], biases [1, C], C = neighbours + features.
    package let hidden: [(weights: Parameter, bias: Parameter)]
    /// [2, C] each
    package let output: Parameter
    package let stabiliser: Parameter
    /// [1, 2]
    package let bias: Parameter

    package init(
      hidden: [(weights: Parameter, bias: Parameter)], output: Parameter, stabiliser: Parameter, bias: Parameter
    ) {
      (self.hidden, self.output, self.stabiliser, self.bias) = (hidden, output, stabiliser, bias)
    }
  }

  /// What a bit adds to the loss.
  package var weight: Float
  /// 1: each band of rows gives its part of the parameters' gradients. n: every n-th does, n times, in each iteration others;
  /// gradients of values are whole all the same. Takes a sixth less time with 4, of which a fit hardly knows.
  package var sampling = 1
  package var bandCount: Int { bands.count }
  /// For each grid, shaped as its values, what the gradients of each position's cost are multiplied by. Empty: nothing.
  package var probes: [Variable] = [] {
    didSet {
      precondition(
        probes.isEmpty || probes.count == grids.count && zip(probes, grids).allSatisfy { $0.hasShape(of: $1.values) && $0.pitch == $1.values.pitch },
        "a probe for each grid, laid out as its values")
    }
  }
  /// Cost of each grid in the last run, in bits.
  package private(set) var bits: [Double]

  package let targets: [Variable] = []
  package let forwardTargets: [Variable]
  package let parameters: [Parameter]

  package let grids: [Grid]
  private let network: Network
  private let dx: UnsafeMutablePointer<Int32>
  private let dy: UnsafeMutablePointer<Int32>
  private let neighbours: Int
  private let features: Int
  /// In the order in which costs and gradients are added up.
  private let bands: [Band]
  /// Ranges of `bands` in which no two add to the same gradient: a stack's first plane may be another grid's values.
  private let phases: [Range<Int>]
  private let scratch: UnsafeMutablePointer<Float>

  /// Rows of one grid with the memory that computing them takes.
  private struct Band {
    let grid: Int
    let rows: Range<Int32>
    let gradient: Int
    let halo: Int
    let scratch: Int
    let parameters: Int
  }

  /// - Parameter neighbours: offsets in -4...4 by -4...0, before (0, 0) in raster order.
  package init(
    grids: [Grid], neighbours: [(dx: Int, dy: Int)], features: Int, network: Network, weight: Float
  ) {
    self.grids = grids
    self.network = network
    self.weight = weight
    self.neighbours = neighbours.count
    self.features = features
    bits = [Double](repeating: 0, count: grids.count)
    for (x, y) in neighbours { precondition(abs(x) <= 4 && y >= -4 && (y < 0 || y == 0 && x < 0), "not causal") }
    let width = neighbours.count + features
    precondition(width <= Int(NC_TILE_MAX_WIDTH) && network.hidden.count <= Int(NC_MAX_HIDDEN))
    for layer in network.hidden { precondition(layer.weights.count == width * width && layer.bias.count == width) }
    precondition(network.output.count == 2 * width && network.stabiliser.count == 2 * width && network.bias.count == 2)
    dx = .allocate(capacity: max(neighbours.count, 1))
    dy = .allocate(capacity: max(neighbours.count, 1))
    for (i, offset) in neighbours.enumerated() { (dx[i], dy[i]) = (Int32(offset.dx), Int32(offset.dy)) }

    var variables = grids.map(\.values)
    var used = network.hidden.flatMap { [$0.weights, $0.bias] } + [network.output, network.stabiliser, network.bias]
    for grid in grids {
      guard let layer = grid.layer else { continue }
      if !variables.contains(where: { $0 === layer.stack }) { variables.append(layer.stack) }
      used += [layer.weights, layer.bias]
      precondition(layer.weights.count == features * (layer.stack.channels + (layer.isMirrored ? 3 : 0)))
    }
    forwardTargets = variables
    parameters = used

    var bands: [Band] = []
    var floats = 0
    func take(_ count: Int) -> Int {
      defer { floats += (count + 15) / 16 * 16 }
      return floats
    }
    for (number, grid) in grids.enumerated() {
      var model = nc_context_model()
      Self.describe(&model, grid: grid, network: network, neighbours: neighbours.count, features: features)
      // Even, for the parents' sake, and with enough positions to repay a dispatch.
      let size = max(16, (1024 / grid.values.width + 1) / 2 * 2)
      for first in stride(from: 0, to: grid.values.height, by: size) {
        let parameters = nc_context_parameters(&model)
        bands.append(
          Band(
            grid: number, rows: Int32(first)..<Int32(min(first + size, grid.values.height)), gradient: take(parameters),
            halo: take(nc_context_halo(&model)), scratch: take(nc_context_scratch(&model)), parameters: parameters))
      }
    }
    let phase = Self.phases(of: grids)
    // Large grids first in each, so that no thread is left with one at the end.
    let size = { (band: Band) in band.rows.count * grids[band.grid].values.width }
    self.bands = bands.sorted {
      (-phase[$0.grid], size($0), $1.grid, $1.rows.lowerBound) > (-phase[$1.grid], size($1), $0.grid, $0.rows.lowerBound)
    }
    var ranges: [Range<Int>] = []
    for number in 0...(phase.max() ?? 0) {
      let first = ranges.last?.upperBound ?? 0
      ranges.append(first..<first + bands.count { phase[$0.grid] == number })
    }
    phases = ranges
    scratch = alignedZeros(floats).assumingMemoryBound(to: Float.self)
  }

  /// The first phase for each grid in which no other adds to a gradient that it adds to; large grids choose first.
  private static func phases(of grids: [Grid]) -> [Int] {
    let storages = grids.map { grid in
      [ObjectIdentifier(grid.values.storage)] + (grid.layer.map { [ObjectIdentifier($0.stack.storage)] } ?? [])
    }
    var phases = [Int](repeating: -1, count: grids.count)
    for grid in grids.indices.sorted(by: { (grids[$0].values.count, $1) > (grids[$1].values.count, $0) }) {
      let others = grids.indices.filter { !Set(storages[$0]).isDisjoint(with: storages[grid]) }.map { phases[$0] }
      phases[grid] = (0...grids.count).first { !others.contains($0) }!
    }
    return phases
  }

  deinit {
    dx.deallocate()
    dy.deallocate()
    UnsafeMutableRawPointer(scratch).deallocate()
  }

  package func forward(_ pass: Pass) {
    if pass.trains {
      for (i, variable) in forwardTargets.enumerated() where !pass.accumulates(i) { variable.zeroGradient() }
    }
    var models = grids.map(model(of:))
    for (i, probe) in probes.enumerated() { models[i].probe = UnsafePointer(probe.value) }
    let trains = pass.trains
    var costs = [Double](repeating: 0, count: bands.count)
    costs.withUnsafeMutableBufferPointer { costs in
      nonisolated(unsafe) let costs = costs
      for phase in phases {
        parallelFor(phase.count, threads: pass.threads) { i in
          let i = phase.lowerBound + i, band = bands[i]
          var model = models[band.grid]
          costs[i] = pass.tiles.pointee.context_band(
            &model, band.rows.lowerBound, band.rows.upperBound,
            trains && pass.samples(i, every: sampling) ? scratch + band.gradient : nil,
            trains ? scratch + band.halo : nil, scratch + band.scratch)
        }
      }
    }
    for g in bits.indices { bits[g] = 0 }
    for (band, cost) in zip(bands, costs) { bits[band.grid] += cost }
    pass.addLoss(Double(weight) * bits.reduce(0, +))
    guard trains else { return }
    for (i, band) in bands.enumerated() {
      var model = models[band.grid]
      nc_context_merge(&model, band.rows.lowerBound, band.rows.upperBound, scratch + band.halo)
      if pass.samples(i, every: sampling) { addGradient(of: band) }
    }
  }

  package func backward(_ pass: Pass) {}

  private func addGradient(of band: Band) {
    var from = scratch + band.gradient
    let times = Float(sampling)
    func add(_ parameter: Parameter) {
      for i in 0..<parameter.count { parameter.gradient[i] += times * from[i] }
      from += parameter.count
    }
    for layer in network.hidden {
      add(layer.weights)
      add(layer.bias)
    }
    add(network.output)
    add(network.stabiliser)
    add(network.bias)
    if let layer = grids[band.grid].layer {
      add(layer.weights)
      add(layer.bias)
    }
  }

  private func model(of grid: Grid) -> nc_context_model {
    var model = nc_context_model()
    Self.describe(&model, grid: grid, network: network, neighbours: neighbours, features: features)
    model.dx = UnsafePointer(dx)
    model.dy = UnsafePointer(dy)
    model.weight = weight
    return model
  }

  private static func describe(
    _ model: inout nc_context_model, grid: Grid, network: Network, neighbours: Int, features: Int
  ) {
    model.height = Int32(grid.values.height)
    model.width = Int32(grid.values.width)
    model.pitch = grid.values.pitch
    model.x = UnsafePointer(grid.values.value)
    model.gx = grid.values.gradient
    model.spatial = Int32(neighbours)
    model.features = Int32(features)
    if let layer = grid.layer {
      model.stack = Int32(layer.stack.channels)
      model.mirrored = layer.isMirrored
      model.s = UnsafePointer(layer.stack.value)
      model.gs = layer.stack.gradient
      model.s_pitch = layer.stack.pitch
      model.s_plane = layer.stack.planeStride
      model.s_height = Int32(layer.stack.height)
      model.s_width = Int32(layer.stack.width)
      model.wf = UnsafePointer(layer.weights.value)
      model.bf = UnsafePointer(layer.bias.value)
    }
    model.hidden = Int32(network.hidden.count)
    withUnsafeMutablePointer(to: &model.w) {
      $0.withMemoryRebound(to: UnsafePointer<Float>?.self, capacity: Int(NC_MAX_HIDDEN)) { w in
        for (i, layer) in network.hidden.enumerated() { w[i] = UnsafePointer(layer.weights.value) }
      }
    }
    withUnsafeMutablePointer(to: &model.b) {
      $0.withMemoryRebound(to: UnsafePointer<Float>?.self, capacity: Int(NC_MAX_HIDDEN)) { b in
        for (i, layer) in network.hidden.enumerated() { b[i] = UnsafePointer(layer.bias.value) }
      }
    }
    model.wo = UnsafePointer(network.output.value)
    model.ws = UnsafePointer(network.stabiliser.value)
    model.bo = UnsafePointer(network.bias.value)
  }
}
