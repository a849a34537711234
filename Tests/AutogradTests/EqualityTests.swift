import Autograd
import Tensors
import Testing

/// A graph with every operator, large enough for several bands.
private final class Network {
  let tape: Tape
  let variables: [Variable]
  let rounds: [SoftRound]
  let output: Variable
  let adam: Adam
  let soap: SOAP

  init(height: Int, width: Int, level: Kernels.Level?) {
    var stream = Stream(17)
    let tape = Tape(level: level), adam = Adam(level: level), soap = SOAP(frequency: 1, level: level)
    self.tape = tape
    self.adam = adam
    self.soap = soap
    func grid(_ k: Int) -> Variable {
      let s = 1 << k
      let v = Variable("grid \(k)", channels: 1, height: (height + s - 1) / s, width: (width + s - 1) / s)
      v.load(stream.array(v.count, scale: 3))
      return v
    }
    let grids = (0...2).map(grid)
    variables = grids
    let rounds = grids.enumerated().map { k, v in SoftRound(v, gain: 2, seed: UInt64(k)) }
    self.rounds = rounds
    for r in rounds {
      r.sigma = 0.25
      tape.append(r)
      adam.add(r.x)
    }
    func filter(_ name: String, _ values: [Float]) -> Parameter {
      let p = Parameter(name, rows: 1, columns: values.count, values: values)
      soap.add(p)
      return p
    }
    func joined(_ channels: Int, like v: Variable) -> Variable {
      Variable("joined", channels: channels, height: v.height, width: v.width)
    }
    let p1 = joined(2, like: grids[1]), p0 = joined(3, like: grids[0])
    let c1 = joined(1, like: grids[1]), s0 = joined(1, like: grids[0])
    tape.append(UpsampleByTwo(rounds[2].y, into: p1.view(1..<2), weights: filter("u1", UpsampleByTwo.bicubic())))
    tape.append(SymmetricFilter(rounds[1].y, into: p1.view(0..<1), weights: filter("s1", stream.array(4, scale: 0.3))))
    tape.append(UpsampleByTwo(p1, into: p0.view(1..<3), weights: filter("u0", UpsampleByTwo.bicubic())))
    tape.append(NearestStack(rounds[2].y, into: c1))
    let n0 = joined(1, like: grids[0])
    tape.append(NearestStack(c1, into: n0))
    tape.append(Sum(rounds[0].y, n0, into: s0))
    tape.append(SymmetricFilter(s0, into: p0.view(0..<1), weights: filter("s0", stream.array(4, scale: 0.3))))
    var x = p0
    for k in 0..<2 {
      let y = joined(3, like: x)
      let w = Parameter("w\(k)", rows: 3, columns: 27, values: stream.array(81, scale: 0.2))
      let b = Parameter("b\(k)", rows: 1, columns: 3, values: stream.array(3))
      soap.add(w)
      soap.add(b)
      tape.append(ResidualConv3x3(x, into: y, weights: w, bias: b, relu: k == 0))
      x = y
    }
    output = x
    let target = Variable("target", channels: 3, height: height, width: width, hasGradient: false)
    target.load(stream.array(target.count))
    tape.append(SquaredError(x, target: target, weight: 1 / Double(target.count)))
  }

  /// What a few steps leave: losses, values, gradients and weights.
  func fit(threads: Int) -> [[Float]] {
    var losses: [Float] = []
    for i in 0..<3 {
      losses.append(Float(tape.run(threads: threads, iteration: i)))
      clipGradients(tape.parameters, norm: 0.1)
      adam.step(rate: 0.01, threads: threads)
      soap.step(rate: 0.01)
    }
    return [losses, output.elements] + variables.map(\.elements) + variables.map(\.gradientElements)
      + tape.parameters.map(\.elements) + tape.parameters.map(\.gradientElements)
  }
}

struct EqualityTests {
  @Test(arguments: [(1, 1), (33, 47), (200, 131)]) func threadsDoNotMatter(height: Int, width: Int) {
    let one = Network(height: height, width: width, level: nil).fit(threads: 1)
    #expect(one.allSatisfy { $0.allSatisfy(\.isFinite) })
    for threads in [2, 3, 7] {
      #expect(Network(height: height, width: width, level: nil).fit(threads: threads) == one, "\(threads) threads")
    }
  }

  @Test(arguments: [(1, 1), (33, 47), (60, 131)]) func levelsAgree(height: Int, width: Int) {
    let levels = Kernels.Level.allCases.filter { Kernels.at($0) != nil }
    #expect(levels.first == .scalar)
    func run(_ level: Kernels.Level) -> [[Float]] {
      let network = Network(height: height, width: width, level: level)
      let loss = network.tape.run(threads: 2, iteration: 1)
      return [[Float(loss)], network.output.elements] + network.variables.map(\.gradientElements)
        + network.tape.parameters.map(\.gradientElements) + network.rounds.map(\.y.elements)
    }
    let scalar = run(.scalar)
    for level in levels.dropFirst() {
      for (k, (a, b)) in zip(scalar, run(level)).enumerated() {
        let scale = a.reduce(1e-6) { max($0, abs($1)) }
        let worst = zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
        // A relu's kink may fall between two levels' roundings, but with this seed none does.
        #expect(worst <= 2e-4 * scale, "\(level), result \(k): \(worst) of \(scale)")
      }
    }
  }

  /// Hard rounding and its noise-free value agree exactly; noise has the promised moments and is fresh each iteration.
  @Test func noise() {
    let x = Variable("x", channels: 2, height: 200, width: 111)
    // Temperature so high that softround is the identity.
    func noise(_ level: Kernels.Level, iteration: Int, seed: UInt64) -> [Float] {
      let tape = Tape(level: level)
      let round = tape.append(SoftRound(x, seed: seed))
      round.temperature = 100
      round.sigma = 0.125
      tape.forward(threads: 2, iteration: iteration)
      return round.y.elements
    }
    let best = Kernels.current.level
    let a = noise(best, iteration: 5, seed: 1)
    let n = Double(a.count)
    func moment(_ k: Int) -> Double { a.reduce(0) { sum, v in sum + (0..<k).reduce(1.0) { p, _ in p * Double(v) / 0.125 } } / n }
    #expect(abs(moment(1)) < 0.02 && abs(moment(2) - 1) < 0.03 && abs(moment(3)) < 0.06)
    // Four uniforms: kurtosis 3 - 6/5/4.
    #expect(abs(moment(4) - 2.7) < 0.12)
    let b = noise(best, iteration: 6, seed: 1), c = noise(best, iteration: 5, seed: 2)
    func correlation(_ p: ArraySlice<Float>, _ q: ArraySlice<Float>) -> Double {
      zip(p, q).reduce(0) { $0 + Double($1.0) * Double($1.1) } / (0.125 * 0.125 * Double(min(p.count, q.count)))
    }
    #expect(abs(correlation(a[...], b[...])) < 0.03 && abs(correlation(a[...], c[...])) < 0.03)
    for lag in [1, 2, 8, 111, 200 * 111] { #expect(abs(correlation(a[...], a[lag...])) < 0.03) }
    #expect(noise(best, iteration: 5, seed: 1) == a)
    let scalar = noise(.scalar, iteration: 5, seed: 1)
    #expect(zip(a, scalar).allSatisfy { abs($0 - $1) < 2e-5 })
  }
}
