import Autograd
import Fitting
import Testing

struct CompensatedRoundingTests {
  /// A A^T with n x n random numbers, and some on the diagonal.
  private func parabola(_ n: Int, seed: UInt64) -> [[Double]] {
    var stream = Stream(seed)
    let a = (0..<n).map { _ in (0..<n).map { _ in Double(stream.next()) } }
    return (0..<n).map { i in
      (0..<n).map { j in zip(a[i], a[j]).reduce(i == j ? 0.01 : 0) { $0 + $1.0 * $1.1 } }
    }
  }

  private func loss(_ h: [[Double]], _ d: [Double]) -> Double {
    d.indices.reduce(0) { sum, i in sum + d.indices.reduce(0) { $0 + d[i] * h[i][$1] * d[$1] } / 2 }
  }

  /// The costs that `round` is told add up to the parabola's height, whatever it returns.
  @Test(arguments: [1, 2, 9, 40]) func costsAddUp(n: Int) {
    let h = parabola(n, seed: UInt64(n))
    let rounding = CompensatedRounding(count: n, damping: 0) { h[$0][$1] }
    var stream = Stream(3)
    let values = (0..<n).map { _ in Double(stream.next()) }
    var sum = 0.0
    let rounded = rounding.round(values) { _, wanted, square in
      let value = wanted + Double(stream.next())
      sum += square * (value - wanted) * (value - wanted)
      return value
    }
    let expected = loss(h, zip(rounded, values).map(-))
    #expect(abs(sum - expected) < 1e-5 * expected)
  }

  @Test func laterNumbersMakeUp() {
    // The sum of two numbers matters much, their difference little.
    let rounding = CompensatedRounding(count: 2, damping: 0) { $0 == $1 ? 1 : 0.99 }
    #expect(rounding.round([0.4, 0.3]) { _, wanted, _ in wanted.rounded() } == [0, 1])
    #expect(abs(rounding.curvature(0) - (1 - 0.99 * 0.99)) < 1e-6 && abs(rounding.curvature(1) - 1) < 1e-6)
    var (sum, nearest) = (0.0, 0.0)
    for seed in 1...20 {
      let n = 30, h = parabola(n, seed: UInt64(seed))
      var stream = Stream(UInt64(seed + 100))
      let values = (0..<n).map { _ in 4 * Double(stream.next()) }
      let rounded = CompensatedRounding(count: n, damping: 0) { h[$0][$1] }.round(values) { _, wanted, _ in wanted.rounded() }
      #expect(rounded.allSatisfy { $0 == $0.rounded() })
      sum += loss(h, zip(rounded, values).map(-))
      nearest += loss(h, values.map { $0.rounded() - $0 })
    }
    #expect(sum < 0.5 * nearest, "\(sum), to the nearest \(nearest)")
  }

  /// Numbers that change nothing, even all, do no harm.
  @Test func flat() {
    for scale in [0.0, 1] {
      let rounding = CompensatedRounding(count: 3, damping: 0.1) { i, j in i == 1 && j == 1 ? scale : 0 }
      #expect(rounding.round([1.25, 2.25, 3.75]) { _, wanted, _ in wanted.rounded() } == [1, 2, 4])
    }
  }

  @Test func gramMatrix() {
    func sum(threads: Int) -> [Float] {
      let gram = GramMatrix(size: 70, batch: 5)
      var stream = Stream(1)
      for _ in 0..<3 {
        for i in 0..<5 { for k in 0..<70 { gram.vector(i)[k] = stream.next() } }
        gram.addBatch(threads: threads)
      }
      return (0..<70).flatMap { i in (0..<70).map { gram[i, $0] } }
    }
    var stream = Stream(1)
    var expected = [Double](repeating: 0, count: 70 * 70)
    for _ in 0..<15 {
      let vector = (0..<70).map { _ in Double(stream.next()) }
      for i in 0..<70 { for j in 0..<70 { expected[i * 70 + j] += vector[i] * vector[j] } }
    }
    let one = sum(threads: 1)
    #expect(zip(one, expected).allSatisfy { abs(Double($0) - $1) < 1e-5 })
    #expect(sum(threads: 3) == one)
  }
}
