import CKernels
import Tensors

/// From a picture's grids to its samples, all in integers: upsampling level by level, then the synthesis.
// bitstream-spec 9.7, 9.8
package struct OverfitSynthesis: Sendable {
  package let network: OverfitNetwork
  let threads: Int
  let kernel: OverfitKernel

  /// Rows of a band. What it works on should stay in a core's second-level cache.
  static let bandRows = 32

  package init(_ network: OverfitNetwork, threads: Int, kernel: OverfitKernel = .current) {
    self.network = network
    self.threads = threads
    self.kernel = kernel
  }

  /// The picture's samples [height, width, outputs]. `grids` are all grids in coding order, each [height, width].
  package func samples(_ grids: [[Int8]]) -> [UInt8] {
    let a = network.architecture
    let count = a.width * a.height * a.outputs
    return [UInt8](unsafeUninitializedCapacity: count) { out, initialised in
      initialised = count
      nonisolated(unsafe) let out = out
      withBands(grids) { view, bands in
        nonisolated(unsafe) let view = view
        parallelFor(bands, threads: threads) { band in
          withUnsafeTemporaryAllocation(of: Int16.self, capacity: Self.scratch(view)) { scratch in
            run(band, view, into: out.baseAddress!, scratch: scratch.baseAddress!)
          }
        }
      }
    }
  }

  /// Elements of a band's scratch memory.
  static func scratch(_ view: nc_overfit_synthesis) -> Int {
    var view = view
    return nc_overfit_band_scratch(&view, min(bandRows, Int(view.height)))
  }

  func run(
    _ band: Int, _ view: nc_overfit_synthesis, into out: UnsafeMutablePointer<UInt8>,
    scratch: UnsafeMutablePointer<Int16>
  ) {
    var view = view
    let height = Int(view.height)
    nc_overfit_band(
      kernel.linear, &view, band * Self.bandRows, min((band + 1) * Self.bandRows, height), out, scratch)
  }

  /// Calls `body` with the kernels' view of the last stage and the number of bands, after `onLevel` with the planes of each coarser
  /// level.
  func withBands<R>(
    _ grids: [[Int8]], onLevel: (Planes) -> Void = { _ in }, _ body: (nc_overfit_synthesis, _ bands: Int) -> R
  ) -> R {
    let a = network.architecture
    let half = halfPlanes(grids, onLevel: onLevel)
    var view = nc_overfit_synthesis()
    view.height = Int32(a.height)
    view.width = Int32(a.width)
    view.planes = Int32(a.planes)
    view.outputs = Int32(a.outputs)
    view.hidden = Int32(a.synthesisWidth)
    view.convs = Int32(a.convolutions)
    view.output_bits = Int32(network.formats.outputs)
    view.first = network.first.view
    view.second = network.second.view
    view.stabiliser = network.stabiliser.view
    let none = nc_overfit_layer()
    let convolutions = network.convolutions.map(\.view) + [none, none, none]
    view.conv = (convolutions[0], convolutions[1], convolutions[2])
    view.bits = Int32(network.formats.planes)
    let bands = (a.height + Self.bandRows - 1) / Self.bandRows
    let finest = a.planeGrids(level: 0).first
    return withExtendedLifetime(network) {
      half.values.withUnsafeBufferPointer { planes in
        (finest.map { grids[$0] } ?? []).withUnsafeBufferPointer { grid in
          view.half = planes.isEmpty ? nil : planes.baseAddress
          view.half_pitch = half.pitch
          view.grid = finest == nil ? nil : grid.baseAddress
          guard a.coarsest > 0 else { return body(view, bands) }
          var stage = network.stages[0].view
          return withUnsafePointer(to: &stage) {
            view.stage = $0
            return body(view, bands)
          }
        }
      }
    }
  }

  /// Planes of one level, the finest grid's first.
  struct Planes {
    /// [count][height][pitch]
    var values: [Int16] = []
    var count = 0
    var height = 0
    var width = 0
    var pitch = 0
  }

  /// All planes at level 1, of which none exist where no latent grid is that coarse. `onLevel` sees those of each level.
  private func halfPlanes(_ grids: [[Int8]], onLevel: (Planes) -> Void) -> Planes {
    let a = network.architecture
    var planes = Planes()
    for level in stride(from: a.coarsest, to: 0, by: -1) {
      planes = grow(planes, level: level, grids: a.planeGrids(level: level).map { grids[$0] })
      onLevel(planes)
    }
    return planes
  }

  /// The planes of `level` from those one level up and the level's own grids.
  private func grow(_ above: Planes, level: Int, grids: [[Int8]]) -> Planes {
    let (height, width) = network.architecture.size(level: level)
    var planes = Planes()
    planes.count = above.count + grids.count
    (planes.height, planes.width) = (height, width)
    planes.pitch = (width + 15) / 16 * 16 + 16
    let pitch = planes.pitch
    let size = planes.count * height * pitch
    planes.values = [Int16](unsafeUninitializedCapacity: size) { out, initialised in
      out.initialize(repeating: 0)
      initialised = size
      nonisolated(unsafe) let base = out.baseAddress!
      let bits = network.formats.planes
      if above.count == 0 {
        // The coarsest grids enter as they are.
        for (plane, grid) in grids.enumerated() {
          for y in 0..<height {
            for x in 0..<width {
              base[(plane * height + y) * pitch + x] = Int16(truncatingIfNeeded: Int(grid[y * width + x]) << bits)
            }
          }
        }
        return
      }
      let stage = network.stages[level].view
      let bandRows = max(16, 4096 / width)
      let bands = (height + bandRows - 1) / bandRows
      above.values.withUnsafeBufferPointer { source in
        nonisolated(unsafe) let source = source
        nonisolated(unsafe) let stage = stage
        parallelFor(planes.count * bands, threads: threads) { job in
          let (plane, band) = (job / bands, job % bands)
          let (begin, end) = (band * bandRows, min((band + 1) * bandRows, height))
          let to = base + (plane * height + begin) * pitch
          var stage = stage
          withUnsafeTemporaryAllocation(of: Int16.self, capacity: nc_overfit_stage_scratch(width)) { scratch in
            if plane < grids.count {
              nc_overfit_filter(
                kernel.linear, &stage, grids[plane], height, width, Int32(bits), begin, end, to, pitch, scratch.baseAddress)
            } else {
              nc_overfit_double(
                kernel.linear, &stage, source.baseAddress! + (plane - grids.count) * above.height * above.pitch,
                above.pitch, height, width, begin, end, to, pitch, scratch.baseAddress)
            }
          }
        }
      }
    }
    return planes
  }

  /// Upper estimate of the memory that decoding takes, in bytes, the grids and samples included.
  package static func memory(_ a: OverfitArchitecture, threads: Int) -> Int {
    let grids = a.grids
    let pitch = { (width: Int) in (width + 31) / 16 * 16 }
    var features = 0
    for grid in grids where grid.hasFeatures {
      features = max(features, 2 * grid.height * a.features * pitch(grid.width))
    }
    let scratch = grids.map { (32 + 16 * a.features + 2) * ($0.height + 40) * 2 }.max()!
    var planes = 0
    for level in 1..<3 where level <= a.coarsest {
      let (height, width) = a.size(level: level)
      planes += 2 * a.planes * height * pitch(width)
    }
    let band = (a.planes + 2 * a.outputs + 1) * (bandRows + 6) + a.outputs + 11
    let bands = threads * 2 * (band * (a.width + 96) + 128 * 160)
    return grids.reduce(0) { $0 + $1.count } + max(features + scratch, planes + bands)
      + a.width * a.height * (a.outputs + 1) + 4 << 20
  }
}
