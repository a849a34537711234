import Autograd
import Glibc
import Testing

@Suite struct LearnedRoundingTests {
  /// y's gradient is that of a sum with coefficients.
  private func rounding(_ values: [Float], centre: [Float]? = nil, step: Float) -> (LearnedRounding, x: Parameter, y: Parameter, Tape) {
    let x = Parameter("x", rows: 2, columns: values.count / 2, values: values)
    let y = Parameter("y", rows: 2, columns: values.count / 2)
    let middle = centre.map { Parameter("centre", rows: 2, columns: values.count / 2, values: $0) }
    let tape = Tape()
    let rounding = tape.append(LearnedRounding(x, into: y, centre: middle, groups: 2))
    rounding.logStep.value[0] = step
    return (rounding, x, y, tape)
  }

  @Test func roundsAboutTheCentre() {
    let (rounding, _, y, tape) = rounding([0.1, 0.3, -0.6, 0.7], centre: [10, 20, 30, 40], step: -1)
    tape.forward(threads: 1, iteration: 0)
    #expect(y.elements == [10.1, 20.3, 29.4, 40.7] && rounding.bits == 0)
    rounding.isOn = true
    tape.forward(threads: 1, iteration: 0)
    #expect(y.elements == [10, 20.5, 29.5, 40.5] && rounding.bits > 0)
  }

  /// The entropy of a rounded Laplace distribution, summed up.
  @Test(arguments: [0.05, 0.2, 0.5, 1, 4, 30]) func bitsAreThoseOfTheDistribution(scale: Double) {
    func mass(_ k: Int) -> Double {
      func above(_ x: Double) -> Double { 0.5 * exp(-x / scale) }
      return k == 0 ? 1 - 2 * above(0.5) : above(Double(k) - 0.5) - above(Double(k) + 0.5)
    }
    var sum = -mass(0) * log(mass(0))
    for k in 1..<2000 where mass(k) > 1e-300 { sum -= 2 * mass(k) * log(mass(k)) }
    #expect(abs(LearnedRounding.entropy(scale) - sum / log(2)) < 1e-6)
  }

  /// Of what costs bits alone: along every number, but near 0, and along the step.
  @Test func gradientOfTheBits() {
    let values: [Float] = [0.9, -1.3, 2.2, 0.7, -3.1, 1.6, 0.8, -0.75]
    let (rounding, x, _, tape) = rounding(values, step: -1)
    rounding.isOn = true
    rounding.weight = 0.4
    tape.run(threads: 1, iteration: 0)
    let gradient = x.gradientElements, stepGradient = rounding.logStep.gradientElements[0]
    for (parameter, i, expected) in x.indices.map({ (x, $0, gradient[$0]) }) + [(rounding.logStep, 0, stepGradient)] {
      let saved = parameter.value[i]
      parameter.value[i] = saved + 0.01
      let above = tape.forward(threads: 1, iteration: 0)
      parameter.value[i] = saved - 0.01
      let below = tape.forward(threads: 1, iteration: 0)
      parameter.value[i] = saved
      let slope = (above - below) / 0.02
      // Smoothed about 0 by a quarter of a step.
      #expect(abs(Double(expected) - slope) < 0.2 * abs(slope) + 1e-3, "\(parameter.name)[\(i)]")
    }
  }

  /// Bits and their pull are of the differences to a reference, and what is rounded is not.
  @Test func bitsOfDifferences() {
    let values: [Float] = [4.3, 5.2, -2.6], before: [Float] = [3, 7, -2]
    let tape = Tape(), step = Parameter("step", rows: 1, columns: 1)
    func variable(_ values: [Float], hasGradient: Bool = true) -> Variable {
      let variable = Variable("x", channels: 1, height: 1, width: 3, hasGradient: hasGradient)
      variable.load(values)
      return variable
    }
    let x = variable(values), y = variable([0, 0, 0]), differences = variable(zip(values, before).map { $0 - $1 })
    let rounding = tape.append(LearnedRounding(x, into: y, reference: variable(before, hasGradient: false), logStep: step))
    let plain = tape.append(LearnedRounding(differences, into: variable([0, 0, 0]), logStep: step))
    for one in [rounding, plain] { (one.isOn, one.weight) = (true, 0.5) }
    tape.run(threads: 1, iteration: 0)
    #expect(y.elements == [4, 5, -3] && rounding.bits == plain.bits && rounding.bits > 1)
    #expect(x.gradientElements == differences.gradientElements && x.gradientElements.map { $0 > 0 } == [true, false, false])
  }

  /// A variable's gradient passes as it is; the step's is what rounding did, weighted.
  @Test func gradientsPass() {
    let x = Variable("x", channels: 2, height: 1, width: 3), y = Variable("y", channels: 2, height: 1, width: 3)
    x.load([0.3, 1.2, -0.6, 0.1, 0.9, -1.4])
    let step = Parameter("step", rows: 1, columns: 1)
    let tape = Tape()
    tape.append(LearnedRounding(x, into: y, logStep: step)).isOn = true
    let probe = tape.append(Probe(y, seed: 4))
    tape.run(threads: 1, iteration: 0)
    #expect(y.elements == [0, 1, -1, 0, 1, -1])
    #expect(x.gradientElements == probe.coefficients)
    let expected = zip(zip(y.elements, x.elements), probe.coefficients).reduce(Float(0)) { $0 + ($1.0.0 - $1.0.1) * $1.1 } * 0.6931472
    #expect(abs(step.gradientElements[0] - expected) < 1e-5)
  }

  @Test func errorOfAPart() {
    let x = Variable("x", channels: 1, height: 3, width: 4), t = Variable("t", channels: 1, height: 3, width: 4, hasGradient: false)
    x.load((0..<12).map { Float($0) })
    let tape = Tape()
    let error = tape.append(SquaredError(x, target: t, height: 2, width: 3, weight: 0.5))
    tape.run(threads: 1, iteration: 0)
    #expect(error.squares == 0 + 1 + 4 + 16 + 25 + 36)
    #expect(x.gradientElements == [0, 1, 2, 0, 4, 5, 6, 0, 0, 0, 0, 0])
  }
}

extension Parameter {
  fileprivate var indices: Range<Int> { 0..<count }
}
