// Times each operator of Autograd at a picture's size, forward and backward, in ms per run: medians of interleaved
// repetitions, and the smallest in brackets. `autogradbench [threads] [width height]`; 1 thread and 768 x 512 by default.
import Autograd
import Tensors

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let threads = arguments.first ?? 1
let width = arguments.count > 2 ? arguments[1] : 768
let height = arguments.count > 2 ? arguments[2] : 512
let levels = 7

/// An operation with the times that it took.
final class Timed: Operation {
  let name: String
  let base: any Operation
  var forwards: [Double] = []
  var backwards: [Double] = []
  init(_ name: String, _ base: any Operation) {
    self.name = name
    self.base = base
  }
  var targets: [Variable] { base.targets }
  var forwardTargets: [Variable] { base.forwardTargets }
  var parameters: [Parameter] { base.parameters }
  func forward(_ pass: Pass) { forwards.append(milliseconds { base.forward(pass) }) }
  func backward(_ pass: Pass) { backwards.append(milliseconds { base.backward(pass) }) }
}

func milliseconds(_ body: () -> Void) -> Double { ContinuousClock().measure(body) / .milliseconds(1) }

/// The median, and the smallest in brackets.
func summary(_ values: [Double]) -> String {
  let sorted = values.sorted()
  return "\(decimals(sorted[sorted.count / 2])) [\(decimals(sorted[0]))]"
}

func decimals(_ value: Double) -> String {
  let thousandths = Int((value * 1000).rounded())
  let rest = String(thousandths % 1000)
  return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
}

let tape = Tape()
var timed: [Timed] = []
@MainActor func append(_ name: String, _ operation: any Operation) {
  let t = Timed(name, operation)
  timed.append(t)
  tape.append(t)
}

var state: UInt32 = 1
@MainActor func noise(_ v: Variable) {
  v.load(
    (0..<v.count).map { _ in
      state = state &* 1_664_525 &+ 1_013_904_223
      return Float(Int32(bitPattern: state)) / Float(1 << 29)
    })
}
@MainActor func size(_ k: Int) -> (height: Int, width: Int) { ((height - 1) >> k + 1, (width - 1) >> k + 1) }
@MainActor func planes(_ name: String, _ channels: Int, level k: Int) -> Variable {
  Variable(name, channels: channels, height: size(k).height, width: size(k).width)
}

let grids = (0..<levels).map { planes("latent \($0)", 1, level: $0) }
grids.forEach(noise)
let rounds = grids.map { SoftRound($0, gain: 1, seed: 1) }
for (k, r) in rounds.enumerated() {
  r.sigma = 0.2
  append("soft round", r)
  if k > 0 { append("nearest", NearestStack(r.y, into: planes("context", 1, level: k - 1))) }
}
var below = rounds[levels - 1].y
for k in stride(from: levels - 2, through: 0, by: -1) {
  let joined = planes("planes \(k)", levels - k, level: k)
  let up = Parameter("up \(k)", rows: 1, columns: 4, values: UpsampleByTwo.bicubic())
  let pre = Parameter("pre \(k)", rows: 1, columns: 4, values: [0, 0, 0, 0.01])
  append("upsample by two", UpsampleByTwo(below, into: joined.view(1..<joined.channels), weights: up))
  append("symmetric filter", SymmetricFilter(rounds[k].y, into: joined.view(0..<1), weights: pre))
  below = joined
}
var picture = below.view(0..<3)
for k in 0..<2 {
  let y = planes("picture \(k)", 3, level: 0)
  let w = Parameter("w", rows: 3, columns: 27, values: (0..<81).map { Float($0 % 7) * 0.01 })
  append("conv 3x3", ResidualConv3x3(picture, into: y, weights: w, bias: Parameter("b", rows: 1, columns: 3), relu: k == 0))
  picture = y
}
let target = Variable("target", channels: 3, height: height, width: width, hasGradient: false)
append("squared error", SquaredError(picture, target: target, weight: 1 / Double(target.count)))

let adam = Adam()
grids.forEach { adam.add($0) }
let soap = SOAP()
var matrices: [Parameter] = []
for k in 0..<16 {
  let p = k < 15 ? Parameter("m", rows: 20, columns: 20) : Parameter("m", rows: 48, columns: 7)
  for i in 0..<p.count { p.gradient[i] = Float((i * 7919 + k) % 101) * 0.01 - 0.5 }
  soap.add(p)
  matrices.append(p)
}

var totals: [Double] = [], adams: [Double] = [], soaps: [Double] = []
let repetitions = 60
for i in 0..<repetitions {
  totals.append(milliseconds { tape.run(threads: threads, iteration: i) })
  adams.append(milliseconds { adam.step(rate: 1e-6, threads: threads) })
  for p in matrices { for j in 0..<p.count { p.gradient[j] += Float((i * 31 + j * 17) % 13) * 0.01 - 0.06 } }
  soaps.append(milliseconds { soap.step(rate: 1e-3) })
}
print("\(width) x \(height), \(levels) latent grids, \(threads) thread(s), \(Kernels.current.name), ms forward + backward")
for name in ["soft round", "nearest", "symmetric filter", "upsample by two", "conv 3x3", "squared error"] {
  // Summed over the operations of a kind, run by run.
  let kind = timed.filter { $0.name == name }
  let f = (0..<repetitions).map { i in kind.reduce(0) { $0 + $1.forwards[i] } }
  let b = (0..<repetitions).map { i in kind.reduce(0) { $0 + $1.backwards[i] } }
  print("\(name): \(summary(f)) + \(summary(b))")
}
print("the tape in all: \(summary(totals))")
print("Adam over the latents: \(summary(adams))")
print("SOAP, 15 of 20 x 20 and one of 48 x 7, mean: \(decimals(soaps.dropFirst().reduce(0, +) / Double(repetitions - 1)))")
