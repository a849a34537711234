import Tensors

/// The same numbers on every machine; xorshift64*.
struct Random: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 2_654_435_769 &+ 88_172_645_463_325_252 }
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 2_685_821_657_736_338_717
  }
  mutating func int16s(_ count: Int) -> [Int16] { (0..<count).map { _ in Int16.random(in: .min ... .max, using: &self) } }
  mutating func floats(_ count: Int) -> [Float] { (0..<count).map { _ in Float.random(in: -1...1, using: &self) } }
  /// Weights whose rows of `reach` stay within the bound of bitstream-spec 6.1.
  mutating func weights(_ outputs: Int, reach: Int) -> [Int16] {
    let most = Int16(min(32000 / reach, 3000))
    return (0..<outputs * reach).map { _ in Int16.random(in: -most...most, using: &self) }
  }
}

func saturated(_ v: Int) -> Int { min(max(v, -32768), 32767) }

/// bitstream-spec 6.1 and 6.2 in plain Swift; `taps` is 1 or 9, weights [out][tap][in]. `depthwise`: 6.3, in = out = C.
func reference(
  _ x: Tensor<Int16>, out: Int, taps: Int, stride: Int = 1, weights: [Int16], bias: [Int32], shifts: [UInt8],
  leaky: Bool, depthwise: Bool = false
) -> [Int16] {
  let s = x.shape
  let reach = taps == 9 ? 1 : 0
  let inputs = depthwise ? 1 : s.channels
  var y: [Int16] = []
  for row in stride1(s.height, stride) {
    for column in stride1(s.width, stride) {
      for o in 0..<out {
        var a = Int(bias[o])
        var t = 0
        for dy in -reach...reach {
          for dx in -reach...reach {
            if row + dy >= 0, row + dy < s.height, column + dx >= 0, column + dx < s.width {
              for i in 0..<inputs {
                a += Int(weights[(o * taps + t) * inputs + i]) * Int(x[row + dy, column + dx, depthwise ? o : i])
              }
            }
            t += 1
          }
        }
        let v = saturated(a >> Int(shifts[o]))
        y.append(Int16(leaky ? max(v, v >> 2) : v))
      }
    }
  }
  return y
}

private func stride1(_ size: Int, _ step: Int) -> [Int] { Array(stride(from: 0, to: size, by: step)) }
