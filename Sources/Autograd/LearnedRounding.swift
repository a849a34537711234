import Glibc

/// y = step * round(x / step), where the step is learned along with x (LSQ, Esser et al. 2020), and what the rounded numbers cost, as a term
/// of the loss: weight times their bits, of Laplace distributions whose scales are the groups' own mean magnitudes.
///
/// The gradient of y passes to x as it is, and to the logarithm of the step by what rounding did to each number.
package final class LearnedRounding: Operation {
  /// Elements in a row of memory: a parameter's group, or a row of a variable.
  private struct Span {
    let x, y: UnsafeMutablePointer<Float>
    let gx, gy: UnsafeMutablePointer<Float>?
    /// What is added to y, and known without bits.
    let centre: UnsafePointer<Float>?
    /// What x is coded as the difference to.
    var reference: UnsafePointer<Float>?
    let count: Int
  }

  /// False: y = x, at no cost.
  package var isOn = false
  /// What a bit adds to the loss.
  package var weight = 0.0
  /// Bits in the last run.
  package private(set) var bits = 0.0
  /// [1, 1]: log2 of the step. Its owner trains it, or not.
  package let logStep: Parameter

  package var step: Float { exp2f(logStep.value[0]) }

  /// [group][span]
  private let groups: [[Span]]
  /// By group, of the last forward pass with rounding.
  private var costs: [Cost] = []
  private let owners: [AnyObject]
  package let targets: [Variable]
  package let parameters: [Parameter]

  /// Groups are as many equal runs of rows of `x`.
  package init(_ x: Parameter, into y: Parameter, centre: Parameter? = nil, groups: Int) {
    precondition(y.rows == x.rows && y.columns == x.columns && x.rows % groups == 0, "rows in \(groups) groups")
    precondition(centre?.count ?? x.count == x.count, "a centre for each")
    logStep = Parameter("step of \(x.name)", rows: 1, columns: 1)
    let count = x.count / groups
    self.groups = (0..<groups).map { g in
      [Span(x: x.value + g * count, y: y.value + g * count, gx: x.gradient + g * count, gy: y.gradient + g * count, centre: centre.map { UnsafePointer($0.value + g * count) }, count: count)]
    }
    (targets, parameters, owners) = ([], [x, y, logStep], [x, y] + (centre.map { [$0] } ?? []))
  }

  /// A group is a channel. `y` is shaped as `x`, and so is `reference`: bits are those of the differences to its values, which are taken as given.
  package init(_ x: Variable, into y: Variable, reference: Variable? = nil, logStep: Parameter) {
    precondition(y.hasShape(of: x) && reference?.hasShape(of: x) ?? true, "rounding keeps the shape")
    self.logStep = logStep
    groups = (0..<x.channels).map { c in
      (0..<x.height).map { row in
        let (at, to) = (x.offset(channel: c, row: row), y.offset(channel: c, row: row))
        return Span(
          x: x.value + at, y: y.value + to, gx: x.gradient.map { $0 + at }, gy: y.gradient.map { $0 + to }, centre: nil,
          reference: reference.map { UnsafePointer($0.value + $0.offset(channel: c, row: row)) }, count: x.width)
      }
    }
    (targets, parameters, owners) = ([x], [logStep], [x, y] + (reference.map { [$0] } ?? []))
  }

  package func forward(_ pass: Pass) {
    bits = 0
    costs.removeAll(keepingCapacity: true)
    let step = self.step, inverse = 1 / step
    for group in groups {
      for span in group {
        if isOn {
          for i in 0..<span.count { span.y[i] = step * (span.x[i] * inverse).rounded(.toNearestOrEven) }
        } else {
          for i in 0..<span.count { span.y[i] = span.x[i] }
        }
        if let centre = span.centre { for i in 0..<span.count { span.y[i] += centre[i] } }
      }
      if isOn {
        costs.append(cost(of: group))
        bits += costs[costs.count - 1].bits
      }
    }
    pass.addLoss(weight * bits)
  }

  package func backward(_ pass: Pass) {
    let step = self.step
    // A variable's gradient is stored, not added to, where nothing is there yet; parameters' begin as zeros.
    let adds = targets.isEmpty || pass.accumulates(0)
    var slope = 0.0
    for (g, group) in groups.enumerated() {
      let cost = isOn && weight > 0 ? costs[g] : Cost(bits: 0, scale: 0, slope: 0, count: 1)
      let pull = Float(weight * cost.slope) / step
      for span in group {
        guard let gx = span.gx, let gy = span.gy else { continue }
        var sum: Float = 0
        for i in 0..<span.count {
          let x = span.x[i]
          sum += gy[i] * (span.y[i] - (span.centre?[i] ?? 0) - x)
          // Smooth about zero, so that numbers come to rest.
          let change = x - (span.reference?[i] ?? 0)
          let g = gy[i] + pull * change / (change.magnitude + step / 4)
          gx[i] = adds ? gx[i] + g : g
        }
        slope += Double(sum)
      }
      slope -= weight * Double(cost.count) * cost.slope * cost.scale
    }
    if isOn { logStep.gradient[0] += Float(slope * 0.6931471805599453) }
  }

  /// The bits of a group, its mean magnitude in steps, how a number's bits rise with that, and how many numbers there are.
  private struct Cost {
    let bits, scale, slope: Double
    let count: Int
  }

  private func cost(of group: [Span]) -> Cost {
    var (sum, count) = (0.0, 0)
    for span in group {
      var part: Float = 0
      for i in 0..<span.count { part += (span.x[i] - (span.reference?[i] ?? 0)).magnitude }
      sum += Double(part)
      count += span.count
    }
    let scale = max(sum / Double(count) / Double(step), 0.02)
    let bits = Self.entropy(scale)
    let slope = (Self.entropy(scale * 1.001) - Self.entropy(scale * 0.999)) / (0.002 * scale)
    return Cost(bits: bits * Double(count), scale: scale, slope: slope, count: count)
  }

  /// Bits of a Laplace distribution with mean magnitude `scale`, rounded to whole numbers.
  package static func entropy(_ scale: Double) -> Double {
    // Mass beyond 1/2, and its square, by which it falls from each number to the next.
    let r = exp(-0.5 / scale), t = r * r
    let zero = 1 - r
    let slope = (1 + t) / (1 - t) * 0.5 / scale
    return (-zero * log(zero) - r * log((1 - t) / 2) + r * slope) / 0.6931471805599453
  }
}
