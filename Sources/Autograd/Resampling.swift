import CKernels
import Tensors

/// Doubles every plane with a separable symmetric transposed convolution of stride 2 and replicate padding, cropped to
/// [channels, height, width]; Cool-chic's upsampling filter.
///
/// The kernel has 2 m taps, (w[0] ... w[m - 1], w[m - 1] ... w[0]), w being the parameter; along rows and across them:
/// y[o] = sum over j of x[clamp(j)] kernel[o + m - 1 - 2 j].
package final class UpsampleByTwo: Operation {
  /// The bicubic kernel for m = 4 (its sign cancels in two dimensions); for larger m it has zeros in front.
  package static func bicubic(m: Int = 4) -> [Float] {
    precondition(m >= 4, "the bicubic kernel has 8 taps")
    return [Float](repeating: 0, count: m - 4) + [0.0351562, 0.1054687, -0.2617187, -0.8789063]
  }

  package let x: Variable
  package let y: Variable
  /// [1, m] with m in 1...8.
  package let weights: Parameter
  private let forwardBands: RowBands
  private let backwardBands: RowBands
  private let sums: PartialSums

  /// - Parameter y: [x.channels, h, w] with x's size ceil(h / 2), ceil(w / 2); often a view of joined planes.
  package init(_ x: Variable, into y: Variable, weights: Parameter) {
    precondition(y.channels == x.channels, "as many planes out as in")
    precondition((y.height + 1) / 2 == x.height && (y.width + 1) / 2 == x.width, "doubling cropped by at most one")
    precondition(weights.rows == 1 && (1...8).contains(weights.columns), "1 to 8 numbers make the kernel")
    self.x = x
    self.y = y
    self.weights = weights
    forwardBands = RowBands(y)
    backwardBands = RowBands(x, elements: 24576, minimumRows: 16)
    sums = PartialSums(bands: backwardBands.number, width: weights.columns)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }
  package var parameters: [Parameter] { [weights] }

  package func forward(_ pass: Pass) {
    forwardBands.forEach(threads: pass.threads) { _, c, rows in
      pass.kernels.pointee.upsample(
        weights.value, weights.columns, x.value + x.offset(channel: c, row: 0), x.height, x.width, x.pitch,
        y.value + y.offset(channel: c, row: 0), y.height, y.width, y.pitch, rows.lowerBound, rows.upperBound)
    }
  }

  package func backward(_ pass: Pass) {
    let adds = x.gradient != nil && pass.accumulates(0)
    sums.clear()
    backwardBands.forEach(threads: pass.threads) { i, c, rows in
      let at = x.offset(channel: c, row: 0)
      pass.kernels.pointee.upsample_back(
        weights.value, weights.columns, x.value + at, x.gradient.map { $0 + at }, x.height, x.width, x.pitch,
        y.gradient! + y.offset(channel: c, row: 0), y.height, y.width, y.pitch, rows.lowerBound, rows.upperBound,
        sums[i], adds)
    }
    sums.add(to: weights)
  }
}

/// Doubles every plane by repeating its elements, cropped: y[c, r, s] = x[c, r / 2, s / 2].
package final class NearestStack: Operation {
  package let x: Variable
  package let y: Variable
  private let forwardBands: RowBands
  private let backwardBands: RowBands

  /// - Parameter y: [x.channels, h, w] with x's size ceil(h / 2), ceil(w / 2).
  package init(_ x: Variable, into y: Variable) {
    precondition(y.channels == x.channels, "as many planes out as in")
    precondition((y.height + 1) / 2 == x.height && (y.width + 1) / 2 == x.width, "doubling cropped by at most one")
    self.x = x
    self.y = y
    forwardBands = RowBands(y, elements: 32768)
    backwardBands = RowBands(x)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }

  package func forward(_ pass: Pass) {
    forwardBands.forEach(threads: pass.threads) { _, c, rows in
      pass.kernels.pointee.nearest(
        x.value + x.offset(channel: c, row: 0), x.pitch, y.value + y.offset(channel: c, row: 0), y.pitch, y.width,
        rows.lowerBound, rows.upperBound)
    }
  }

  package func backward(_ pass: Pass) {
    guard let gx = x.gradient, let gy = y.gradient else { return }
    let adds = pass.accumulates(0)
    backwardBands.forEach(threads: pass.threads) { _, c, rows in
      pass.kernels.pointee.nearest_back(
        gy + y.offset(channel: c, row: 0), y.pitch, y.height, y.width, gx + x.offset(channel: c, row: 0), x.pitch,
        rows.lowerBound, rows.upperBound, adds)
    }
  }
}

