// Times the layers of Tensors at the sizes that Benchmarks/kernels.py gives to PyTorch; see Benchmarks/kernels.sh.
//   kernelbench [THREADS]
// Prints one line per layer: name, then the fastest run's nanoseconds.
import Tensors

let threads = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 2 : 2
let clock = ContinuousClock()

/// Prints the fastest of many runs, 50 ms of them or more.
func time(_ name: String, _ body: () -> Void) {
  var best = Duration.seconds(1000)
  let end = clock.now + .milliseconds(50)
  var runs = 0
  while runs < 5 || clock.now < end {
    best = min(best, clock.measure(body))
    runs += 1
  }
  let (seconds, attoseconds) = best.components
  print(name, seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
}

func floats(_ count: Int) -> [Float] { (0..<count).map { Float(($0 * 7919) % 1009) / 1009 - 0.5 } }
func smalls(_ count: Int, below bound: Int) -> [Int16] {
  (0..<count).map { Int16(($0 * 7919) % (2 * bound) - bound) }
}

let c = 192
let block = Shape(64, 96, c)
let x = Tensor<Int16>(block, smalls(block.count, below: 3000))
let y = Tensor<Int16>(uninitialized: block)
let xf = Tensor<Float>(block, floats(block.count))
let yf = Tensor<Float>(uninitialized: block)

let point = try FixedPointPointwise(
  inChannels: c, outChannels: c, weights: smalls(c * c, below: 300), bias: .init(repeating: 1 << 13, count: c),
  shifts: .init(repeating: 14, count: c))
let pointFloat = try FloatPointwise(inChannels: c, outChannels: c, weights: floats(c * c), bias: floats(c))
let up = try FixedPointPointwise(
  inChannels: c, outChannels: 2 * c, weights: smalls(2 * c * c, below: 150),
  bias: .init(repeating: 1 << 13, count: 2 * c), shifts: .init(repeating: 14, count: 2 * c))
let down = try FixedPointPointwise(
  inChannels: 2 * c, outChannels: c, weights: smalls(2 * c * c, below: 150),
  bias: .init(repeating: 1 << 13, count: c), shifts: .init(repeating: 14, count: c))
let pair = FixedPointPair(up, down)
let pairFloat = FloatPair(
  try FloatPointwise(inChannels: c, outChannels: 2 * c, weights: floats(2 * c * c), bias: floats(2 * c)),
  try FloatPointwise(inChannels: 2 * c, outChannels: c, weights: floats(2 * c * c), bias: floats(c)))
let depth = try FixedPointDepthwise3x3(
  channels: c, weights: smalls(c * 9, below: 3000), bias: .init(repeating: 1 << 13, count: c),
  shifts: .init(repeating: 14, count: c))
let depthFloat = try FloatDepthwise3x3(channels: c, weights: floats(c * 9), bias: floats(c))

let map = Shape(128, 128, 64)
let u = Tensor<Int16>(map, smalls(map.count, below: 3000))
let v = Tensor<Int16>(uninitialized: map)
let uf = Tensor<Float>(map, floats(map.count))
let vf = Tensor<Float>(uninitialized: map)
let full = try FixedPointConv3x3(
  inChannels: 64, outChannels: 64, weights: smalls(64 * 64 * 9, below: 100),
  bias: .init(repeating: 1 << 13, count: 64), shifts: .init(repeating: 14, count: 64))
let fullFloat = try FloatConv3x3(
  inChannels: 64, outChannels: 64, weights: floats(64 * 64 * 9), bias: floats(64))

print("level", Kernels.current.name)
time("conv1x1.fixed") { point.apply(x, into: y, threads: threads) }
time("conv1x1.float") { pointFloat.apply(xf, into: yf, threads: threads) }
time("pair.fixed") { pair.apply(x, into: y, addingTo: x, threads: threads) }
time("pair.float") { pairFloat.apply(xf, into: yf, addingTo: xf, threads: threads) }
time("depthwise.fixed") { depth.apply(x, into: y, threads: threads) }
time("depthwise.float") { depthFloat.apply(xf, into: yf, threads: threads) }
time("conv3x3.fixed") { full.apply(u, into: v, threads: threads) }
time("conv3x3.float") { fullFloat.apply(uf, into: vf, threads: threads) }
