import AudioCodec
import EntropyCoding
import Foundation
import Testing

@Suite struct TransformTests {
  /// Every size is the DCT-IV of the definition, and its own inverse.
  @Test(arguments: [32, 64, 256, 512]) func blocksAreTransformedByTheDefinition(_ size: Int) {
    let transform = LappedTransform(longest: size, depth: 1)
    var noise = Noise(3)
    let x = (0..<size).map { _ in noise.next() }
    var y = x
    y.withUnsafeMutableBufferPointer { transform.transform($0) }
    for k in 0..<size {
      var sum = 0.0
      for n in 0..<size { sum += Double(x[n]) * cos(.pi * Double((2 * n + 1) * (2 * k + 1)) / Double(4 * size)) }
      #expect(abs(Double(y[k]) - sum * (2 / Double(size)).squareRoot()) < 2e-5)
    }
    y.withUnsafeMutableBufferPointer { transform.transform($0) }
    for n in 0..<size { #expect(abs(x[n] - y[n]) < 2e-6) }
  }

  /// Around a boundary, separating undoes mixing and energy stays.
  @Test(arguments: [0, 1, 2]) func separatingUndoesMixing(_ depth: Int) {
    let transform = LappedTransform(longest: 64, depth: 2)
    var noise = Noise(5)
    let x = (0..<128).map { _ in noise.next() }
    var y = x
    y.withUnsafeMutableBufferPointer { transform.mix($0.baseAddress!, at: 64, overlap: 64 >> depth) }
    let half = 32 >> depth
    #expect(zip(x, y).enumerated().allSatisfy { i, pair in (pair.0 == pair.1) == !(64 - half..<64 + half).contains(i) })
    #expect(abs(x.reduce(0) { $0 + $1 * $1 } - y.reduce(0) { $0 + $1 * $1 }) < 1e-3)
    y.withUnsafeMutableBufferPointer {
      transform.separate($0.baseAddress! + 64, $0.baseAddress! + 64, overlap: 64 >> depth)
    }
    for (a, b) in zip(x, y) { #expect(abs(a - b) < 1e-6) }
  }

  @Test func sinesAreSines() {
    for i in 0...1000 {
      let x = Double(i) / 2000
      #expect(abs(Trigonometry.sine(x) - sin(.pi * x)) < 4e-16)
    }
  }

  @Test func squashingIsLogistic() {
    for d in stride(from: -Squashing.limit, through: Squashing.limit, by: 7) {
      let exact = 65536 / (1 + exp(-Double(d) / 256))
      #expect(abs(Double(Squashing.squashed[d + Squashing.limit]) - max(1, min(65535, exact))) <= 1)
    }
    #expect(Squashing.stretched.count == 4096 && zip(Squashing.stretched, Squashing.stretched.dropFirst()).allSatisfy { $0 <= $1 })
    for p in [100, 1000, 2048, 4000] {
      let exact = log((Double(p) + 0.5) / (4095.5 - Double(p))) * 256
      #expect(abs(Double(Squashing.stretched[p]) - exact) < 2)
    }
  }
}
