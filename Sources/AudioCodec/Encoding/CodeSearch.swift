import Tensors

/// Finds indices whose vectors' sum is near a latent: level by level, the few best beginnings of each frame go on. With one of them, each level
/// takes the nearest vector, the lowest index of several.
struct CodeSearch: Sendable {
  private let books: CodeBooks
  /// By level: minus twice the vectors, and their squared lengths, so that a score is by how much the squared error changes.
  private let scores: [FloatPointwise]
  /// Beginnings that go on.
  private let width: Int

  private static let dimensions = TokenGeometry.dimensions

  init(_ books: CodeBooks, width: Int) throws {
    (self.books, self.width) = (books, width)
    scores = try (0..<TokenGeometry.maximumLevels).map { level in
      let vectors = (0..<TokenGeometry.codes(level: level)).map { books.vector($0, level: level) }
      return try FloatPointwise(
        inChannels: Self.dimensions, outChannels: vectors.count, weights: vectors.flatMap { $0.map { -2 * $0 } },
        bias: vectors.map { $0.reduce(0) { $0 + $1 * $1 } }, name: "book \(level)")
    }
  }

  /// What a frame's indices begin with.
  private struct Beginning {
    /// Of what is left, less that of the latent.
    var error: Float
    /// Of the beginning before, in the list of its frame.
    var parent: Int
    var index: Int
  }

  /// [level][frame] of the lowest `levels` levels, for `latents` of [1, n, 32].
  func indices(_ latents: Tensor<Float>, levels: Int, _ scratch: Scratch) -> [[UInt16]] {
    let frames = latents.shape.positions, size = Self.dimensions
    // With one level the nearest vector is the best.
    let width = levels == 1 ? 1 : self.width
    var paths = [[UInt16]](repeating: [UInt16](repeating: 0, count: levels * width), count: frames)
    var beginnings = [[Beginning]](repeating: [Beginning(error: 0, parent: 0, index: 0)], count: frames)
    scratch.rests.reshape(to: latents.shape)
    scratch.rests.pointer.update(from: latents.pointer, count: latents.shape.count)
    for level in 0..<levels {
      scores[level].apply(scratch.rests, into: scratch.scores, threads: 1)
      let count = scratch.scores.shape.channels
      var next: [[Beginning]] = []
      next.reserveCapacity(frames)
      var row = 0
      for frame in 0..<frames {
        var best: [Beginning] = []
        for (parent, beginning) in beginnings[frame].enumerated() {
          Self.merge(UnsafePointer(scratch.scores.pointer + row * count), count, beginning.error, parent, into: &best, width: width)
          row += 1
        }
        next.append(best)
      }
      // Rows of beginnings that go on, in the order of frames.
      let rows = next.reduce(0) { $0 + $1.count }
      scratch.grown.reshape(to: Shape(1, rows, size))
      var (from, to) = (0, 0)
      for frame in 0..<frames {
        let old = paths[frame]
        for (k, beginning) in next[frame].enumerated() {
          let rest = scratch.rests.pointer + (from + beginning.parent) * size, grown = scratch.grown.pointer + to * size
          for (d, x) in books.vector(beginning.index, level: level).enumerated() { grown[d] = rest[d] - x }
          for l in 0..<level { paths[frame][k * levels + l] = old[beginning.parent * levels + l] }
          paths[frame][k * levels + level] = UInt16(beginning.index)
          to += 1
        }
        from += beginnings[frame].count
      }
      scratch.rests.reshape(to: scratch.grown.shape)
      scratch.rests.pointer.update(from: scratch.grown.pointer, count: scratch.grown.shape.count)
      beginnings = next
    }
    // Lists are in order of error.
    return (0..<levels).map { level in paths.map { $0[level] } }
  }

  /// Keeps the `width` best of `best`, in order of error, and of the vectors behind a beginning.
  private static func merge(
    _ scores: UnsafePointer<Float>, _ count: Int, _ error: Float, _ parent: Int, into best: inout [Beginning], width: Int
  ) {
    var bound = best.count < width ? Float.infinity : best[width - 1].error
    for first in stride(from: 0, to: count, by: 16) {
      guard (scores.sixteen(first) + error).min() < bound else { continue }
      for index in first..<first + 16 {
        let new = error + scores[index]
        guard new < bound else { continue }
        var place = best.count
        while place > 0, new < best[place - 1].error { place -= 1 }
        if best.count == width { best.removeLast() }
        best.insert(Beginning(error: new, parent: parent, index: index), at: place)
        if best.count == width { bound = best[width - 1].error }
      }
    }
  }

  /// Memory that searches share.
  final class Scratch {
    fileprivate let scores = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    fileprivate let rests = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    fileprivate let grown = Tensor<Float>(uninitialized: Shape(0, 0, 0))
  }
}
