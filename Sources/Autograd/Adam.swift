import CKernels
import Tensors

/// Adam (Kingma & Ba 2015) with decoupled weight decay, over variables and parameters.
///
/// With the moments m and v, t steps: value = value (1 - rate decay) - rate m' / (sqrt(v') + eps), m' and v' being
/// m / (1 - beta1^t) and v / (1 - beta2^t).
package final class Adam {
  private struct Item {
    let value: UnsafeMutablePointer<Float>
    let gradient: UnsafeMutablePointer<Float>
    /// The moments, laid out as the value.
    let m, v: Variable
    let rate, decay: Float
  }

  package let beta1: Float
  package let beta2: Float
  package let eps: Float
  package private(set) var steps = 0
  private var items: [Item] = []
  /// Keep what the items point into.
  private var owners: [AnyObject] = []
  private let kernels: UnsafePointer<nc_planes>

  package init(beta1: Float = 0.9, beta2: Float = 0.999, eps: Float = 1e-8, level: Kernels.Level? = nil) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.eps = eps
    kernels = planeKernels(level)
  }

  /// - Parameter rate: multiplies the rate of each step.
  package func add(_ variable: Variable, rate: Float = 1, decay: Float = 0) {
    precondition(variable.gradient != nil, "\(variable.name) is a constant")
    func moment() -> Variable {
      Variable(
        "moment", channels: variable.channels, height: variable.height, width: variable.width, hasGradient: false)
    }
    items.append(
      Item(
        value: variable.value, gradient: variable.gradient!, m: moment(), v: moment(), rate: rate, decay: decay))
    owners.append(variable)
  }

  /// - Parameter rate: multiplies the rate of each step.
  package func add(_ parameter: Parameter, rate: Float = 1, decay: Float = 0) {
    func moment() -> Variable {
      Variable("moment", channels: 1, height: 1, width: parameter.count, hasGradient: false)
    }
    items.append(
      Item(value: parameter.value, gradient: parameter.gradient, m: moment(), v: moment(), rate: rate, decay: decay))
    owners.append(parameter)
  }

  /// Forgets the moments and counts steps from zero.
  package func reset() {
    steps = 0
    for item in items {
      for moment in [item.m, item.v] { moment.load([Float](repeating: 0, count: moment.count)) }
    }
  }

  /// The steps taken and the moments, in the order in which items were added; the inverse is `restore(_:)`.
  package var state: [Float] { [Float(bitPattern: UInt32(steps))] + items.flatMap { $0.m.elements + $0.v.elements } }

  /// False, and nothing changed, for a state of other items.
  package func restore(_ state: ArraySlice<Float>) -> Bool {
    guard state.count == 1 + items.reduce(0, { $0 + 2 * $1.m.count }) else { return false }
    steps = Int(state.first!.bitPattern)
    var rest = state.dropFirst()
    for item in items {
      for moment in [item.m, item.v] {
        moment.load(Array(rest.prefix(moment.count)))
        rest = rest.dropFirst(moment.count)
      }
    }
    return true
  }

  package func step(rate: Float, threads: Int) {
    steps += 1
    let mean = 1 - power(beta1, steps), square = 1 - power(beta2, steps)
    for item in items {
      let scaled = rate * item.rate
      let keep = 1 - scaled * item.decay
      RowBands(item.m).forEach(threads: threads) { _, c, rows in
        let at = item.m.offset(channel: c, row: rows.lowerBound)
        kernels.pointee.adam(
          item.value + at, item.gradient + at, item.m.value + at, item.v.value + at, item.m.pitch, item.m.width,
          rows.count, beta1, beta2, Float(Double(scaled) / mean), Float(1 / square), eps, keep)
      }
    }
  }
}

/// base^n by squaring, for a base in 0..<1.
func power(_ base: Float, _ n: Int) -> Double {
  var result = 1.0, square = Double(base), rest = n
  while rest > 0 {
    if rest % 2 == 1 { result *= square }
    square *= square
    rest /= 2
  }
  return result
}

/// Scales the gradients of a set of parameters down so that their norm, taken together, is at most `norm`.
/// - Returns: the norm before.
@discardableResult
package func clipGradients(_ parameters: [Parameter], norm: Double) -> Double {
  var sum = 0.0
  for p in parameters {
    for i in 0..<p.count { sum += Double(p.gradient[i]) * Double(p.gradient[i]) }
  }
  let before = sum.squareRoot()
  if before > norm {
    let factor = Float(norm / before)
    for p in parameters {
      for i in 0..<p.count { p.gradient[i] *= factor }
    }
  }
  return before
}
