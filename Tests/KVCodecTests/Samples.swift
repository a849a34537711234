import Media

/// splitmix64: the same caches everywhere.
struct Noise {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Nearly normal, deviation 1.
  mutating func normal() -> Float {
    var sum: Float = 0
    for _ in 0..<12 { sum += Float(next() >> 40) * 0x1p-24 }
    return sum - 6
  }
}

/// Rows of floats as a tensor.
func tensor(heads: Int, tokens: Int, channels: Int, element: KVElement, _ value: (Int, Int, Int) -> Float) -> KVTensor {
  let made = KVTensor(heads: heads, tokens: tokens, channels: channels, element: element)
  for h in 0..<heads {
    for t in 0..<tokens {
      made.withMutableRow(head: h, token: t) { row in
        for c in 0..<channels {
          let x = value(h, t, c)
          switch element {
          case .float16: row.storeBytes(of: Float16(x).bitPattern, toByteOffset: 2 * c, as: UInt16.self)
          case .bfloat16: row.storeBytes(of: UInt16(x.bitPattern >> 16), toByteOffset: 2 * c, as: UInt16.self)
          case .float32: row.storeBytes(of: x.bitPattern, toByteOffset: 4 * c, as: UInt32.self)
          }
        }
      }
    }
  }
  return made
}

func values(_ tensor: KVTensor) -> [Float] {
  var all: [Float] = []
  for h in 0..<tensor.heads {
    for t in 0..<tensor.tokens {
      tensor.withRow(head: h, token: t) { row in
        for c in 0..<tensor.channels {
          switch tensor.element {
          case .float16: all.append(Float(Float16(bitPattern: row.loadUnaligned(fromByteOffset: 2 * c, as: UInt16.self))))
          case .bfloat16:
            all.append(Float(bitPattern: UInt32(row.loadUnaligned(fromByteOffset: 2 * c, as: UInt16.self)) << 16))
          case .float32: all.append(Float(bitPattern: row.loadUnaligned(fromByteOffset: 4 * c, as: UInt32.self)))
          }
        }
      }
    }
  }
  return all
}

/// Channels with means and deviations of their own, as caches have.
func layer(
  _ noise: inout Noise, heads: Int = 2, tokens: Int = 70, channels: Int = 16, valueChannels: Int? = 16,
  element: KVElement = .float16, firstPosition: Int = 0
) -> KVLayer {
  func made(_ channels: Int) -> KVTensor {
    let scales = (0..<heads * channels).map { _ in exp2(noise.normal()) }
    let means = (0..<heads * channels).map { _ in noise.normal() * 3 }
    return tensor(heads: heads, tokens: tokens, channels: channels, element: element) { h, _, c in
      means[h * channels + c] + scales[h * channels + c] * noise.normal()
    }
  }
  return KVLayer(keys: made(channels), values: valueChannels.map(made), firstPosition: firstPosition)
}

private func exp2(_ x: Float) -> Float { x < 0 ? 1 / (1 - x) : 1 + x }

func hasSameBits(_ a: KVCache, _ b: KVCache) -> Bool {
  a.layers.count == b.layers.count
    && zip(a.layers, b.layers).allSatisfy { a, b in
      a.firstPosition == b.firstPosition && a.keys.hasSameBits(as: b.keys) && (a.values == nil) == (b.values == nil)
        && (a.values == nil || a.values!.hasSameBits(as: b.values!))
    }
}
