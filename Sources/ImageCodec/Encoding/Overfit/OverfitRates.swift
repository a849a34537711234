import CKernels
import EntropyCoding
import Glibc
import Tensors

/// What encoders ask of the integer entropy model: exact costs, and the bytes of grids.
extension OverfitEntropyModel {
  /// -log2 of w / 65536 at index w.
  private static let costs: [Float] = (0...65536).map { $0 == 0 ? 0 : 16 - log2f(Float($0)) }

  /// The largest magnitude of each grid's values, 0...127.
  package static func magnitudes(_ grids: [[Int8]]) -> [Int] {
    grids.map { Int($0.reduce(0) { max($0, $1.magnitude) }) }
  }

  /// Bits that the values of each grid take in the stream, exact but for the coder's last state. `grids` are in coding
  /// order, each [height, width], of values in -127...127. `blocks` as `OverfitStream.blocks`; nil: all are coded.
  /// `magnitudes` are those of the values where they are not given.
  package func bits(_ grids: [[Int8]], magnitudes: [Int]? = nil, blocks: [[UInt8]?]? = nil) -> [Double] {
    let magnitudes = magnitudes ?? Self.magnitudes(grids)
    return grids.indices.map { number in
      guard magnitudes[number] > 0 else { return 0 }
      let parts = intervals(number, grids, magnitude: magnitudes[number], blocks: blocks?[number]) { steps in
        var sum = 0.0
        for step in steps { sum += Double(Self.costs[Int(step >> 16) + 1]) }
        return sum
      }
      return parts.reduce(0, +)
    }
  }

  /// The rANS payload of all grids; the inverse is `decode`.
  package func encode(_ grids: [[Int8]], blocks: [[UInt8]?]) -> [UInt8] {
    let magnitudes = Self.magnitudes(grids)
    var encoder = RANSEncoder()
    for number in grids.indices where magnitudes[number] > 0 {
      let parts = intervals(number, grids, magnitude: magnitudes[number], blocks: blocks[number]) { Array($0) }
      for part in parts { part.withUnsafeBufferPointer { encoder.append(intervals: $0) } }
    }
    // Lanes cost two or three bytes each; most of the decoder's time is the network's, so fewer than usual will do.
    let bits = encoder.bitCount
    return encoder.finish(lanes: bits < 100_000 ? 1 : bits < 400_000 ? 2 : 4)
  }

  /// Mean (1/32) and scale index (b = exp(index / 16 - 7/2)) of every position of grid `number`, [height, width].
  package func distributions(_ number: Int, _ grids: [[Int8]]) -> (means: [Int16], scales: [UInt8]) {
    let grid = grids[number]
    var means = [Int16](repeating: 0, count: grid.count)
    var scales = [UInt8](repeating: 0, count: grid.count)
    let (width, height) = (self.grids[number].width, self.grids[number].height)
    let parts = walk(number, grids, magnitude: 1, blocks: nil) { view, scratch, range, count in
      var view = view
      var (means, scales) = ([Int16](repeating: 0, count: count), [UInt8](repeating: 0, count: count))
      nc_overfit_distributions(kernel.linear, &view, scratch, range.lowerBound, range.upperBound, &means, &scales)
      return (range, means, scales)
    }
    let lag = architecture.lag
    for (range, partMeans, partScales) in parts {
      var i = 0
      for t in range {
        let first = t < width ? 0 : (t - width) / lag + 1
        for y in first..<max(first, min(t / lag + 1, height)) {
          means[y * width + t - lag * y] = partMeans[i]
          scales[y * width + t - lag * y] = partScales[i]
          i += 1
        }
      }
    }
    return (means, scales)
  }

  /// `body` of the intervals (start, width - 1 in bits 16-31) of pieces of a grid, in order.
  private func intervals<R>(
    _ number: Int, _ grids: [[Int8]], magnitude: Int, blocks: [UInt8]?, _ body: (UnsafeBufferPointer<UInt32>) -> R
  ) -> [R] {
    walk(number, grids, magnitude: magnitude, blocks: blocks) { view, scratch, range, count in
      var view = view
      return withUnsafeTemporaryAllocation(of: UInt32.self, capacity: max(count, 1)) { steps in
        let written = Self.withTails {
          nc_overfit_intervals(
            kernel.linear, &view, &$0, scratch, range.lowerBound, range.upperBound, steps.baseAddress)
        }
        return body(UnsafeBufferPointer(rebasing: steps[..<written]))
      }
    }
  }

  /// `body` on pieces of a grid, several at a time: ranges of wavefronts that depend on its size alone.
  private func walk<R>(
    _ number: Int, _ grids: [[Int8]], magnitude: Int, blocks: [UInt8]?,
    _ body: (nc_overfit_grid, UnsafeMutablePointer<Int16>, _ wavefronts: Range<Int>, _ coded: Int) -> R
  ) -> [R] {
    grids[number].withUnsafeBufferPointer { values in
      // The kernels only read values when they encode.
      let values = UnsafeMutablePointer(mutating: values.baseAddress!)
      return withGrid(number, earlier: grids, values: values, magnitude: magnitude, blocks: blocks) { view in
        let total = nc_overfit_wavefronts(&view)
        let pieces = min(total, max(1, self.grids[number].count / 16384))
        nonisolated(unsafe) let shared = view
        nonisolated(unsafe) let body = body
        return [R](unsafeUninitializedCapacity: pieces) { results, count in
          nonisolated(unsafe) let results = results
          parallelFor(pieces, threads: threads) { piece in
            let range = total * piece / pieces..<total * (piece + 1) / pieces
            var view = shared
            let coded = nc_overfit_coded(&view, range.lowerBound, range.upperBound)
            let result = Self.withScratch(view) { body(view, $0, range, coded) }
            (results.baseAddress! + piece).initialize(to: result)
          }
          count = pieces
        }
      }
    }
  }
}
