/// Steps of quantisation and noise that fills bands, the same on every machine.
// bitstream-spec 11.6
enum Steps {
  /// 2^(i / 128), by square roots and products alone.
  private static let fractions: [Double] = {
    var roots: [Double] = []
    var root = 2.0
    for _ in 0..<7 {
      root = root.squareRoot()
      roots.append(root)
    }
    return (0..<128).map { i in
      var value = 1.0
      for (n, root) in roots.enumerated() where i >> (6 - n) & 1 == 1 { value *= root }
      return value
    }
  }()

  /// 2^(index / 128 - 24)
  static func step(_ index: Int) -> Float {
    Float(fractions[index & 127] * Double(sign: .plus, exponent: (index >> 7) - 24, significand: 1))
  }

  static func step(_ index: Int, offset: Int) -> Float { step(index + 32 * offset) }

  /// What the effective value of noise of a level, 1...15, is of a step.
  static let noise: [Float] = (0...15).map { level in
    level == 0 ? 0 : Float(fractions[level & 1 == 1 ? 0 : 64] * Double(sign: .plus, exponent: -((level + 2) / 2), significand: 1))
  }

  /// Effective values, in steps, of noise in place of zeros, by their contexts' energy; none for a share of 0.
  static func holes(_ prior: CoefficientPrior, _ share: Int) -> [Float] {
    share == 0 ? [] : prior.zeros.map { Float(Int32(share) * $0) / 2048 }
  }
}

/// Evenly distributed numbers of effective value 1.
struct NoiseSource {
  private var state: UInt32 = 1

  mutating func next() -> Float {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Float(Int32(bitPattern: state) >> 8) * 2.0648e-7
  }
}

/// Where the bands of frames lie.
struct BandMap: Sendable {
  /// [depth][band]: edges in coefficients of a block.
  let edges: [[Int]]
  /// [depth][coefficient]: its band.
  let bands: [[UInt8]]

  init(_ geometry: AudioGeometry) {
    edges = (0...AudioGeometry.depth).map { depth in geometry.edges.map { $0 >> depth } }
    bands = edges.map { edges in
      zip(edges, edges.dropFirst()).enumerated().flatMap { band, edge in [UInt8](repeating: UInt8(band), count: edge.1 - edge.0) }
    }
  }
}
