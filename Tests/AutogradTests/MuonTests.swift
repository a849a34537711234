import Autograd
import Tensors
import Testing

struct MuonTests {
  private static func gradients(_ count: Int, seed: UInt64) -> [Float] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { _ in random.nextNormal(deviation: 1) }
  }

  /// Steps of a matrix of zeros under some gradients.
  private static func values(rows: Int, columns: Int, steps: Int = 1, threads: Int = 1) -> [Float] {
    let p = Parameter("p", rows: rows, columns: columns), q = Parameter("q", rows: 3, columns: 5)
    let muon = Muon(beta: 0.8)
    muon.add(p, rate: 0.5)
    muon.add(q)
    for step in 0..<steps {
      for (i, g) in gradients(p.count, seed: UInt64(step)).enumerated() { p.gradient[i] = g }
      for (i, g) in gradients(q.count, seed: UInt64(step + 99)).enumerated() { q.gradient[i] = g }
      muon.step(rate: 0.1, threads: threads)
    }
    return p.elements
  }

  /// The singular values of a change are the rate, nearly, and its directions those of the gradient.
  @Test(arguments: [(8, 8), (5, 40), (40, 5), (33, 70), (2, 3)]) func changesAreOrthogonal(rows: Int, columns: Int) {
    let change = Self.values(rows: rows, columns: columns), g = Self.gradients(rows * columns, seed: 0)
    let n = min(rows, columns), m = max(rows, columns)
    func at(_ list: [Float], _ i: Int, _ k: Int) -> Double { Double(rows <= columns ? list[i * columns + k] : list[k * columns + i]) / 0.05 }
    var (trace, product) = (0.0, 0.0)
    for i in 0..<n {
      for j in 0..<n {
        let dot = (0..<m).reduce(0) { $0 + at(change, i, $1) * at(change, j, $1) }
        if i == j { trace += dot } else { #expect(abs(dot) < 0.45, "\(i) \(j)") }
      }
      product -= (0..<m).reduce(0) { $0 + at(change, i, $1) * at(g, i, $1) * 0.05 }
    }
    // Five steps leave singular values between 0.7 and 1.2, where none was near 0.
    #expect((0.49...1.44).contains(trace / Double(n)), "\(trace)")
    // The sum of singular values is at least the norm, and at most the square root of n of them times it.
    let norm = g.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    #expect(product > 0.6 * norm && product < 1.3 * norm * Double(n).squareRoot())
  }

  @Test func transposedMatricesChangeAlike() {
    let (rows, columns) = (6, 17)
    let p = Parameter("p", rows: rows, columns: columns), t = Parameter("t", rows: columns, columns: rows)
    let muon = Muon()
    muon.add(p)
    muon.add(t)
    let g = Self.gradients(rows * columns, seed: 4)
    for i in 0..<rows {
      for j in 0..<columns {
        p.gradient[i * columns + j] = g[i * columns + j]
        t.gradient[j * rows + i] = g[i * columns + j]
      }
    }
    for _ in 0..<3 { muon.step(rate: 1, threads: 1) }
    for i in 0..<rows { for j in 0..<columns { #expect(p.value[i * columns + j] == t.value[j * rows + i]) } }
  }

  @Test func threadsDoNotMatterAndZeroStaysPut() {
    #expect(Self.values(rows: 9, columns: 31, steps: 4) == Self.values(rows: 9, columns: 31, steps: 4, threads: 3))
    let p = Parameter("p", rows: 4, columns: 4, values: [Float](repeating: 2, count: 16)), muon = Muon()
    muon.add(p)
    muon.step(rate: 1, threads: 1)
    #expect(p.elements == [Float](repeating: 2, count: 16))
  }

  @Test func goesOnFromAState() {
    func steps(_ p: Parameter, _ muon: Muon, _ range: Range<Int>) {
      for step in range {
        for (i, g) in Self.gradients(p.count, seed: UInt64(step)).enumerated() { p.gradient[i] = g }
        muon.step(rate: 0.1, threads: 1)
      }
    }
    let p = Parameter("p", rows: 7, columns: 4), muon = Muon(), q = Parameter("q", rows: 7, columns: 4), other = Muon()
    muon.add(p)
    other.add(q)
    steps(p, muon, 0..<3)
    q.load(p.elements)
    #expect(other.restore(muon.state[...]) && !other.restore(muon.state.dropLast()))
    steps(p, muon, 3..<5)
    steps(q, other, 3..<5)
    #expect(p.elements == q.elements)
  }
}
