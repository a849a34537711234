import Autograd
import Tensors
import Testing

/// A fixed stream of numbers in -1...1.
struct Stream {
  var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }
  mutating func next() -> Float {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
  }
  mutating func array(_ count: Int, scale: Float = 1) -> [Float] { (0..<count).map { _ in next() * scale } }
}

/// A term of the loss whose gradient is a given constant: the sum of y * coefficients.
final class Probe: Operation {
  let y: Variable
  var coefficients: [Float]
  init(_ y: Variable, seed: UInt64) {
    self.y = y
    var stream = Stream(seed)
    coefficients = stream.array(y.count)
  }
  var targets: [Variable] { [y] }
  func forward(_ pass: Pass) {
    pass.addLoss(zip(y.elements, coefficients).reduce(0) { $0 + Double($1.0) * Double($1.1) })
  }
  func backward(_ pass: Pass) {
    // Rubbish in the margins, as the contract allows.
    let rubbish: Float = .nan
    for c in 0..<y.channels {
      for r in 0..<y.height {
        let row = y.gradient! + y.offset(channel: c, row: r)
        for x in -16..<y.pitch - 16 where x < 0 || x >= y.width { row[x] = rubbish }
        for x in 0..<y.width {
          let g = coefficients[(c * y.height + r) * y.width + x]
          row[x] = pass.accumulates(0) ? row[x] + g : g
        }
      }
    }
  }
}

/// Holds the gradients of a loss against central differences at some elements of each variable and parameter.
func checkGradients(
  _ tape: Tape, variables: [Variable], parameters: [Parameter], step: Float, tolerance: Double,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  tape.run(threads: 2, iteration: 3)
  var stream = Stream(99)
  func check(_ name: String, _ count: Int, gradient: (Int) -> Float, change: (Int, Float) -> Float) {
    let picks = count <= 60 ? Array(0..<count) : (0..<60).map { _ in Int(abs(stream.next()) * Float(count - 1)) } + [0, count - 1]
    var scale = 1e-3
    for i in 0..<count { scale = max(scale, Double(abs(gradient(i)))) }
    for i in picks {
      // What was stored, so that rounding of the step does not count.
      let high = change(i, step)
      let up = tape.forward(threads: 1, iteration: 3)
      let low = change(i, -2 * step)
      let down = tape.forward(threads: 1, iteration: 3)
      _ = change(i, step)
      let expected = (up - down) / Double(high - low)
      #expect(
        abs(expected - Double(gradient(i))) <= tolerance * scale, "\(name)[\(i)]: \(gradient(i)), expected \(expected)",
        sourceLocation: sourceLocation)
    }
  }
  for v in variables {
    let gradient = v.gradientElements
    check(v.name, v.count, gradient: { gradient[$0] }) { i, delta in
      let (plane, x) = i.quotientAndRemainder(dividingBy: v.width)
      let (c, r) = plane.quotientAndRemainder(dividingBy: v.height)
      v[c, r, x] += delta
      return v[c, r, x]
    }
  }
  for p in parameters {
    let gradient = p.gradientElements
    check(p.name, p.count, gradient: { gradient[$0] }) { i, delta in
      p.value[i] += delta
      return p.value[i]
    }
  }
}

/// Whether everything around the planes is zero, as operators must leave it.
func marginsAreZero(_ v: Variable) -> Bool {
  for c in 0..<v.channels {
    for r in -4..<v.height + 4 {
      let row = v.value + v.offset(channel: c, row: r)
      for x in -16..<v.pitch - 16 where r < 0 || r >= v.height || x < 0 || x >= v.width {
        if row[x] != 0 { return false }
      }
    }
  }
  return true
}

/// [height, width] of the pictures that operators are tried with.
let sizes = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (16, 16), (17, 33), (40, 65), (75, 130)]

/// Holds what `run` returns at every level of this CPU against the scalar level's, relative to each array's largest.
func expectLevelsAgree(
  _ run: (Kernels.Level) -> [[Float]], tolerance: Float, sourceLocation: SourceLocation = #_sourceLocation
) {
  let levels = Kernels.Level.allCases.filter { Kernels.at($0) != nil }
  #expect(levels.first == .scalar, sourceLocation: sourceLocation)
  let scalar = run(.scalar)
  for level in levels.dropFirst() {
    for (k, (a, b)) in zip(scalar, run(level)).enumerated() {
      let scale = a.reduce(1e-6) { max($0, abs($1)) }
      let worst = zip(a, b).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(worst <= tolerance * scale, "\(level), result \(k): \(worst) of \(scale)", sourceLocation: sourceLocation)
    }
  }
}
