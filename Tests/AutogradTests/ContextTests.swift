import Autograd
import Tensors
import Testing

struct ContextTests {
  /// Holds bits and every gradient against the plain model: differences of Double over so short a step that hardly any
  /// relu's kink lies within.
  private func check(_ setup: ContextSetup, picks: Int = 10, sourceLocation: SourceLocation = #_sourceLocation) {
    let loss = setup.tape.run(threads: 2, iteration: 0)
    var (model, first) = setup.plain
    for (grid, bits) in setup.rate.bits.enumerated() {
      let expected = model.bits(of: grid)
      #expect(abs(bits - expected) <= 2e-6 * expected + 1e-5, "bits of grid \(grid)", sourceLocation: sourceLocation)
    }
    #expect(abs(loss - Double(setup.weight) * model.bits()) <= 2e-6 * loss + 1e-5, sourceLocation: sourceLocation)
    let forward = setup.tape.forward(threads: 1, iteration: 0)
    #expect(forward == loss, sourceLocation: sourceLocation)

    var stream = Stream(7)
    func compare(_ name: String, _ gradient: [Float], grids: [Int], _ at: (Int) -> WritableKeyPath<PlainContext, Double>) {
      let scale = gradient.reduce(1e-2) { max($0, abs($1)) }
      let some = gradient.count <= picks
        ? Array(gradient.indices)
        : [0, gradient.count - 1] + (2..<picks).map { _ in Int(abs(stream.next()) * Float(gradient.count - 1)) }
      for i in some {
        let path = at(i), step = 1e-6
        model[keyPath: path] += step
        let up = grids.reduce(0) { $0 + model.bits(of: $1) }
        model[keyPath: path] -= 2 * step
        let down = grids.reduce(0) { $0 + model.bits(of: $1) }
        model[keyPath: path] += step
        let expected = Double(setup.weight) * (up - down) / (2 * step)
        #expect(
          abs(expected - Double(gradient[i])) <= 1e-4 * Double(scale),
          "\(name)[\(i)]: \(gradient[i]), expected \(expected) of \(scale)", sourceLocation: sourceLocation)
      }
    }
    for (v, variable) in setup.variables.enumerated() {
      let size = variable.height * variable.width
      // It is one grid's value and in another's stack.
      compare(variable.name, variable.gradientElements, grids: v == 0 ? [0] : [v - 1, v]) { \PlainContext.planes[first[v] + $0 / size].values[$0 % size] }
    }
    for (p, parameter) in setup.tape.parameters.enumerated() {
      compare(parameter.name, parameter.gradientElements, grids: Array(model.grids.indices)) { \PlainContext.parameters[p][$0] }
    }
  }

  /// Sizes around the tile's 48 columns and over several bands (of 16 rows here), whose halos then matter.
  @Test(arguments: [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (17, 33), (5, 49), (4, 131), (34, 52)])
  func gradients(height: Int, width: Int) {
    check(
      ContextSetup(
        height: height, width: width, stacks: [(3, true), (2, false)], spatial: 6, features: 3, hidden: 2,
        seed: UInt64(height * 200 + width)))
  }

  @Test(arguments: 0...4) func hiddenLayers(hidden: Int) {
    for spatial in [1, 5] {
      check(
        ContextSetup(
          height: 3, width: 50, stacks: [(1, true)], spatial: spatial, features: 2, hidden: hidden,
          seed: UInt64(hidden + 10)), picks: 6)
    }
  }

  /// Layers of every remainder by the kernels' blocks; the farthest neighbours.
  @Test(arguments: [(16, 15), (16, 4), (14, 7), (1, 0), (16, 0), (3, 1)]) func widths(spatial: Int, features: Int) {
    for isMirrored in [false, true] {
      check(
        ContextSetup(
          height: 18, width: 9, stacks: features == 0 ? [] : [(4, isMirrored)], spatial: spatial, features: features,
          hidden: 1, seed: UInt64(spatial)), picks: 8)
    }
  }

  /// A grid without a stack gets features of zero.
  @Test func withoutStack() {
    check(ContextSetup(height: 33, width: 50, stacks: [], spatial: 6, features: 3, hidden: 2, seed: 3))
  }

  /// Halos of bands: each changed value far from the first band.
  @Test func bands() {
    let setup = ContextSetup(height: 70, width: 70, stacks: [(2, true)], spatial: 16, features: 1, hidden: 0, seed: 5)
    setup.tape.run(threads: 3, iteration: 0)
    let whole = setup.variables.map(\.gradientElements)
    // Rows on both sides of each cut between bands of 16.
    var (model, _) = setup.plain
    for row in [11, 12, 15, 16, 31, 32, 47, 48, 63, 64, 69] {
      for column in [0, 48, 69] {
        let i = row * 70 + column, step = 1e-6
        model.planes[0].values[i] += step
        let up = model.bits(of: 0)
        model.planes[0].values[i] -= 2 * step
        let down = model.bits(of: 0)
        model.planes[0].values[i] += step
        #expect(abs(Double(setup.weight) * (up - down) / (2 * step) - Double(whole[0][i])) < 2e-4, "\(row), \(column)")
      }
    }
    for row in [7, 8, 15, 16, 23, 24, 31, 32, 34] {
      for column in [0, 24, 34] {
        let i = row * 35 + column, step = 1e-6
        model.planes[1].values[i] += step
        let up = model.bits()
        model.planes[1].values[i] -= 2 * step
        let down = model.bits()
        model.planes[1].values[i] += step
        #expect(abs(Double(setup.weight) * (up - down) / (2 * step) - Double(whole[1][i])) < 2e-4, "\(row), \(column)")
      }
    }
  }

  /// Some bands stand for all: over as many iterations the networks' gradients are the whole ones, and those of values are always.
  @Test func sampling() {
    let setup = ContextSetup(height: 70, width: 70, stacks: [(2, true)], spatial: 6, features: 2, hidden: 1, seed: 6)
    let loss = setup.tape.run(threads: 2, iteration: 0)
    let values = setup.variables.map(\.gradientElements), whole = setup.tape.parameters.map(\.gradientElements)
    setup.rate.sampling = 3
    var sums = whole.map { $0.map { _ in Float(0) } }
    for iteration in 5..<8 {
      #expect(setup.tape.run(threads: 2, iteration: iteration) == loss && setup.variables.map(\.gradientElements) == values)
      let some = setup.tape.parameters.map(\.gradientElements)
      #expect(some != whole)
      for p in some.indices { for i in some[p].indices { sums[p][i] += some[p][i] / 3 } }
    }
    for (sum, all) in zip(sums, whole) {
      let scale = all.reduce(1e-3) { max($0, abs($1)) }
      #expect(zip(sum, all).allSatisfy { abs($0 - $1) < 1e-5 * scale })
    }
  }

  /// Probes multiply each position's gradients, and nothing else.
  @Test func probes() {
    let setup = ContextSetup(height: 20, width: 70, stacks: [(3, true), (2, false)], spatial: 6, features: 3, hidden: 2, seed: 8)
    let loss = setup.tape.run(threads: 2, iteration: 0)
    func gradients() -> [[Float]] { setup.variables.map(\.gradientElements) + setup.tape.parameters.map(\.gradientElements) }
    let whole = gradients()
    let shapes = setup.rate.grids.map(\.values)
    func run(_ factor: (_ grid: Int, _ position: Int) -> Float) -> [[Float]] {
      setup.rate.probes = shapes.enumerated().map { grid, shape in
        let probe = Variable("probe", channels: 1, height: shape.height, width: shape.width, hasGradient: false)
        probe.load((0..<shape.count).map { factor(grid, $0) })
        return probe
      }
      #expect(setup.tape.run(threads: 2, iteration: 0) == loss)
      return gradients()
    }
    #expect(run { _, _ in 1 } == whole)
    // Parts add up.
    func isPart(_ grid: Int, _ position: Int) -> Bool { (grid + position / 3) % 2 == 0 }
    let some = run { isPart($0, $1) ? 1 : 0 }, rest = run { isPart($0, $1) ? 0 : -1 }
    #expect(some != whole)
    for (all, (a, b)) in zip(whole, zip(some, rest)) {
      let scale = all.reduce(1e-3) { max($0, abs($1)) }
      #expect(zip(all, zip(a, b)).allSatisfy { abs($0 - ($1.0 - $1.1)) < 2e-5 * scale })
    }
    // One grid alone, held against the plain model.
    let second = run { grid, _ in grid == 1 ? 1 : 0 }
    var (model, _) = setup.plain
    for p in [0, 1, 2, 4] {
      let path = \PlainContext.parameters[p][1], step = 1e-6
      model[keyPath: path] += step
      let up = model.bits(of: 1)
      model[keyPath: path] -= 2 * step
      let down = model.bits(of: 1)
      model[keyPath: path] += step
      let expected = Double(setup.weight) * (up - down) / (2 * step), found = Double(second[setup.variables.count + p][1])
      #expect(abs(expected - found) < 1e-3 * max(1, abs(expected)), "parameter \(p): \(found), expected \(expected)")
    }
  }

  /// Scales at and beyond the ends of their range, values far from their means: costs stay those of the model, gradients
  /// finite, and none reaches the network's scale from beyond the range.
  @Test(arguments: [Float(-6), 0, 0.45, 0.55, 8.4, 8.5, 20]) func extremes(scale: Float) {
    let setup = ContextSetup(height: 6, width: 50, stacks: [], spatial: 2, features: 0, hidden: 0, scale: 90, seed: 9)
    let parameters = setup.tape.parameters
    parameters[0].load([0, 0, 0, 0])
    parameters[1].load([0.5, 0, 0, 0])
    parameters[2].load([0.25, scale])
    let loss = setup.tape.run(threads: 1, iteration: 0)
    let expected = Double(setup.weight) * setup.plain.model.bits()
    // Where the exponentials underflow the floor of 2^-16 alone is left: 16 bits.
    #expect(abs(loss - expected) <= 1e-5 * expected, "\(loss), expected \(expected)")
    let gradients = setup.variables[0].gradientElements + parameters.flatMap(\.gradientElements)
    #expect(!gradients.contains { !$0.isFinite })
    let isClamped = scale < 0.5 || scale > 8.4375
    #expect((parameters[2].gradientElements[1] == 0) == isClamped)
  }

  @Test(arguments: [(1, 1), (16, 300), (90, 131)]) func threadsDoNotMatter(height: Int, width: Int) {
    func run(_ threads: Int) -> [[Float]] {
      let setup = ContextSetup(
        height: height, width: width, stacks: [(4, true), (3, true), (2, true), (1, true)], spatial: 10, features: 4,
        hidden: 2)
      // Twice, so that what a run leaves behind shows.
      _ = setup.tape.run(threads: threads, iteration: 0)
      let loss = setup.tape.run(threads: threads, iteration: 1)
      return [[Float(loss)]] + setup.variables.map(\.gradientElements) + setup.tape.parameters.map(\.gradientElements)
    }
    let one = run(1)
    for threads in [2, 3, 7] {
      for _ in 0..<5 { #expect(run(threads) == one, "\(threads) threads") }
    }
  }

  @Test(arguments: [(1, 1), (20, 53), (40, 100)]) func levelsAgree(height: Int, width: Int) {
    func run(_ level: Kernels.Level) -> [[Float]] {
      let setup = ContextSetup(
        height: height, width: width, stacks: [(3, true), (2, false)], spatial: 7, features: 4, hidden: 2, level: level)
      let loss = setup.tape.run(threads: 2, iteration: 0)
      return [[Float(loss)]] + setup.variables.map(\.gradientElements) + setup.tape.parameters.map(\.gradientElements)
    }
    expectLevelsAgree(run, tolerance: 2e-5)
  }

  /// Gradients are added where others have written before.
  @Test func accumulates() {
    let setup = ContextSetup(height: 20, width: 50, stacks: [(2, true)], spatial: 4, features: 2, hidden: 1)
    setup.tape.run(threads: 1, iteration: 0)
    let alone = setup.variables.map(\.gradientElements)
    let probes = setup.variables.enumerated().map { setup.tape.append(Probe($1, seed: UInt64($0))) }
    setup.tape.run(threads: 1, iteration: 0)
    for (v, variable) in setup.variables.enumerated() {
      let expected = zip(alone[v], probes[v].coefficients).map { $0 + $1 }
      #expect(variable.gradientElements == expected)
    }
  }
}
