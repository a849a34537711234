import Autograd
import Tensors
import Testing

struct PerceptronTests {
  private final class Setup {
    let tape: Tape
    let x: Variable
    let perceptron: Perceptron
    let probes: [Probe]

    init(
      height: Int, width: Int, inputs: Int, hidden: Int, outputs: Int, linear: Int, seed: UInt64 = 1,
      level: Kernels.Level? = nil
    ) {
      var stream = Stream(seed)
      func parameter(_ name: String, _ rows: Int, _ columns: Int) -> Parameter {
        Parameter(name, rows: rows, columns: columns, values: stream.array(rows * columns))
      }
      tape = Tape(level: level)
      x = Variable("x", channels: inputs, height: height, width: width)
      x.load(stream.array(x.count))
      perceptron = tape.append(
        Perceptron(
          x, first: (parameter("w1", hidden, inputs), parameter("b1", 1, hidden)),
          second: (parameter("w2", outputs, hidden), parameter("b2", 1, outputs)),
          linear: parameter("a", linear, inputs)))
      probes = [tape.append(Probe(perceptron.output, seed: 5)), tape.append(Probe(perceptron.linear, seed: 6))]
    }

    /// Outputs and the probes' loss, plainly in Double, with a number of x or of a parameter changed.
    func plain(_ parameters: [[Double]], _ x: [Double]) -> (loss: Double, y: [Double], l: [Double]) {
      let (w1, b1, w2, b2, a) = (parameters[0], parameters[1], parameters[2], parameters[3], parameters[4])
      let n = self.x.height * self.x.width
      let outputs = perceptron.output.channels, linear = perceptron.linear.channels
      var y = [Double](repeating: 0, count: outputs * n), l = [Double](repeating: 0, count: linear * n)
      let none = [Double](repeating: 0, count: linear)
      for i in 0..<n {
        let input = (0..<self.x.channels).map { x[$0 * n + i] }
        let h = plainLinear(input, w1, b1).map { max(0, $0) }
        for (o, v) in plainLinear(h, w2, b2).enumerated() { y[o * n + i] = v }
        for (o, v) in plainLinear(input, a, none).enumerated() { l[o * n + i] = v }
      }
      var loss = 0.0
      for (values, probe) in [(y, probes[0]), (l, probes[1])] {
        for (v, c) in zip(values, probe.coefficients) { loss += v * Double(c) }
      }
      return (loss, y, l)
    }
  }

  private func check(_ setup: Setup, sourceLocation: SourceLocation = #_sourceLocation) {
    setup.tape.run(threads: 2, iteration: 0)
    var parameters = setup.tape.parameters.map { $0.elements.map(Double.init) }
    var x = setup.x.elements.map(Double.init)
    let plain = setup.plain(parameters, x)
    for (variable, expected) in [(setup.perceptron.output, plain.y), (setup.perceptron.linear, plain.l)] {
      let worst = zip(variable.elements, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
      #expect(worst < 2e-5, sourceLocation: sourceLocation)
      #expect(marginsAreZero(variable), sourceLocation: sourceLocation)
    }
    var stream = Stream(3)
    func compare(_ name: String, _ gradient: [Float], _ change: (Int, Double) -> Void) {
      let scale = Double(gradient.reduce(1e-2) { max($0, abs($1)) })
      let picks = gradient.count <= 16
        ? Array(gradient.indices)
        : [0, gradient.count - 1] + (0..<14).map { _ in Int(abs(stream.next()) * Float(gradient.count - 1)) }
      for i in picks {
        let step = 1e-6
        change(i, step)
        let up = setup.plain(parameters, x).loss
        change(i, -2 * step)
        let down = setup.plain(parameters, x).loss
        change(i, step)
        let expected = (up - down) / (2 * step)
        #expect(
          abs(expected - Double(gradient[i])) <= 5e-5 * scale, "\(name)[\(i)]: \(gradient[i]), expected \(expected)",
          sourceLocation: sourceLocation)
      }
    }
    compare("x", setup.x.gradientElements) { x[$0] += $1 }
    for (p, parameter) in setup.tape.parameters.enumerated() {
      compare(parameter.name, parameter.gradientElements) { parameters[p][$0] += $1 }
    }
  }

