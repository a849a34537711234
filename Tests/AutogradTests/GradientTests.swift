import Autograd
import Tensors
import Testing

struct GradientTests {
  @Test(arguments: [1, 2, 3, 4, 5, 8]) func upsampling(m: Int) {
    for (k, (height, width)) in sizes.enumerated() where m == 4 || k % 2 == 0 {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: (height + 1) / 2, width: (width + 1) / 2)
      let joined = Variable("joined", channels: 3, height: height, width: width)
      x.load(stream.array(x.count))
      let w = Parameter("w", rows: 1, columns: m, values: stream.array(m))
      tape.append(UpsampleByTwo(x, into: joined.view(1..<3), weights: w))
      tape.append(Probe(joined, seed: 5))
      checkGradients(tape, variables: [x], parameters: [w], step: 0.02, tolerance: 2e-4)
      #expect(marginsAreZero(joined))
    }
  }

  @Test(arguments: 1...5) func symmetricFilter(q: Int) {
    for (k, (height, width)) in sizes.enumerated() {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: height, width: width)
      let y = Variable("y", channels: 2, height: height, width: width)
      x.load(stream.array(x.count))
      let w = Parameter("w", rows: 1, columns: q, values: stream.array(q))
      tape.append(SymmetricFilter(x, into: y, weights: w))
      tape.append(Probe(y, seed: 5))
      checkGradients(tape, variables: [x], parameters: [w], step: 0.02, tolerance: 2e-4)
      #expect(marginsAreZero(y))
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 7, 16]) func convolution(channels: Int) {
    for (k, (height, width)) in sizes.enumerated() where channels == 3 || k % 3 == 0 {
      for residual in [true, false] {
        var stream = Stream(UInt64(k))
        let tape = Tape(), rectified = Tape()
        let x = Variable("x", channels: channels, height: height, width: width)
        let y = Variable("y", channels: channels, height: height, width: width)
        x.load(stream.array(x.count))
        let w = Parameter("w", rows: channels, columns: channels * 9, values: stream.array(channels * channels * 9))
        let b = Parameter("b", rows: 1, columns: channels, values: stream.array(channels))
        tape.append(ResidualConv3x3(x, into: y, weights: w, bias: b, residual: residual))
        let probe = tape.append(Probe(y, seed: 5))
        checkGradients(tape, variables: [x], parameters: [w, b], step: 0.02, tolerance: 4e-4)
        #expect(marginsAreZero(y))
        // A relu passes those coefficients whose output it passes.
        tape.forward(threads: 1, iteration: 0)
        let linear = y.elements
        let z = Variable("z", channels: channels, height: height, width: width)
        rectified.append(ResidualConv3x3(x, into: z, weights: w, bias: b, residual: residual, relu: true))
        rectified.append(Probe(z, seed: 5))
        rectified.run(threads: 1, iteration: 0)
        #expect(z.elements == linear.map { max($0, 0) })
        let gradients = [x.gradientElements, w.gradientElements, b.gradientElements]
        for i in linear.indices where linear[i] <= 0 { probe.coefficients[i] = 0 }
        tape.run(threads: 1, iteration: 0)
        #expect([x.gradientElements, w.gradientElements, b.gradientElements] == gradients)
      }
    }
  }

  @Test(arguments: [(1, 2, Activation.gelu), (3, 1, .none), (5, 2, .gelu), (3, 4, .swish), (1, 5, .gelu), (3, 3, .unit), (7, 1, .swish)])
  func convolutionWithShuffle(side: Int, factor: Int, activation: Activation) {
    for (k, (height, width)) in sizes.enumerated() where k % 2 == 0 || height * width < 100 {
      var stream = Stream(UInt64(k))
      let (inputs, outputs) = (3, 2)
      let tape = Tape()
      let x = Variable("x", channels: inputs, height: height, width: width)
      let y = Variable("y", channels: outputs, height: height * factor, width: width * factor)
      x.load(stream.array(x.count))
      let rows = outputs * factor * factor
      let w = Parameter("w", rows: rows, columns: inputs * side * side, values: stream.array(rows * inputs * side * side, scale: 0.3))
      let b = Parameter("b", rows: 1, columns: rows, values: stream.array(rows))
      tape.append(Convolution(x, into: y, weights: w, bias: b, side: side, factor: factor, activation: activation))
      tape.append(Probe(y, seed: 5))
      checkGradients(tape, variables: [x], parameters: [w, b], step: 0.01, tolerance: 1e-3)
      #expect(marginsAreZero(y))
    }
  }

  @Test(arguments: [1, 3, 7]) func depthwiseConvolution(side: Int) {
    for (k, (height, width)) in sizes.enumerated() where k % 2 == 0 {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 3, height: height, width: width)
      let y = Variable("y", channels: 3, height: height, width: width)
      x.load(stream.array(x.count))
      let w = Parameter("w", rows: 3, columns: side * side, values: stream.array(3 * side * side))
      let b = Parameter("b", rows: 1, columns: 3, values: stream.array(3))
      tape.append(DepthwiseConvolution(x, into: y, weights: w, bias: b, side: side))
      tape.append(Probe(y, seed: 5))
      checkGradients(tape, variables: [x], parameters: [w, b], step: 0.02, tolerance: 4e-4)
      #expect(marginsAreZero(y))
    }
  }

  @Test func normAndScaledSum() {
    for (k, (height, width)) in sizes.enumerated() where k % 2 == 0 {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 5, height: height, width: width)
      let y = Variable("y", channels: 5, height: height, width: width)
      let z = Variable("z", channels: 5, height: height, width: width)
      x.load(stream.array(x.count))
      let gain = Parameter("gain", rows: 1, columns: 5, values: stream.array(5))
      let bias = Parameter("bias", rows: 1, columns: 5, values: stream.array(5))
      let factors = Parameter("factors", rows: 1, columns: 5, values: stream.array(5))
      tape.append(ChannelNorm(x, into: y, gain: gain, bias: bias))
      tape.append(ScaledSum(x, y, into: z, factors: factors))
      tape.append(Probe(z, seed: 5))
      checkGradients(tape, variables: [x], parameters: [gain, bias, factors], step: 0.005, tolerance: 2e-3)
      #expect(marginsAreZero(y) && marginsAreZero(z))
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5]) func unshuffle(factor: Int) {
    for (k, (height, width)) in sizes.enumerated() where k % 2 == 0 {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: height * factor, width: width * factor)
      let y = Variable("y", channels: 2 * factor * factor, height: height, width: width)
      x.load(stream.array(x.count))
      tape.append(PixelUnshuffle(x, into: y, factor: factor))
      tape.append(Probe(y, seed: 5))
      checkGradients(tape, variables: [x], parameters: [], step: 0.02, tolerance: 2e-4)
      #expect(marginsAreZero(y))
      tape.forward(threads: 1, iteration: 0)
      #expect(y[factor * factor, height - 1, 0] == x[1, (height - 1) * factor, 0])
    }
  }

  @Test func reshape() {
    for (k, (height, width)) in sizes.enumerated() where height * width < 400 {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 3 * height * width, height: 1, width: 1)
      let y = Variable("y", channels: 3, height: height, width: width), z = Variable("z", channels: 3, height: height, width: width)
      x.load(stream.array(x.count))
      tape.append(Reshape(x, into: y))
      // Twice, so that both writers of its gradient are tried.
      tape.append(Reshape(x, into: z))
      tape.append(Probe(y, seed: 5))
      tape.append(Probe(z, seed: 6))
      checkGradients(tape, variables: [x], parameters: [], step: 0.02, tolerance: 2e-4)
      tape.forward(threads: 1, iteration: 0)
      #expect(marginsAreZero(y) && y.elements == x.elements)
    }
  }

  @Test func nearestAndSum() {
    for (k, (height, width)) in sizes.enumerated() {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: (height + 1) / 2, width: (width + 1) / 2)
      let b = Variable("b", channels: 2, height: height, width: width)
      let y = Variable("y", channels: 2, height: height, width: width)
      let z = Variable("z", channels: 2, height: height, width: width)
      x.load(stream.array(x.count))
      b.load(stream.array(b.count))
      tape.append(NearestStack(x, into: y))
      tape.append(Sum(y, b, into: z))
      // y twice, so that both writers of its gradient are tried.
      tape.append(Probe(y, seed: 4))
      tape.append(Probe(z, seed: 5))
      checkGradients(tape, variables: [x, b], parameters: [], step: 0.1, tolerance: 1e-4)
      #expect(marginsAreZero(y) && marginsAreZero(z))
    }
  }

  @Test(arguments: [1, 2, 3, 5]) func bilinear(factor: Int) {
    for (k, (height, width)) in sizes.enumerated() where height * width < 600 {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: height, width: width)
      let y = Variable("y", channels: 2, height: factor * height, width: factor * width)
      x.load(stream.array(x.count))
      tape.append(BilinearUpsample(x, into: y))
      // x twice, so that both writers of its gradient are tried.
      tape.append(Probe(x, seed: 4))
      tape.append(Probe(y, seed: 5))
      checkGradients(tape, variables: [x], parameters: [], step: 0.1, tolerance: 2e-4)
      #expect(marginsAreZero(y))
    }
  }

  @Test func squaredError() {
    for (k, (height, width)) in sizes.enumerated() {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: height, width: width)
      let t = Variable("t", channels: 2, height: height, width: width, hasGradient: false)
      x.load(stream.array(x.count))
      t.load(stream.array(t.count))
      let error = tape.append(SquaredError(x, target: t, weight: 0.5))
      tape.append(SquaredError(x.view(1..<2), target: t.view(0..<1), weight: 2))
      let other = Variable("other", channels: 2, height: height, width: width)
      other.load(stream.array(x.count))
      tape.append(SquaredError(x, plus: other, target: t, weight: 0.25))
      tape.append(Probe(x, seed: 5))
      checkGradients(tape, variables: [x, other], parameters: [], step: 0.02, tolerance: 1e-3)
      tape.forward(threads: 1, iteration: 0)
      let expected = zip(x.elements, t.elements).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      #expect(abs(error.squares - expected) < 1e-5 * expected)
    }
  }

  /// What lies beyond the range costs as much as the bound does, and is drawn back unless the target is the bound.
  @Test func squaredErrorInARange() {
    let x = Variable("x", channels: 1, height: 1, width: 5)
    let t = Variable("t", channels: 1, height: 1, width: 5, hasGradient: false)
    x.load([-2, 3, 3, 0.25, -1])
    t.load([0, 1, 0.5, 0.5, 0.25])
    let tape = Tape()
    let error = tape.append(SquaredError(x, target: t, range: 0...1, weight: 0.5))
    tape.run(threads: 1, iteration: 0)
    #expect(error.squares == 0.25 + 0.0625 + 0.0625)
    #expect(x.gradientElements == [0, 0, 0.5, -0.25, -0.25])
    #expect(marginsAreZero(x))
  }

  @Test(arguments: [Float(0.1), 0.3, 1]) func softRounding(temperature: Float) {
    for (k, (height, width)) in sizes.enumerated() {
      var stream = Stream(UInt64(k))
      let tape = Tape()
      let x = Variable("x", channels: 2, height: height, width: width)
      x.load(stream.array(x.count))
      let round = tape.append(SoftRound(x, gain: 4, seed: 11))
      round.temperature = temperature
      round.sigma = 0.2
      tape.append(Probe(round.y, seed: 5))
      checkGradients(tape, variables: [x], parameters: [], step: 2.5e-4, tolerance: 5e-3)
      #expect(marginsAreZero(round.y))
    }
  }

  /// Hard rounding's value is the integer, its slope that of the soft function; plain rounding has none.
  @Test func hardRounding() {
    let x = Variable("x", channels: 1, height: 9, width: 21)
    var stream = Stream(1)
    x.load(stream.array(x.count, scale: 3))
    let tape = Tape()
    let round = tape.append(SoftRound(x, gain: 2, seed: 1))
    round.temperature = 0.4
    let probe = tape.append(Probe(round.y, seed: 5))
    round.mode = .hard
    tape.run(threads: 1, iteration: 0)
    #expect(round.y.elements == x.elements.map { ($0 * 2).rounded(.toNearestOrEven) })
    for (i, g) in x.gradientElements.enumerated() {
      let v = Double(x.elements[i]) * 2, t = 0.4
      let a = (v - v.rounded(.down) - 0.5) / t
      let slope = 2 * (1 - tanhOf(a) * tanhOf(a)) / (2 * t * tanhOf(1 / (2 * t)))
      #expect(abs(Double(g) - slope * Double(probe.coefficients[i])) < 1e-4)
    }
    round.mode = .plain
    tape.run(threads: 1, iteration: 0)
    #expect(round.y.elements == x.elements.map { ($0 * 2).rounded(.toNearestOrEven) })
    #expect(x.gradientElements.allSatisfy { $0 == 0 })
  }

  /// Gradients reach variables and views in whatever order operations write them.
  @Test func partlyWrittenGradients() {
    let tape = Tape()
    let whole = Variable("whole", channels: 3, height: 4, width: 9)
    var stream = Stream(8)
    whole.load(stream.array(whole.count))
    let first = tape.append(Probe(whole, seed: 1))
    let second = tape.append(Probe(whole.view(1..<2), seed: 2))
    for _ in 0..<2 {
      tape.run(threads: 1, iteration: 0)
      var expected = first.coefficients
      for i in 0..<36 { expected[36 + i] += second.coefficients[i] }
      #expect(zip(expected, whole.gradientElements).allSatisfy { abs($0 - $1) < 1e-6 })
    }
  }
}

func tanhOf(_ x: Double) -> Double {
  // Without Foundation: exp by its series on a halved argument.
  var sum = 1.0, term = 1.0
  let y = 2 * x / 64
  for k in 1..<30 {
    term *= y / Double(k)
    sum += term
  }
  for _ in 0..<6 { sum *= sum }
  return (sum - 1) / (sum + 1)
}
