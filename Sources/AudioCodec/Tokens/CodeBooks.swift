import Networks

/// The code vectors of a mode's levels.
// bitstream-spec 12.4
struct CodeBooks: Sendable {
  /// [level][code * dimensions]
  private let vectors: [[Float]]

  /// Throws `WeightsError`.
  init(_ weights: WeightsFile, mode: Int) throws {
    vectors = try (0..<TokenGeometry.maximumLevels).map { try weights.float("book.\(mode).\($0)", TokenGeometry.codes(level: $0), TokenGeometry.dimensions) }
  }

  /// Adds a vector to `sum`, a row of dimensions. A frame adds its levels' vectors from level 0 on.
  func add(_ index: Int, level: Int, to sum: UnsafeMutablePointer<Float>) {
    vectors[level].withUnsafeBufferPointer { book in
      for d in 0..<TokenGeometry.dimensions { sum[d] += book[index * TokenGeometry.dimensions + d] }
    }
  }

  /// The vector `index` of a level.
  func vector(_ index: Int, level: Int) -> ArraySlice<Float> {
    vectors[level][index * TokenGeometry.dimensions..<(index + 1) * TokenGeometry.dimensions]
  }
}