  @Test(arguments: [(1, 1), (1, 7), (7, 1), (3, 5), (17, 33), (2, 48), (2, 49), (40, 97), (12, 131)])
  func gradients(height: Int, width: Int) {
    check(Setup(height: height, width: width, inputs: 3, hidden: 5, outputs: 3, linear: 3, seed: UInt64(width)))
  }

  @Test(arguments: [(1, 1, 1, 1), (7, 48, 3, 3), (9, 8, 1, 1), (4, 6, 2, 5), (2, 64, 4, 3), (20, 71, 3, 3)])
  func shapes(inputs: Int, hidden: Int, outputs: Int, linear: Int) {
    check(Setup(height: 9, width: 51, inputs: inputs, hidden: hidden, outputs: outputs, linear: linear, seed: 4))
  }

  @Test(arguments: [(1, 1), (100, 131)]) func threadsDoNotMatter(height: Int, width: Int) {
    func run(_ threads: Int) -> [[Float]] {
      let setup = Setup(height: height, width: width, inputs: 7, hidden: 16, outputs: 3, linear: 3)
      let loss = setup.tape.run(threads: threads, iteration: 0)
      return [[Float(loss)], setup.perceptron.output.elements, setup.x.gradientElements]
        + setup.tape.parameters.map(\.gradientElements)
    }
    let one = run(1)
    for threads in [2, 3, 7] { #expect(run(threads) == one, "\(threads) threads") }
  }

  @Test(arguments: [(1, 1), (20, 53), (33, 100)]) func levelsAgree(height: Int, width: Int) {
    func run(_ level: Kernels.Level) -> [[Float]] {
      let setup = Setup(height: height, width: width, inputs: 7, hidden: 18, outputs: 3, linear: 3, level: level)
      let loss = setup.tape.run(threads: 2, iteration: 0)
      return [[Float(loss)], setup.perceptron.output.elements, setup.perceptron.linear.elements, setup.x.gradientElements]
        + setup.tape.parameters.map(\.gradientElements)
    }
    expectLevelsAgree(run, tolerance: 2e-5)
  }

  /// Some bands stand for all: over as many iterations the weights' gradients are the whole ones, and the input's are always.
  @Test func sampling() {
    let setup = Setup(height: 50, width: 200, inputs: 3, hidden: 5, outputs: 2, linear: 2)
    setup.tape.run(threads: 2, iteration: 0)
    let input = setup.x.gradientElements, whole = setup.tape.parameters.map(\.gradientElements)
    setup.perceptron.sampling = 4
    var sums = whole.map { $0.map { _ in Float(0) } }
    for iteration in 2..<6 {
      setup.tape.run(threads: 2, iteration: iteration)
      #expect(setup.x.gradientElements == input)
      for (p, parameter) in setup.tape.parameters.enumerated() { for (i, g) in parameter.gradientElements.enumerated() { sums[p][i] += g / 4 } }
    }
    for (sum, all) in zip(sums, whole) {
      let scale = all.reduce(1e-3) { max($0, abs($1)) }
      #expect(zip(sum, all).allSatisfy { abs($0 - $1) < 1e-5 * scale })
    }
  }

  /// Gradients are added to where others have written before.
  @Test func accumulates() {
    let setup = Setup(height: 9, width: 50, inputs: 3, hidden: 4, outputs: 2, linear: 1)
    setup.tape.run(threads: 1, iteration: 0)
    let alone = setup.x.gradientElements
    let probe = setup.tape.append(Probe(setup.x, seed: 8))
    setup.tape.run(threads: 1, iteration: 0)
    #expect(setup.x.gradientElements == zip(alone, probe.coefficients).map { $1 + $0 })
  }
}
