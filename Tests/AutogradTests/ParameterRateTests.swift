import Autograd
import Testing

@Suite struct ParameterRateTests {
  @Test func gradientIsThatOfTheCost() {
    let a = Parameter("a", rows: 2, columns: 3, values: [0.4, -0.3, 0.9, -1.2, 0.25, 0.7])
    let b = Parameter("b", rows: 1, columns: 2, values: [2, -1])
    let zeros = [Float](repeating: 0, count: 6)
    let tape = Tape()
    tape.append(
      ParameterRate(
        [.init(members: [(a, zeros), (b, [1.5, -0.5])], step: 1 / 128), .init(members: [(a, zeros)], step: 1 / 64)],
        weight: 0.3))
    tape.run(threads: 1, iteration: 0)
    let gradients = [a.gradientElements, b.gradientElements]
    for (parameter, gradient) in zip([a, b], gradients) {
      for i in 0..<parameter.count {
        let saved = parameter.value[i]
        parameter.value[i] = saved + 0.01
        let above = tape.forward(threads: 1, iteration: 0)
        parameter.value[i] = saved - 0.01
        let below = tape.forward(threads: 1, iteration: 0)
        parameter.value[i] = saved
        let slope = (above - below) / 0.02
        // The slope near the centre is smoothed by a quarter of a step.
        #expect(abs(Double(gradient[i]) - slope) < 0.03 * abs(slope) + 1e-3)
      }
    }
  }

  @Test func nothingIsPaidAtTheCentre() {
    let a = Parameter("a", rows: 1, columns: 3, values: [1, 2, 3])
    let tape = Tape()
    tape.append(ParameterRate([.init(members: [(a, [1, 2, 3])], step: 1 / 32)], weight: 1))
    #expect(tape.run(threads: 1, iteration: 0) == 0)
    #expect(a.gradientElements == [0, 0, 0])
  }
}