/// Enlarges every plane by a whole factor, between its elements in proportion, and beyond the outermost ones as they are: half-pixel
/// centres, as PyTorch's `interpolate` with `bilinear` and without `align_corners`.
package final class BilinearUpsample: Operation {
  package let x: Variable
  package let y: Variable
  private let factor: Int
  private let forwardBands: RowBands
  private let backwardBands: RowBands

  /// Which two rows or columns of x one of y lies between, and how far from the first to the second.
  private struct Place {
    let first, second: Int
    let weight: Float

    init(_ at: Int, factor: Int, count: Int) {
      let (cell, part) = at.quotientAndRemainder(dividingBy: factor)
      let past = 2 * part + 1 - factor
      first = past < 0 ? max(cell - 1, 0) : cell
      second = past < 0 ? cell : min(cell + 1, count - 1)
      weight = Float(past < 0 ? past + 2 * factor : past) / Float(2 * factor)
    }
  }
  private let columns: [Place]

  /// - Parameter y: [x.channels, x.height * f, x.width * f]
  package init(_ x: Variable, into y: Variable) {
    factor = y.height / x.height
    precondition(y.channels == x.channels && y.height == factor * x.height && y.width == factor * x.width, "y is x, times a factor")
    (self.x, self.y) = (x, y)
    columns = (0..<y.width).map { [factor] in Place($0, factor: factor, count: x.width) }
    forwardBands = RowBands(y, elements: 32768)
    backwardBands = RowBands(x, elements: 8192)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }

  package func forward(_ pass: Pass) {
    forwardBands.forEach(threads: pass.threads) { _, c, rows in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: x.width) { blend in
        for row in rows {
          let place = Place(row, factor: factor, count: x.height)
          let a = x.value + x.offset(channel: c, row: place.first), b = x.value + x.offset(channel: c, row: place.second)
          for i in 0..<x.width { blend[i] = a[i] + (b[i] - a[i]) * place.weight }
          let to = y.value + y.offset(channel: c, row: row)
          columns.withUnsafeBufferPointer { columns in
            for (i, place) in columns.enumerated() {
              let a = blend[place.first]
              to[i] = a + (blend[place.second] - a) * place.weight
            }
          }
        }
      }
    }
  }

  package func backward(_ pass: Pass) {
    guard let gx = x.gradient, let gy = y.gradient else { return }
    let adds = pass.accumulates(0)
    backwardBands.forEach(threads: pass.threads) { _, c, rows in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: y.width) { blend in
        for row in rows {
          // Rows of y that this one is a part of.
          blend.update(repeating: 0)
          for at in max(0, (row - 1) * factor)..<min(y.height, (row + 2) * factor) {
            let place = Place(at, factor: factor, count: x.height)
            let weight = (place.first == row ? 1 - place.weight : 0) + (place.second == row ? place.weight : 0)
            if weight == 0 { continue }
            let from = gy + y.offset(channel: c, row: at)
            for i in 0..<y.width { blend[i] += weight * from[i] }
          }
          let to = gx + x.offset(channel: c, row: row)
          if !adds { to.update(repeating: 0, count: x.width) }
          columns.withUnsafeBufferPointer { columns in
            for (i, place) in columns.enumerated() {
              to[place.first] += (1 - place.weight) * blend[i]
              to[place.second] += place.weight * blend[i]
            }
          }
        }
      }
    }
  }
}
