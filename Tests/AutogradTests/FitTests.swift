import Autograd
import Fitting
import Testing

struct FitTests {
  /// A small image-like problem: two grids, an entropy model and a perceptron.
  private final class Problem {
    let tape = Tape()
    let roundings: [SoftRound]
    let rate: ContextRate
    let error: SquaredError
    let size = (height: 40, width: 72)

    init() {
      var stream = Stream(21)
      let fine = Variable("fine", channels: 1, height: size.height, width: size.width)
      let coarse = Variable("coarse", channels: 1, height: size.height / 2, width: size.width / 2)
      let planes = Variable("planes", channels: 2, height: size.height, width: size.width)
      let stack = Variable("stack", channels: 1, height: coarse.height, width: coarse.width)
      roundings = [
        SoftRound(fine, into: planes.view(0..<1), gain: 16, seed: 1), SoftRound(coarse, into: stack, gain: 16, seed: 2),
      ]
      for rounding in roundings { tape.append(rounding) }
      func parameter(_ rows: Int, _ columns: Int, _ scale: Float) -> Parameter {
        Parameter("p", rows: rows, columns: columns, values: stream.array(rows * columns, scale: scale))
      }
      rate = tape.append(
        ContextRate(
          grids: [
            .init(
              values: roundings[0].y,
              layer: .init(stack: stack, isMirrored: true, weights: parameter(2, 4, 0.1), bias: parameter(1, 2, 0))),
            .init(values: stack, layer: nil),
          ], neighbours: [(-1, 0), (0, -1), (-1, -1)], features: 2,
          network: .init(
            hidden: [(parameter(5, 5, 0.1), parameter(1, 5, 0))], output: parameter(2, 5, 0.3),
            stabiliser: parameter(2, 5, 0.3), bias: parameter(1, 2, 0)), weight: 2e-3 / Float(size.height * size.width)))
      tape.append(
        UpsampleByTwo(
          stack, into: planes.view(1..<2), weights: Parameter("u", rows: 1, columns: 4, values: UpsampleByTwo.bicubic())))
      let perceptron = tape.append(
        Perceptron(
          planes, first: (parameter(8, 2, 0.1), parameter(1, 8, 0)), second: (parameter(3, 8, 0.2), parameter(1, 3, 0)),
          linear: parameter(3, 2, 0.1)))
      let target = Variable("target", channels: 3, height: size.height, width: size.width, hasGradient: false)
      for c in 0..<3 {
        for y in 0..<size.height {
          for x in 0..<size.width {
            // Ramps, edges and a little noise.
            let stripes: Float = y / 9 % 2 == 0 ? 0.25 : 0, bars: Float = x / 13 % 2 == c % 2 ? 0.2 : 0
            target[c, y, x] = Float(x) / 100 + stripes + bars + 0.01 * stream.next()
          }
        }
      }
      error = tape.append(
        SquaredError(perceptron.output, plus: perceptron.linear, target: target, weight: 1 / Double(target.count)))
    }

    func schedule() -> FitSchedule {
      var schedule = FitSchedule(iterations: 60, settling: 8)
      schedule.settlingRate = 1e-3
      return schedule
    }

    /// Loss under plain rounding.
    var plainLoss: Double {
      for rounding in roundings { rounding.mode = .plain }
      return tape.forward(threads: 2, iteration: 0)
    }

    var numbers: [[Float]] { roundings.map(\.x.elements) + tape.parameters.map(\.elements) }
  }

  private func fit(threads: Int, iterations: Int? = nil) -> (problem: Problem, fit: Fit) {
    let problem = Problem()
    let fit = Fit(
      problem.tape, roundings: problem.roundings, parameters: problem.tape.parameters, schedule: problem.schedule())
    while fit.iteration < iterations ?? problem.schedule().total { fit.step(threads: threads) }
    return (problem, fit)
  }

  @Test func lossFalls() {
    let start = Problem().plainLoss
    let (problem, fit) = fit(threads: 2)
    #expect(fit.iteration == 68 && fit.isDone)
    let end = problem.plainLoss
    #expect(end < 0.1 * start, "\(start) to \(end)")
    let bits = problem.rate.bits.reduce(0, +)
    #expect(bits > 10, "the fit used no latents")
  }

  @Test func threadsDoNotMatter() {
    let one = fit(threads: 1)
    for threads in [2, 3, 7] {
      let many = fit(threads: threads)
      #expect(many.problem.numbers == one.problem.numbers && many.fit.loss == one.fit.loss, "\(threads) threads")
    }
  }

  /// Settling moves the networks alone, downhill.
  @Test func settling() {
    let (before, _) = fit(threads: 2, iterations: 60)
    let (after, fit) = fit(threads: 2)
    #expect(after.roundings.map(\.x.elements) == before.roundings.map(\.x.elements))
    #expect(after.tape.parameters.map(\.elements) != before.tape.parameters.map(\.elements))
    #expect(after.plainLoss < before.plainLoss)
    // The loss of the last step, before its change of the networks, is the plain one.
    #expect(after.roundings.allSatisfy { $0.mode == .plain } && abs(fit.loss - after.plainLoss) < 0.01 * fit.loss)
  }
}
