import CModels
import Networks

/// The trained priors: what networks of many pictures have in common, by rate and preset.
///
/// They are kept for the reference grids, those of a 768x512 picture; other pictures take over what they share with it.
// bitstream-spec 9.9
package enum OverfitPriorTables {
  /// Model ids: of each five the first is for the lowest rates, the last for the highest.
  private static let plain: ClosedRange<UInt32> = 1...5
  private static let joined: ClosedRange<UInt32> = 6...15

  /// Fraction bits of a table's values.
  private static let fraction = 10

  private static let files = (plain: file(nc_overfit_1()), joined: file(nc_overfit_2()))

  private static func file(_ weights: nc_weights) -> WeightsFile? {
    try? WeightsFile(parsing: Array(UnsafeRawBufferPointer(start: weights.bytes, count: weights.count)))
  }

  private static func name(_ preset: OverfitArchitecture.Preset) -> String {
    switch preset {
    case .low: "low"
    case .medium: "medium"
    case .high: "high"
    case .veryHigh: "veryhigh"
    }
  }

  /// The architecture that tables are laid out for.
  static func reference(_ preset: OverfitArchitecture.Preset, joined: Bool) -> OverfitArchitecture {
    OverfitArchitecture(preset: preset, width: 768, height: 512, joined: joined)
  }

  /// Values (2^-16) and offsets of every parameter of `architecture`, or nil where this build has no such table.
  static func table(_ model: UInt32, _ architecture: OverfitArchitecture) -> (values: [Int32], offsets: [Int8])? {
    let isJoined = joined.contains(model)
    guard isJoined || plain.contains(model), architecture.outputs == 3, let preset = architecture.preset,
      let file = isJoined ? files.joined : files.plain
    else { return nil }
    let reference = reference(preset, joined: isJoined)
    let place = "\(model).\(name(preset))"
    let count = reference.parameterCount
    guard let values = try? file.int16(place + ".values", count), let offsets = try? file.uint8(place + ".offsets", count)
    else { return nil }
    return adapted(values.map { Int32($0) << Int32(16 - fraction) }, offsets.map { Int8(truncatingIfNeeded: Int($0) - 128) },
      from: reference, to: architecture)
  }

  /// From one set of grids to another: levels that the source lacks do as its coarsest one does, features of grids that it
  /// lacks are unused.
  package static func adapted(
    _ values: [Int32], _ offsets: [Int8], from source: OverfitArchitecture, to target: OverfitArchitecture
  ) -> (values: [Int32], offsets: [Int8]) {
    var result = (values: [Int32](repeating: 0, count: target.parameterCount), offsets: [Int8](repeating: 0, count: target.parameterCount))
    let tensors = source.tensors
    let grids = (source: source.grids, target: target.grids)
    func inOrder(_ a: OverfitArchitecture, _ grids: [OverfitArchitecture.Grid]) -> [OverfitArchitecture.Grid] {
      (0..<OverfitArchitecture.levels).flatMap { level in a.planeGrids(level: level).map { grids[$0] } }
    }
    let planes = (source: inOrder(source, grids.source), target: inOrder(target, grids.target))
    for tensor in target.tensors {
      var role = tensor.role
      // For each column of the tensor, the source's.
      var columns = (0..<tensor.columns).map { Optional($0) }
      switch role {
      case .features(let number):
        let level = grids.target[number].level
        guard let from = grids.source.firstIndex(where: { $0.level == level && $0.hasFeatures }) else { continue }
        role = .features(grid: from)
        if !tensor.isBias {
          let inputs = source.featureInputs(of: from).map { Place($0, grids.source) }
          columns = target.featureInputs(of: number).map { inputs.firstIndex(of: Place($0, grids.target)) }
        }
      case .doubling(let level): role = .doubling(level: min(level, source.coarsest - 1))
      case .filter(let level): role = .filter(level: min(level, source.coarsest - 1))
      case .synthesisFirst where !tensor.isBias, .synthesisStabiliser:
        columns = planes.target.map { plane in
          let level = plane.isHyper ? plane.level : min(plane.level, source.coarsest)
          return planes.source.firstIndex { $0.level == level && $0.isHyper == plane.isHyper }
        }
      default: break
      }
      guard let from = tensors.first(where: { $0.role == role && $0.isBias == tensor.isBias }), from.rows == tensor.rows
      else { continue }
      for row in 0..<tensor.rows {
        for (to, column) in columns.enumerated() {
          guard let column else { continue }
          result.values[tensor.offset + row * tensor.columns + to] = values[from.offset + row * from.columns + column]
          result.offsets[tensor.offset + row * tensor.columns + to] = offsets[from.offset + row * from.columns + column]
        }
      }
    }
    return result
  }

  /// What a feature's input is, whatever the other grids.
  private struct Place: Equatable {
    let level: Int
    let isHyper: Bool
    let side: Int

    init(_ input: OverfitArchitecture.FeatureInput, _ grids: [OverfitArchitecture.Grid]) {
      let number: Int
      switch input {
      case .mirrored(let grid, let right, let down): (number, side) = (grid, 1 + (right ? 1 : 0) + (down ? 2 : 0))
      case .nearest(let grid): (number, side) = (grid, 0)
      }
      (level, isHyper) = (grids[number].level, grids[number].isHyper)
    }
  }
}
