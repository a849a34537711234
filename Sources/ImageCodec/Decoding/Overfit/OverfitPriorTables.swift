import CModels
import Networks

/// The trained priors: what networks of many pictures have in common, by rate and preset.
///
/// They are kept for the reference grids, those of a 768x512 picture; other pictures take over what they share with it.
// bitstream-spec 9.9
package enum OverfitPriorTables {
  /// Model ids: 1 is for the lowest rates, 5 for the highest.
  static let models: ClosedRange<UInt32> = 1...5

  /// Fraction bits of a table's values.
  private static let fraction = 10

  private static let file = Result {
    let weights = nc_overfit_1()
    return try WeightsFile(parsing: Array(UnsafeRawBufferPointer(start: weights.bytes, count: weights.count)))
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
  static func reference(_ preset: OverfitArchitecture.Preset) -> OverfitArchitecture {
    OverfitArchitecture(preset: preset, width: 768, height: 512)
  }

  /// Values (2^-16) and offsets of every parameter of `architecture`, or nil where this build has no such table.
  static func table(_ model: UInt32, _ architecture: OverfitArchitecture) -> (values: [Int32], offsets: [Int8])? {
    guard models.contains(model), architecture.outputs == 3, let preset = architecture.preset,
      let file = try? file.get()
    else { return nil }
    let reference = reference(preset)
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
    // A latent plane's column in the source, by level.
    func column(_ level: Int, of a: OverfitArchitecture) -> Int? {
      a.hasLatents(level: level) ? (a.latentMask & ((1 << level) - 1)).nonzeroBitCount : nil
    }
    let levels = (0..<OverfitArchitecture.levels).filter { target.hasLatents(level: $0) }
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
        columns = levels.map { column(min($0, source.coarsest), of: source) }
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
