import EntropyCoding
import Glibc
import LatentCoding
import Tensors

/// Chooses each symbol by rate and distortion: for a latent whose residual to the predicted mean is v bins, the nearest
/// integer, its neighbour towards zero and zero compete on
///
///     J(r) = care * lambda / 3 * sensitivity * (step * (v - r))^2 + bits(r)
///
/// One symbol at a time. What a choice does to later predictions, and to a synthesis that was trained on plain rounding,
/// is not seen; `care` stands for it.
struct LatentQuantiser {
  /// On 37 training crops (`codecbench rd`), BD-rate against care 1: -2.4 % at 1.4, -4.4 % at 2.5, -4.8 % at 4, -4.3 % at 7,
  /// -0.6 % with plain rounding.
  private static let care: Float = 4

  /// care * lambda / 3 * sensitivity * step^2, [latents].
  private let weight: [Float]
  /// Bins per unit of latent; bins per unit of the predictor's mean.
  private let gain: [Float]
  private let meanGain: [Float]
  private let bits: BitTable

  init(model: HyperpriorModel, analysis: AnalysisModel, quality: Int) {
    // The decoder's step is in units of 2^-(latentStepShift) of the latent's integer format, whose own unit is 1/128.
    let unit = 1 / (128 * Float(1 << model.latentStepShift))
    let steps = model.latentStep[quality].map { max(Float($0), 1) * unit }
    gain = Array(analysis.latentGain[quality])
    bits = analysis.latentBits
    meanGain = steps.map { 1 / (128 * $0) }
    let lambda = Self.care * analysis.lambda[quality]
    weight = zip(steps, analysis.sensitivity).map { lambda / 3 * $1 * $0 * $0 }
  }

  /// Symbols of a part from the picture's latents [h, w, latents].
  func symbols(
    for prediction: HyperpriorPredictor.Prediction, of latents: Tensor<Float>, threads: Int
  ) -> [Int16] {
    let part = prediction.part
    let size = latents.shape.channels / 4
    var symbols = [Int16](repeating: 0, count: prediction.means.count)
    let bits = bits
    symbols.withUnsafeMutableBufferPointer { symbols in
      nonisolated(unsafe) let symbols = symbols
      parallelFor(part.rows, threads: threads) { row in
        for column in 0..<part.columns {
          let position = (part.row + 2 * row) * latents.shape.width + part.column + 2 * column
          let values = latents.pointer + position * latents.shape.channels
          let base = (row * part.columns + column) * size
          for i in 0..<size {
            let c = part.group * size + i
            let v = values[c] * gain[c] - Float(prediction.means[base + i]) * meanGain[c]
            symbols[base + i] = choose(v, weight: weight[c], table: Int(prediction.indices[base + i]), bits)
          }
        }
      }
    }
    return symbols
  }

  @inline(__always)
  private func choose(_ v: Float, weight: Float, table: Int, _ bits: BitTable) -> Int16 {
    // Half of Int16's range keeps clear of the escape's edge; NaN and infinities cannot come from 8-bit pictures.
    // Adding 1.5 * 2^23 rounds to the nearest integer; the library's function is a call.
    let nearest = (min(max(v, -16384), 16384) + 0x1.8p23) - 0x1.8p23
    if nearest == 0 { return 0 }
    func cost(_ r: Float) -> Float { weight * (v - r) * (v - r) + bits[table, Int(r.magnitude)] }
    var best = nearest
    var least = cost(nearest)
    let inner = nearest - (nearest > 0 ? 1 : -1)
    let innerCost = cost(inner)
    if innerCost < least { (best, least) = (inner, innerCost) }
    if inner != 0, cost(0) < least { best = 0 }
    return Int16(best)
  }
}

/// Bits of a symbol's magnitude under each table, sign included.
struct BitTable: Sendable {
  private let values: [Float]
  private static let limit = 255

  init(_ tables: SymmetricTables) {
    let set = tables.set
    values = (0..<set.count).flatMap { index in
      let table = set[index]
      let escape = table.interval(of: TableSet.Table.escapeSymbol)!
      return (0...Self.limit).map { magnitude -> Float in
        if let interval = table.interval(of: magnitude) { return 16 - log2f(Float(interval.width)) }
        // An escape codes the excess in about 2 log2 bits.
        return 16 - log2f(Float(escape.width)) + 2 * log2f(Float(magnitude)) + 2
      }
    }
  }

  @inline(__always)
  subscript(table: Int, magnitude: Int) -> Float { values[table * (Self.limit + 1) + min(magnitude, Self.limit)] }
}
