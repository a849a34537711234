/// Makes the first stage's input of a frame's number, by two layers in integers.
// bitstream-spec 14.5
package struct NeRVStem: Sendable {
  package static let maximumLevels = 40
  /// Most frames, or rows or columns of places, that waves tell apart.
  package static let maximumCount = 4096
  /// Waves are in 2^-waveFraction.
  package static let waveFraction = 12

  private let levels: Int
  private let layers: [NeRVLayer]
  private let shortfall: [UInt16]

  /// Of a network that has one, and is valid.
  package init(_ network: NeRVNetwork) {
    guard let stem = network.architecture.stem else { preconditionFailure("a network with a stem") }
    (levels, layers) = (stem.levels, Array(network.layers.prefix(2)))
    shortfall = NeRVTables.shortfall(network.architecture.activation)
  }

  /// Sine and cosine of pi t 1.25^i for i = 0, 1, ...: t = frame / count, 0 <= frame < count <= 4096.
  package static func waves(frame: Int, of count: Int, levels: Int) -> [Int16] {
    var (numerator, denominator) = (UInt128(frame), UInt128(2 * count))
    return (0..<levels).flatMap { _ in
      // Of a turn, in 2^-14. The remainder is below 2^91.
      let phase = Int((numerator % denominator) << 14 / denominator)
      (numerator, denominator) = (5 * numerator, 4 * denominator)
      return [NeRVTables.waves[phase], NeRVTables.waves[(phase + 4096) & 16383]]
    }
  }

  /// [channels][height][width] of a segment's frame.
  package func input(frame: Int, of count: Int) -> [Int16] {
    layers.reduce(Self.waves(frame: frame, of: count, levels: levels)) { apply($1, to: $0) }
  }

  private func apply(_ layer: NeRVLayer, to x: [Int16]) -> [Int16] {
    let half = Int32((1 << layer.shift) >> 1), drop = 10 - layer.fraction
    return layer.weights.withUnsafeBufferPointer { weights in
      x.withUnsafeBufferPointer { x in
        layer.biases.indices.map { row in
          var sum: Int32 = 0
          let weights = weights.baseAddress! + row * x.count
          for i in 0..<x.count { sum &+= Int32(weights[i]) &* Int32(x[i]) }
          let v = Self.sat16(Int((sum &+ half) >> Int32(layer.shift)))
          let p = Self.sat16((v * Int(layer.multiplier) + 1 << 14) >> 15 + Int(layer.biases[row]))
          let g = max(p, 0) - Int(shortfall[min(abs(p), 32767)])
          return Int16(max(-8192, min(8191, (g + (1 << drop) >> 1) >> drop)))
        }
      }
    }
  }

  private static func sat16(_ v: Int) -> Int { max(-32768, min(32767, v)) }
}
