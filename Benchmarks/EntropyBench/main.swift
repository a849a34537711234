// Times the entropy coders on one core and measures their overhead. One line per figure: name, value, unit.
// Benchmarks/entropy.sh runs this beside constriction and prints the ratios.
import EntropyCoding
import Foundation

/// xorshift64*
struct Noise {
  var state: UInt64 = 0x9E37_79B9_7F4A_7C15
  mutating func unit() -> Double {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return Double((state &* 0x2545_F491_4F6C_DD1D) >> 11) / 9_007_199_254_740_992
  }
  mutating func normal() -> Double { (-2 * log(1 - unit())).squareRoot() * cos(2 * .pi * unit()) }
}

/// Best of `runs`, in seconds.
func best(of runs: Int = 15, _ work: () throws -> Void) rethrows -> Double {
  var shortest = Double.infinity
  for _ in 0..<runs {
    let start = ContinuousClock.now
    try work()
    let spent = (ContinuousClock.now - start).components
    shortest = min(shortest, Double(spent.seconds) + Double(spent.attoseconds) * 1e-18)
  }
  return shortest
}

func report(_ name: String, _ value: Double, _ unit: String) {
  print(name.padding(toLength: 44, withPad: " ", startingAt: 0), String(format: "%10.4f", value), unit)
}

var noise = Noise()
let count = 1_000_000

let start = ContinuousClock.now
_ = Scale.gaussian.count
let gaussianTime = ContinuousClock.now - start
_ = Scale.laplace.count
let laplaceTime = ContinuousClock.now - start - gaussianTime
report("gaussian tables, first use", Double(gaussianTime.components.attoseconds) * 1e-15, "ms")
report("laplace tables, first use", Double(laplaceTime.components.attoseconds) * 1e-15, "ms")

// Two mixtures: every scale alike, and one like an image's latents, where most scales are small.
for (name, draw) in [
  ("all-scales", { (n: inout Noise) in Int(n.unit() * 64) }),
  ("image-like", { (n: inout Noise) in min(63, Int(pow(n.unit(), 2.5) * 50)) }),
] {
  let indices = (0..<count).map { _ in UInt8(draw(&noise)) }
  let values = indices.map { Int16((noise.normal() * Double(Scale.sigmas[Int($0)]) / 65536).rounded()) }
  var payload: [UInt8] = []
  let encoding = try best(of: 5) {
    var encoder = RANSEncoder()
    encoder.reserve(count)
    try encoder.append(values, indices: indices, tables: Scale.gaussian)
    payload = encoder.finish(lanes: 4)
  }
  report("rans gaussian encode \(name)", encoding / Double(count) * 1e9, "ns/symbol")
  for lanes in [1, 2, 4] {
    var encoder = RANSEncoder()
    try encoder.append(values, indices: indices, tables: Scale.gaussian)
    let payload = encoder.finish(lanes: lanes)
    var decoded = [Int16](repeating: 0, count: count)
    let decoding = try best {
      var decoder = try RANSDecoder(payload)
      try indices.withUnsafeBufferPointer { i in
        try decoded.withUnsafeMutableBufferPointer { try decoder.decode(Scale.gaussian, indices: i, into: $0) }
      }
      try decoder.finish()
    }
    precondition(decoded == values)
    report("rans gaussian decode \(name) \(lanes) lanes", decoding / Double(count) * 1e9, "ns/symbol")
  }
  var ideal = 0.0
  for (v, i) in zip(values, indices) {
    let k = abs(Double(v))
    let s = Double(Scale.sigmas[Int(i)]) / 65536 * 2.0.squareRoot()
    ideal -= log2(v == 0 ? erf(0.5 / s) : (erfc((k - 0.5) / s) - erfc((k + 0.5) / s)) / 2)
  }
  report("rans gaussian overhead \(name)", (Double(payload.count * 8) / ideal - 1) * 100, "% over the exact normal")
}

do {
  let weights = (0..<256).map { UInt32(1 + 100_000 * exp(-pow((Double($0) - 100) / 20, 2) / 2)) }
  let model = try CategoricalModel(counts: weights, precision: 12)
  let table = try BlockRANS.Table(model)
  let total = 8_000_000
  let symbols = (0..<total).map { _ in UInt8(model.symbol(at: UInt32(noise.unit() * 4096)).symbol) }
  var payload: [UInt8] = []
  let encoding = try best(of: 3) { payload = try BlockRANS.encode(symbols, with: table) }
  report("block encode", Double(total) / encoding / 1e6, "Msymbols/s")
  var decoded = [UInt8](repeating: 0, count: total)
  for level in BlockRANS.Level.allCases where level.rawValue <= BlockRANS.Level.best.rawValue {
    let decoding = try best {
      try decoded.withUnsafeMutableBufferPointer { try BlockRANS.decode(payload, with: table, into: $0, level: level) }
    }
    precondition(decoded == symbols)
    report("block decode \(level)", Double(total) / decoding / 1e6, "Msymbols/s")
  }
  let ideal = symbols.reduce(0.0) { $0 + 12 - log2(Double(model.widths[Int($1)])) }
  report("block overhead", (Double(payload.count * 8) / ideal - 1) * 100, "% over the table")
}

do {
  let bits = (0..<count).map { _ in noise.unit() < 0.1 ? 1 : 0 }
  var payload: [UInt8] = []
  let encoding = try best(of: 5) {
    var encoder = RangeEncoder()
    var model = AdaptiveBit()
    for bit in bits { try encoder.encode(bit, adapting: &model) }
    payload = encoder.finish()
  }
  report("range coder adaptive bit encode", encoding / Double(count) * 1e9, "ns/symbol")
  var ones = 0
  let decoding = try best(of: 5) {
    var decoder = RangeDecoder(payload)
    var model = AdaptiveBit()
    ones = 0
    for _ in 0..<count { ones += try decoder.decode(adapting: &model) }
    try decoder.finish()
  }
  precondition(ones == bits.reduce(0, +))
  report("range coder adaptive bit decode", decoding / Double(count) * 1e9, "ns/symbol")
}
