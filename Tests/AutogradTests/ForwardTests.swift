import Autograd
import Tensors
import Testing

/// Values of operators against Cool-chic's own modules and plain loops.
struct ForwardTests {
  /// ((7 r + 5 c) mod 11 - 5) / 4 in row r, column c.
  private func pattern(height: Int, width: Int) -> Variable {
    let x = Variable("x", channels: 1, height: height, width: width)
    x.load((0..<height * width).map { Float((7 * ($0 / width) + 5 * ($0 % width)) % 11 - 5) / 4 })
    return x
  }

  private func expect(_ y: Variable, _ expected: [Float], sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      zip(y.elements, expected).allSatisfy { abs($0 - $1) < 2e-5 } && y.count == expected.count, "\(y.elements)",
      sourceLocation: sourceLocation)
  }

  // What UpsamplingSeparableSymmetricConvTranspose2d of Cool-chic 5.0 gives in evaluation (torch 2.15), five decimals.
  private static let doubled8: [Float] = [
    -1.597, -1.1296, -0.37528, 0.60383, 1.28461, 1.10352, 0.10742, -0.01953, 0.76953, 1.2373,
    -0.87429, -0.74556, -0.55026, 0.12908, 0.94053, 0.79153, -0.27103, -0.40138, 0.44735, 0.95063,
    0.33207, -0.10955, -0.85604, -0.66924, 0.38088, 0.28476, -0.91074, -1.04789, -0.07981, 0.49446,
    0.58109, 0.17157, -0.51071, -0.65919, -0.17261, -0.23663, -0.80438, -0.90943, -0.50491, -0.26591,
    -0.26784, -0.06094, 0.29071, 0.15356, -0.40739, -0.47821, -0.01202, -0.0642, -0.58787, -0.90109,
    -0.76789, -0.19362, 0.77445, 0.6373, -0.5582, -0.63242, 0.46152, 0.44144, -0.64577, -1.29426,
  ]
  private static let doubled6: [Float] = [
    -0.19, -0.33, 0.1175, -0.2725, 0.45, 0.2, -0.43, -1.01, 0.6475, -0.1825, 0.65, 0.4,
    0.23, 0.86, -0.81, -0.43, 0.1, -0.15, -0.01, 0.18, -0.28, -0.34, 0.3, 0.05,
  ]
  // And UpsamplingSeparableSymmetricConv2d.
  private static let filtered: [Float] = [
    -1.9625, 0.1575, 1.535, -0.0925, 1.0825, 0.13, -1.1775, 0.23, -1.565, -0.2675,
    -0.03, 0.7575, -0.9525, 0.2325, -1.2525, 1.4, 0.095, 1.1725, -0.2925, 0.87,
  ]

  @Test func upsamplingIsCoolChics() {
    func doubled(_ x: Variable, height: Int, width: Int, weights: [Float]) -> Variable {
      let y = Variable("y", channels: 1, height: height, width: width)
      let tape = Tape()
      tape.append(UpsampleByTwo(x, into: y, weights: Parameter("w", rows: 1, columns: weights.count, values: weights)))
      tape.forward(threads: 1, iteration: 0)
      return y
    }
    let bicubic = UpsampleByTwo.bicubic()
    let x = pattern(height: 3, width: 5)
    expect(doubled(x, height: 6, width: 10, weights: bicubic), Self.doubled8)
    // Odd sizes are cropped.
    let cropped = (0..<5).flatMap { r in Self.doubled8[r * 10..<r * 10 + 9] }
    expect(doubled(x, height: 5, width: 9, weights: bicubic), cropped)
    expect(doubled(x, height: 5, width: 9, weights: UpsampleByTwo.bicubic(m: 6)), cropped)
    expect(doubled(pattern(height: 1, width: 1), height: 2, width: 2, weights: bicubic), [-1.25, -1.25, -1.25, -1.25])
    expect(doubled(pattern(height: 2, width: 3), height: 4, width: 6, weights: [0.1, -0.3, 0.7]), Self.doubled6)
  }

  @Test func symmetricFilterIsCoolChics() {
    let y = Variable("y", channels: 1, height: 4, width: 5)
    let tape = Tape()
    let w = Parameter("w", rows: 1, columns: 4, values: [0.1, -0.3, 0.2, 0.6])
    tape.append(SymmetricFilter(pattern(height: 4, width: 5), into: y, weights: w))
    tape.forward(threads: 1, iteration: 0)
    expect(y, Self.filtered)
  }

  @Test(arguments: [1, 2, 3, 6]) func convolutionIsItsLoop(channels: Int) {
    for (height, width) in sizes {
      var stream = Stream(UInt64(channels))
      let x = Variable("x", channels: channels, height: height, width: width)
      let y = Variable("y", channels: channels, height: height, width: width)
      x.load(stream.array(x.count))
      let w = Parameter("w", rows: channels, columns: channels * 9, values: stream.array(channels * channels * 9))
      let b = Parameter("b", rows: 1, columns: channels, values: stream.array(channels))
      let tape = Tape()
      tape.append(ResidualConv3x3(x, into: y, weights: w, bias: b))
      tape.forward(threads: 3, iteration: 0)
      var worst: Float = 0
      for o in 0..<channels {
        for r in 0..<height {
          for c in 0..<width {
            var sum = b.value[o] + x[o, r, c]
            for i in 0..<channels {
              for t in 0..<9 {
                let row = min(max(r + t / 3 - 1, 0), height - 1), column = min(max(c + t % 3 - 1, 0), width - 1)
                sum += w.value[(o * channels + i) * 9 + t] * x[i, row, column]
              }
            }
            worst = max(worst, abs(sum - y[o, r, c]))
          }
        }
      }
      #expect(worst < 1e-5)
    }
  }

  @Test(arguments: [(1, 1), (3, 2), (5, 1), (5, 3)]) func convolutionWithShuffle(side: Int, factor: Int) {
    for (height, width) in sizes {
      var stream = Stream(UInt64(height))
      let (inputs, outputs) = (2, 3)
      let x = Variable("x", channels: inputs, height: height, width: width)
      let y = Variable("y", channels: outputs, height: height * factor, width: width * factor)
      x.load(stream.array(x.count))
      let rows = outputs * factor * factor
      let w = Parameter("w", rows: rows, columns: inputs * side * side, values: stream.array(rows * inputs * side * side, scale: 0.2))
      let b = Parameter("b", rows: 1, columns: rows, values: stream.array(rows))
      let tape = Tape()
      tape.append(Convolution(x, into: y, weights: w, bias: b, side: side, factor: factor, activation: .none))
      tape.forward(threads: 3, iteration: 0)
      var worst: Float = 0
      for o in 0..<outputs {
        for r in 0..<height * factor {
          for c in 0..<width * factor {
            let row = (o * factor + r % factor) * factor + c % factor
            var sum = b.value[row]
            for i in 0..<inputs {
              for t in 0..<side * side {
                let (v, h) = (r / factor + t / side - side / 2, c / factor + t % side - side / 2)
                guard (0..<height).contains(v), (0..<width).contains(h) else { continue }
                sum += w.value[(row * inputs + i) * side * side + t] * x[i, v, h]
              }
            }
            worst = max(worst, abs(sum - y[o, r, c]))
          }
        }
      }
      #expect(worst < 1e-5)
    }
  }

  /// What is above 15.98 counts as that, and can only be asked to come down.
  @Test(arguments: [Activation.gelu, .swish]) func activationsEnd(activation: Activation) {
    let x = Variable("x", channels: 1, height: 1, width: 4), y = Variable("y", channels: 1, height: 1, width: 4)
    let target = Variable("target", channels: 1, height: 1, width: 4, hasGradient: false)
    x.load([-40, 15, 40, 40])
    target.load([0, 14, 100, 0])
    let tape = Tape()
    let one = Parameter("weights", rows: 1, columns: 1, values: [1]), zero = Parameter("bias", rows: 1, columns: 1)
    tape.append(Convolution(x, into: y, weights: one, bias: zero, side: 1, activation: activation))
    tape.append(SquaredError(y, target: target, weight: 0.5))
    tape.run(threads: 1, iteration: 0)
    for (made, wanted) in zip(y.elements, [0, 15, 15.984375, 15.984375] as [Float]) { #expect(abs(made - wanted) < 1e-4) }
    let gradient = x.gradientElements
    for (made, wanted) in zip(gradient, [0, 1, 0, 15.984375] as [Float]) { #expect(abs(made - wanted) < 1e-3, "\(gradient)") }
  }

  @Test func nearestRepeats() {
    for (height, width) in sizes {
      var stream = Stream(4)
      let x = Variable("x", channels: 2, height: (height + 1) / 2, width: (width + 1) / 2)
      let y = Variable("y", channels: 2, height: height, width: width)
      x.load(stream.array(x.count))
      let tape = Tape()
      tape.append(NearestStack(x, into: y))
      tape.forward(threads: 2, iteration: 0)
      for i in 0..<y.count {
        let (c, r, s) = (i / width / height, i / width % height, i % width)
        #expect(y[c, r, s] == x[c, r / 2, s / 2])
      }
    }
  }

  /// As PyTorch's `interpolate(..., mode="bilinear")`: at half-pixel centres, the edges going on.
  @Test(arguments: [2, 3, 4, 5]) func bilinearLiesBetween(factor: Int) {
    for (height, width) in sizes where height * width < 600 {
      var stream = Stream(4)
      let x = Variable("x", channels: 2, height: height, width: width)
      let y = Variable("y", channels: 2, height: factor * height, width: factor * width)
      x.load(stream.array(x.count))
      let tape = Tape()
      tape.append(BilinearUpsample(x, into: y))
      tape.forward(threads: 2, iteration: 0)
      func at(_ c: Int, _ row: Double, _ column: Double) -> Double {
        func nearest(_ v: Double, _ count: Int) -> Int { min(max(Int(v), 0), count - 1) }
        let (r, s) = (row.rounded(.down), column.rounded(.down))
        return [(r, 1 - row + r), (r + 1, row - r)].reduce(0) { sum, a in
          [(s, 1 - column + s), (s + 1, column - s)].reduce(sum) { $0 + a.1 * $1.1 * Double(x[c, nearest(a.0, height), nearest($1.0, width)]) }
        }
      }
      for i in 0..<y.count {
        let (c, r, s) = (i / y.width / y.height, i / y.width % y.height, i % y.width)
        let expected = at(c, (Double(r) + 0.5) / Double(factor) - 0.5, (Double(s) + 0.5) / Double(factor) - 0.5)
        #expect(abs(Double(y[c, r, s]) - expected) < 1e-5)
      }
    }
  }

  /// Near integers' midpoints softround climbs, at integers it is flat; both as the formula says.
  @Test func softRoundIsItsFormula() {
    let x = Variable("x", channels: 1, height: 1, width: 400)
    x.load((0..<400).map { Float($0) / 40 - 5 })
    for t in [0.05, 0.3, 1] {
      let tape = Tape()
      let round = tape.append(SoftRound(x, seed: 0))
      round.temperature = Float(t)
      tape.forward(threads: 1, iteration: 0)
      func soft(_ v: Double) -> Double {
        let base = v.rounded(.down)
        return base + 0.5 + tanhOf((v - base - 0.5) / t) / (2 * tanhOf(1 / (2 * t)))
      }
      for (v, y) in zip(x.elements, round.y.elements) {
        // Rounding of the first function's value is as steep as the second one.
        #expect(abs(soft(soft(Double(v))) - Double(y)) < 2e-6 * (1 + 1 / t), "\(v) at \(t)")
      }
    }
  }
}
