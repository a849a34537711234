import Tensors
import Testing

/// Float layers: both backends and the scalar level agree, and threads change nothing at all.
@Suite struct FloatTests {
  static func near(_ a: [Float], _ b: [Float]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= 1e-4 * (1 + abs($1)) }
  }

  @Test(arguments: [Shape(1, 1, 4), Shape(37, 41, 19), Shape(2, 500, 8)]) func pointwise(_ shape: Shape) throws {
    var random = Random(8)
    let c = shape.channels
    let w = random.floats(21 * c)
    let bias = random.floats(21)
    let layer = try FloatPointwise(inChannels: c, outChannels: 21, weights: w, bias: bias)
    let x = Tensor(shape, random.floats(shape.count))
    let residual = Tensor(shape.with(channels: 21), random.floats(shape.positions * 21))
    let y = Tensor<Float>(uninitialized: shape)
    var (leaky, added): ([Float], [Float]) = ([], [])
    for p in 0..<shape.positions {
      for o in 0..<21 {
        var a = Double(bias[o])
        for i in 0..<c { a += Double(w[o * c + i]) * Double(x.pointer[p * c + i]) }
        leaky.append(Float(max(a, a / 4)))
        added.append(Float(a + Double(residual.pointer[p * 21 + o])))
      }
    }
    var single: [Float] = []
    for threads in [1, 2, 3] {
      layer.apply(x, into: y, epilogue: .leaky, threads: threads)
      if threads == 1 { single = y.values }
      #expect(y.values == single)
    }
    #expect(Self.near(single, leaky))
    layer.apply(x, into: y, addingTo: residual, threads: 2)
    #expect(Self.near(y.values, added))
  }

  @Test(arguments: [Shape(1, 1, 3), Shape(11, 23, 5)], [1, 2]) func conv3x3(_ shape: Shape, stride: Int) throws {
    var random = Random(9)
    let c = shape.channels
    let w = random.floats(18 * 9 * c)
    let bias = random.floats(18)
    let layer = try FloatConv3x3(inChannels: c, outChannels: 18, stride: stride, weights: w, bias: bias)
    let x = Tensor(shape, random.floats(shape.count))
    let y = Tensor<Float>(uninitialized: shape)
    let out = layer.outputShape(for: shape)
    var want: [Float] = []
    for row in 0..<out.height {
      for column in 0..<out.width {
        for o in 0..<18 {
          var a = Double(bias[o])
          for t in 0..<9 {
            let (r, s) = (row * stride + t / 3 - 1, column * stride + t % 3 - 1)
            if r < 0 || s < 0 || r >= shape.height || s >= shape.width { continue }
            for i in 0..<c { a += Double(w[(o * 9 + t) * c + i]) * Double(x[r, s, i]) }
          }
          want.append(Float(a))
        }
      }
    }
    layer.apply(x, into: y, threads: 1)
    let single = y.values
    #expect(Self.near(single, want))
    layer.apply(x, into: y, threads: 3)
    #expect(y.values == single)
  }

  @Test func depthwiseAndPair() throws {
    var random = Random(10)
    for shape in [Shape(1, 1, 3), Shape(2, 2, 8), Shape(9, 33, 21)] {
      let c = shape.channels
      let x = Tensor(shape, random.floats(shape.count))
      let (y, want, mid) = (
        Tensor<Float>(uninitialized: shape), Tensor<Float>(uninitialized: shape), Tensor<Float>(uninitialized: shape)
      )
      let depth = try FloatDepthwise3x3(channels: c, weights: random.floats(9 * c), bias: random.floats(c))
      depth.apply(x, into: want, epilogue: .leaky, threads: 1, kernels: Kernels.at(.scalar)!)
      depth.apply(x, into: y, epilogue: .leaky, threads: 2)
      #expect(Self.near(y.values, want.values))
      let first = try FloatPointwise(
        inChannels: c, outChannels: 2 * c, weights: random.floats(2 * c * c), bias: random.floats(2 * c))
      let second = try FloatPointwise(
        inChannels: 2 * c, outChannels: c, weights: random.floats(2 * c * c), bias: random.floats(c))
      first.apply(x, into: mid, epilogue: .leaky, threads: 1)
      second.apply(mid, into: want, addingTo: x, threads: 1)
      FloatPair(first, second).apply(x, into: y, addingTo: x, threads: 2)
      #expect(Self.near(y.values, want.values))
    }
  }
}
