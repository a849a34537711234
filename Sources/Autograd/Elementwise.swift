import CKernels
import Tensors

/// A term of the loss: weight * sum of (p - target)^2, where p is x + other (which is optional), clamped to `range`. Its gradients
/// are made in the forward pass.
///
/// What goes beyond the range is free. Its gradient is 2 weight (p - target) nevertheless, so that what should not be there
/// comes back.
package final class SquaredError: Operation {
  package let x: Variable
  /// A second part of the prediction, shaped as x; saves a Sum.
  package let other: Variable?
  /// A constant, shaped as x.
  package let target: Variable
  /// What a prediction is clamped to; contains 0.
  package let range: ClosedRange<Float>
  /// Rows and columns from the first that count; what lies beyond is free, and the target there may change.
  private let height, width: Int
  /// May change between runs.
  package var weight: Double
  /// The sum of squares in the last run, without the weight.
  package private(set) var squares = 0.0
  package let forwardTargets: [Variable]
  private let bands: RowBands
  private let sums: PartialSums

  package init(
    _ x: Variable, plus other: Variable? = nil, target: Variable, range: ClosedRange<Float> = -.infinity...(.infinity),
    height: Int? = nil, width: Int? = nil, weight: Double
  ) {
    precondition(x.hasShape(of: target) && other?.hasShape(of: x) ?? true, "a target for every element")
    precondition(range.contains(0), "rows end with zeros, which shall stay so")
    self.range = range
    (self.height, self.width) = (height ?? x.height, width ?? x.width)
    precondition(other == nil || self.height == x.height && self.width == x.width, "all of a sum counts")
    self.x = x
    self.other = other
    self.target = target
    self.weight = weight
    forwardTargets = [x, other].compactMap { $0?.gradient == nil ? nil : $0 }
    bands = RowBands(x)
    sums = PartialSums(bands: bands.number, width: 1)
  }

  package var targets: [Variable] { [] }

  package func forward(_ pass: Pass) {
    let gx = pass.trains ? x.gradient : nil, gOther = pass.trains ? other?.gradient : nil
    let adds = gx != nil && pass.accumulates(0)
    let addsOther = gOther != nil && pass.accumulates(gx == nil ? 0 : 1)
    let scale = Float(2 * weight)
    sums.clear()
    bands.forEach(threads: pass.threads) { i, c, rows in
      let at = x.offset(channel: c, row: rows.lowerBound), rows = rows.clamped(to: 0..<height)
      if rows.isEmpty { return }
      // Kernels take whole vectors: where they reach beyond what counts, there shall be no error.
      if width < x.width {
        for row in 0..<rows.count {
          let first = at + row * x.pitch
          for column in width..<min(x.width, (width + 15) / 16 * 16) { target.value[first + column] = x.value[first + column] }
        }
      }
      sums[i][0] = pass.kernels.pointee.squared_error(
        x.value + at, other.map { UnsafePointer($0.value + at) }, target.value + at, range.lowerBound, range.upperBound,
        gx.map { $0 + at }, gOther.map { $0 + at }, scale, x.pitch, width, rows.count, adds, addsOther)
    }
    squares = sums.total(0)
    pass.addLoss(weight * squares)
  }

  package func backward(_ pass: Pass) {}
}

/// y = a + b.
package final class Sum: Operation {
  package let a: Variable
  package let b: Variable
  package let y: Variable
  private let bands: RowBands

  /// All three have one shape.
  package init(_ a: Variable, _ b: Variable, into y: Variable) {
    precondition(a.hasShape(of: b) && y.hasShape(of: a), "summands have one shape")
    self.a = a
    self.b = b
    self.y = y
    bands = RowBands(a, elements: 32768)
  }

  package var targets: [Variable] { [a, b].filter { $0.gradient != nil } }

  package func forward(_ pass: Pass) {
    bands.forEach(threads: pass.threads) { _, c, rows in
      let at = a.offset(channel: c, row: rows.lowerBound)
      pass.kernels.pointee.add(a.value + at, b.value + at, y.value + at, a.pitch, a.width, rows.count)
    }
  }

  package func backward(_ pass: Pass) {
    guard let gy = y.gradient else { return }
    var i = 0
    for part in [a, b] {
      guard let g = part.gradient else { continue }
      let adds = pass.accumulates(i)
      i += 1
      bands.forEach(threads: pass.threads) { _, c, rows in
        let at = a.offset(channel: c, row: rows.lowerBound)
        pass.kernels.pointee.pass_on(gy + at, g + at, a.pitch, a.width, rows.count, adds)
      }
    }
  }
}
