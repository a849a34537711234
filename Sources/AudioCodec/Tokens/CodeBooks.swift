import Networks
import Tensors

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

  func subtract(_ index: Int, level: Int, from rest: UnsafeMutablePointer<Float>) {
    vectors[level].withUnsafeBufferPointer { book in
      for d in 0..<TokenGeometry.dimensions { rest[d] -= book[index * TokenGeometry.dimensions + d] }
    }
  }

  /// Finds the nearest vectors, by scores that fall with the distance.
  struct Search: Sendable {
    /// By level: minus twice the vectors, and their squared lengths.
    private let scores: [FloatPointwise]

    init(_ books: CodeBooks) throws {
      scores = try books.vectors.enumerated().map { level, book in
        let count = TokenGeometry.codes(level: level), dimensions = TokenGeometry.dimensions
        let lengths = (0..<count).map { i in book[i * dimensions..<(i + 1) * dimensions].reduce(Float(0)) { $0 + $1 * $1 } }
        return try FloatPointwise(
          inChannels: dimensions, outChannels: count, weights: book.map { -2 * $0 }, bias: lengths, name: "book \(level)")
      }
    }

    /// Of each row of `x`, [1, n, dimensions], the nearest vector of a level; the lowest index of several. `scratch` is used.
    func nearest(_ x: Tensor<Float>, level: Int, _ scratch: Tensor<Float>) -> [UInt16] {
      scores[level].apply(x, into: scratch, threads: 1)
      let count = scratch.shape.channels
      return (0..<x.shape.positions).map { row in
        let values = scratch.pointer + row * count
        // The least of sixteen lanes, and then where it stands first.
        var least = values.sixteen(0)
        for i in stride(from: 16, to: count, by: 16) { least = pointwiseMin(least, values.sixteen(i)) }
        let best = least.min()
        var index = 0
        while index < count - 1, values[index] != best { index += 1 }
        return UInt16(index)
      }
    }
  }
}
