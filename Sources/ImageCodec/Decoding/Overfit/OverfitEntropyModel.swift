import CKernels
import EntropyCoding
import Tensors

/// The integer entropy model of a picture: which distribution each value of its grids has, given those before.
///
/// It decodes grids; what encoders ask of it is in `Encoding/Overfit`.
// bitstream-spec 9.5, 9.6
package final class OverfitEntropyModel: @unchecked Sendable {
  package let network: OverfitNetwork
  package var architecture: OverfitArchitecture { network.architecture }
  package let grids: [OverfitArchitecture.Grid]
  let threads: Int
  let kernel: OverfitKernel
  // Owned, and written only by `init`.
  private let neighbours: UnsafeMutablePointer<Int8>
  private let layers: UnsafeMutablePointer<nc_overfit_layer>

  package init(_ network: OverfitNetwork, threads: Int, kernel: OverfitKernel = .current) {
    self.network = network
    self.threads = threads
    self.kernel = kernel
    grids = network.architecture.grids
    let spatial = network.architecture.spatial
    neighbours = .allocate(capacity: 2 * spatial)
    for (i, n) in OverfitArchitecture.neighbours[..<spatial].enumerated() {
      (neighbours[2 * i], neighbours[2 * i + 1]) = (Int8(n.dx), Int8(n.dy))
    }
    layers = .allocate(capacity: network.context.count)
    for (i, layer) in network.context.enumerated() { layers[i] = layer.view }
  }

  deinit {
    neighbours.deallocate()
    layers.deallocate()
  }

  /// Calls `body` with the kernels' view of grid `number`, whose features are computed from the grids before it.
  /// `values` is the grid itself, [height, width].
  func withGrid<R>(
    _ number: Int, earlier: [[Int8]], values: UnsafeMutablePointer<Int8>, magnitude: Int, blocks: [UInt8]?,
    _ body: (inout nc_overfit_grid) throws -> R
  ) rethrows -> R {
    let grid = grids[number]
    var view = nc_overfit_grid()
    view.height = Int32(grid.height)
    view.width = Int32(grid.width)
    view.lag = Int32(architecture.lag)
    view.spatial = Int32(architecture.spatial)
    view.features = Int32(architecture.features)
    view.hidden = Int32(architecture.hiddenLayers)
    view.magnitude = Int32(magnitude)
    view.offsets = UnsafePointer(neighbours)
    view.layers = UnsafePointer(layers)
    view.values = values
    let pitch = (grid.width + 15) / 16 * 16
    let context = features(of: number, earlier: earlier, pitch: pitch)
    view.pitch = pitch
    return try context.withUnsafeBufferPointer { context in
      view.context = context.isEmpty ? nil : context.baseAddress
      return try (blocks ?? []).withUnsafeBufferPointer {
        view.blocks = blocks == nil ? nil : $0.baseAddress
        return try body(&view)
      }
    }
  }

  /// The features of a grid, [height][F][pitch]; empty where it has no feature layer.
  private func features(of number: Int, earlier: [[Int8]], pitch: Int) -> [Int16] {
    guard let layer = network.features[number] else { return [] }
    let grid = grids[number]
    let inputs = architecture.featureInputs(of: number)
    let size = grid.height * architecture.features * pitch
    return withEarlier(earlier, inputs: inputs, level: grid.level) { inputs in
      [Int16](unsafeUninitializedCapacity: size) { out, count in
        nonisolated(unsafe) let out = out
        count = size
        let band = max(1, 16384 / grid.width)
        let need = nc_overfit_features_scratch(inputs.count, grid.width)
        parallelFor((grid.height + band - 1) / band, threads: threads) { i in
          withUnsafeTemporaryAllocation(of: Int16.self, capacity: need) { scratch in
            var view = layer.view
            nc_overfit_features(
              kernel.linear, &view, inputs.baseAddress, grid.width, i * band, min((i + 1) * band, grid.height),
              out.baseAddress, pitch, scratch.baseAddress)
          }
        }
      }
    }
  }

  private func withEarlier<R>(
    _ earlier: [[Int8]], inputs: [OverfitArchitecture.FeatureInput], level: Int,
    _ body: (UnsafeBufferPointer<nc_overfit_input>) -> R
  ) -> R {
    var views: [nc_overfit_input] = []
    func view(_ index: Int) -> R {
      guard index < inputs.count else { return views.withUnsafeBufferPointer(body) }
      let (number, mirrored, right, down) =
        switch inputs[index] {
        case .mirrored(let grid, let right, let down): (grid, true, right, down)
        case .nearest(let grid): (grid, false, false, false)
        }
      let grid = grids[number]
      return earlier[number].withUnsafeBufferPointer {
        views.append(
          nc_overfit_input(
            values: $0.baseAddress, height: Int32(grid.height), width: Int32(grid.width),
            shift: Int32(grid.level - level), mirrored: mirrored, right: right, down: down))
        return view(index + 1)
      }
    }
    return view(0)
  }

  /// Zeroed scratch memory for a grid.
  static func withScratch<R>(_ grid: nc_overfit_grid, _ body: (UnsafeMutablePointer<Int16>) -> R) -> R {
    var grid = grid
    let count = nc_overfit_grid_scratch(&grid)
    let scratch = UnsafeMutablePointer<Int16>.allocate(capacity: count)
    scratch.initialize(repeating: 0, count: count)
    defer { scratch.deallocate() }
    return body(scratch)
  }

  static func withTails<R>(_ body: (inout nc_overfit_tails) -> R) -> R {
    let tails = LaplaceTails.shared
    return tails.values.withUnsafeBufferPointer { values in
      tails.offsets.withUnsafeBufferPointer { offsets in
        tails.lengths.withUnsafeBufferPointer { lengths in
          var view = nc_overfit_tails(
            values: values.baseAddress, offsets: offsets.baseAddress, lengths: lengths.baseAddress)
          return body(&view)
        }
      }
    }
  }

  /// All grids of a stream, in coding order. `progress` is called before each grid with the part of all positions that
  /// is done, 0...1.
  ///
  /// Throws `EntropyError` for symbols that do not end with the last value, and what `progress` throws.
  package func decode(
    _ stream: OverfitStream, progress: (_ progress: Double) throws -> Void = { _ in }
  ) throws -> [[Int8]] {
    var rans = try RANSLanes(stream.symbols)
    var result: [[Int8]] = []
    let total = grids.reduce(0) { $0 + $1.count }
    var done = 0
    for (number, grid) in grids.enumerated() {
      try progress(Double(done) / Double(total))
      var values = [Int8](repeating: 0, count: grid.count)
      if stream.magnitudes[number] > 0 {
        try values.withUnsafeMutableBufferPointer {
          try decode(number, of: stream, earlier: result, into: $0.baseAddress!, rans: &rans)
        }
      }
      result.append(values)
      done += grid.count
    }
    try rans.finish()
    return result
  }

  private func decode(
    _ number: Int, of stream: OverfitStream, earlier: [[Int8]], into values: UnsafeMutablePointer<Int8>,
    rans: inout RANSLanes
  ) throws {
    var state = nc_overfit_rans()
    state.lanes = rans.lanes
    state.step = UInt64(rans.step)
    state.left = rans.wordsLeft
    state.mask = UInt32(rans.laneMask)
    withGrid(
      number, earlier: earlier, values: values, magnitude: stream.magnitudes[number], blocks: stream.blocks[number]
    ) { view in
      stream.symbols.withUnsafeBufferPointer { symbols in
        state.words = symbols.baseAddress.map { $0 + rans.position }
        Self.withScratch(view) { scratch in
          Self.withTails { nc_overfit_decode(kernel.linear, &view, &$0, scratch, &state) }
        }
      }
    }
    try rans.advance(to: state.lanes, step: Int(state.step), wordsLeft: state.left, failed: state.failed != 0)
  }
}
