import Tensors
import Testing

/// Layers against plain Swift at every level of this CPU, on shapes from one pixel to odd sizes.
@Suite struct FixedPointTests {
  static let levels = Kernels.Level.allCases.compactMap(Kernels.at)
  static let shapes = [Shape(1, 1, 5), Shape(1, 9, 16), Shape(7, 1, 3), Shape(5, 13, 24), Shape(3, 2, 1)]

  @Test(arguments: shapes) func pointwise(_ shape: Shape) throws {
    var random = Random(1)
    let x = Tensor(shape, random.int16s(shape.count))
    for out in [1, 16, 19] {
      let w = random.weights(out, reach: shape.channels)
      let bias = (0..<out).map { Int32($0) - 3 }
      let shifts = (0..<out).map { UInt8(10 + $0 % 4) }
      let layer = try FixedPointPointwise(
        inChannels: shape.channels, outChannels: out, weights: w, bias: bias, shifts: shifts)
      let y = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
      let residual = Tensor(shape.with(channels: out), random.int16s(shape.positions * out))
      for kernels in Self.levels {
        for epilogue in [Epilogue.none, .leaky] {
          layer.apply(x, into: y, epilogue: epilogue, threads: 1, kernels: kernels)
          #expect(
            y.values
              == reference(
                x, out: out, taps: 1, weights: w, bias: bias, shifts: shifts, leaky: epilogue == .leaky))
        }
        let plain = reference(x, out: out, taps: 1, weights: w, bias: bias, shifts: shifts, leaky: false)
        layer.apply(x, into: y, addingTo: residual, threads: 1, kernels: kernels)
        #expect(y.values == zip(residual.values, plain).map { Int16(saturated(Int($0) + Int($1))) })
      }
    }
  }

  @Test(arguments: shapes, [1, 2]) func conv3x3(_ shape: Shape, stride: Int) throws {
    var random = Random(2)
    let x = Tensor(shape, random.int16s(shape.count))
    let out = 17
    let w = random.weights(out, reach: 9 * shape.channels)
    let bias = (0..<out).map { Int32($0) * 1000 - 9000 }
    let shifts = [UInt8](repeating: 12, count: out)
    let layer = try FixedPointConv3x3(
      inChannels: shape.channels, outChannels: out, stride: stride, weights: w, bias: bias, shifts: shifts)
    let y = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
    for kernels in Self.levels {
      layer.apply(x, into: y, epilogue: .leaky, threads: 2, kernels: kernels)
      #expect(y.shape == Shape((shape.height + stride - 1) / stride, (shape.width + stride - 1) / stride, out))
      #expect(
        y.values
          == reference(
            x, out: out, taps: 9, stride: stride, weights: w, bias: bias, shifts: shifts, leaky: true))
    }
  }

  @Test(arguments: shapes + [Shape(4, 5, 40)]) func depthwise(_ shape: Shape) throws {
    var random = Random(3)
    let x = Tensor(shape, random.int16s(shape.count))
    let c = shape.channels
    let w = random.weights(c, reach: 9)
    let bias = (0..<c).map { Int32($0) * 77 - 500 }
    let shifts = (0..<c).map { UInt8(9 + $0 % 5) }
    let layer = try FixedPointDepthwise3x3(channels: c, weights: w, bias: bias, shifts: shifts)
    let y = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
    for kernels in Self.levels {
      for epilogue in [Epilogue.none, .leaky] {
        layer.apply(x, into: y, epilogue: epilogue, threads: 2, kernels: kernels)
        #expect(
          y.values
            == reference(
              x, out: c, taps: 9, weights: w, bias: bias, shifts: shifts, leaky: epilogue == .leaky, depthwise: true))
      }
    }
  }

  @Test(arguments: [Shape(1, 1, 6), Shape(23, 31, 6), Shape(40, 40, 16)])
  func fusedPairEqualsItsLayers(_ shape: Shape) throws {
    var random = Random(4)
    let c = shape.channels
    let hidden = 3 * c + 1
    let first = try FixedPointPointwise(
      inChannels: c, outChannels: hidden, weights: random.weights(hidden, reach: c),
      bias: .init(repeating: 1 << 11, count: hidden), shifts: .init(repeating: 12, count: hidden))
    let second = try FixedPointPointwise(
      inChannels: hidden, outChannels: c, weights: random.weights(c, reach: hidden),
      bias: .init(repeating: 1 << 11, count: c), shifts: .init(repeating: 12, count: c))
    let x = Tensor(shape, random.int16s(shape.count))
    let (mid, want, fused) = (
      Tensor<Int16>(uninitialized: shape), Tensor<Int16>(uninitialized: shape), Tensor<Int16>(uninitialized: shape)
    )
    for kernels in Self.levels {
      first.apply(x, into: mid, epilogue: .leaky, threads: 1, kernels: kernels)
      second.apply(mid, into: want, addingTo: x, threads: 1, kernels: kernels)
      for threads in [1, 2, 3] {
        FixedPointPair(first, second).apply(x, into: fused, addingTo: x, threads: threads, kernels: kernels)
        #expect(fused.values == want.values)
        let inPlace = Tensor(shape, x.values)
        FixedPointPair(first, second).apply(inPlace, into: inPlace, addingTo: inPlace, threads: threads, kernels: kernels)
        #expect(inPlace.values == want.values)
      }
    }
  }

  @Test func partsOfThePictureMakeTheWhole() throws {
    var random = Random(5)
    let c = 5
    let layer = try FixedPointPointwise(
      inChannels: c, outChannels: 7, weights: random.weights(7, reach: c), bias: .init(repeating: 64, count: 7),
      shifts: .init(repeating: 7, count: 7))
    for (height, width) in [(1, 1), (1, 2), (5, 7), (6, 4)] {
      let shape = Shape(height, width, c)
      let x = Tensor(shape, random.int16s(shape.count))
      let whole = Tensor<Int16>(uninitialized: shape)
      layer.apply(x, into: whole, threads: 1)
      let grids = (0..<4).map { Positions.grid(row: $0 / 2, column: $0 % 2, step: 2) }
      for parts in [[Positions.checkerboard(parity: 0), .checkerboard(parity: 1)], grids, [.all]] {
        let y = Tensor<Int16>(zeros: whole.shape)
        for (i, part) in parts.enumerated() {
          layer.apply(x, at: part, into: y, at: part, threads: 2)
          if i == 0, parts.count > 1, height * width > 1 { #expect(y.values != whole.values) }
        }
        #expect(y.values == whole.values)
      }
      // From a sub-grid into a dense tensor.
      let dense = Tensor<Int16>(zeros: Shape((height + 1) / 2, (width + 1) / 2, 7))
      layer.apply(x, at: .grid(row: 0, column: 0, step: 2), into: dense, at: .all, threads: 1)
      #expect(dense[dense.shape.height - 1, dense.shape.width - 1, 6] == whole[(height - 1) / 2 * 2, (width - 1) / 2 * 2, 6])
    }
  }

  @Test func boundOfTheAccumulator() throws {
    // 32768 * 65535 + 32767 = 2^31 - 1: the last that is allowed, and what it computes at its extremes.
    let layer = try FixedPointPointwise(
      inChannels: 2, outChannels: 1, weights: [-32768, -32767], bias: [32767], shifts: [16])
    let x = Tensor<Int16>(Shape(1, 1, 2), [-32768, -32768])
    let y = Tensor<Int16>(uninitialized: Shape(1, 1, 1))
    for kernels in Self.levels {
      layer.apply(x, into: y, threads: 1, kernels: kernels)
      #expect(y.values == [32767])
    }
    func code(_ weights: [Int16], _ bias: [Int32], _ shifts: [UInt8]) -> TensorError.Code? {
      do throws(TensorError) {
        _ = try FixedPointPointwise(inChannels: 2, outChannels: 1, weights: weights, bias: bias, shifts: shifts)
        return nil
      } catch { return error.code }
    }
    #expect(code([-32768, -32767], [32768], [16]) == .accumulatorBound)
    #expect(code([-32768, -32768], [0], [16]) == .accumulatorBound)
    #expect(code([0, 0], [.min], [0]) == .accumulatorBound)
    #expect(code([0, 0], [.max], [31]) == nil)
    #expect(code([0, 0], [0], [32]) == .shift)
    #expect(code([0], [0], [0]) == .length)
    #expect(code([0, 0], [], [0]) == .length)
    #expect(throws: TensorError(.accumulatorBound, in: "", "")) {
      try FixedPointDepthwise3x3(channels: 1, weights: .init(repeating: 8000, count: 9), bias: [0], shifts: [0])
    }
    #expect(throws: TensorError(.accumulatorBound, in: "", "")) {
      try FixedPointConv3x3(
        inChannels: 1, outChannels: 1, weights: .init(repeating: -8000, count: 9), bias: [0], shifts: [0])
    }
    #expect(throws: TensorError(.channelCount, in: "", "")) {
      try FixedPointPointwise(inChannels: 0, outChannels: 1, weights: [], bias: [0], shifts: [0])
    }
    #expect(throws: TensorError(.shift, in: "", "")) { try FixedPointScale(multipliers: [1], shift: 0) }
    #expect(throws: TensorError(.dimensions, in: "", "")) { try Shape(checking: .max, 2, 1) }
    #expect(throws: TensorError(.dimensions, in: "", "")) { try Shape(checking: -1, 2, 1) }
  }
}
