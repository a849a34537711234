import EntropyCoding
import Glibc

/// Writes the symbols of a group, choosing magnitudes by error and rate. The inverse is `GroupReader`.
// bitstream-spec 11.5
final class GroupWriter: GroupBits {
  private var encoder = RangeEncoder()
  let model: CoefficientModel
  /// Squared steps that a bit is worth.
  let lambda: Float

  private let notes: TrainingNotes?

  init(_ model: CoefficientModel, lambda: Float, isFresh: Bool = true, notes: TrainingNotes? = nil) {
    self.model = model
    self.lambda = lambda
    self.notes = notes
    if isFresh { model.reset() }
  }

  func side(_ bit: Int, _ context: Int) -> Int {
    encoder.encodeBit(bit, zeroWidth: model.side(context))
    model.learnSide(context, bit)
    return bit
  }

  func raw(_ value: Int, bits: Int) -> Int {
    encoder.encodeBypass(UInt32(value), bits: bits)
    return value
  }

  /// Steps of the largest magnitude that is written; the encoder keeps steps above what needs more.
  static let largest: Float = 60_000

  /// Bits of something whose probability is p / 2^16, at p / 16.
  private static let costs: [Float] = (0..<4097).map { -log2f((Float($0) + 0.5) / 4096.5) }

  /// The first `count` coefficients of a block; `inverse` is one over their steps. `levels` gets what a decoder restores, in 2^-8 of a
  /// step.
  func write(
    _ coefficients: UnsafePointer<Float>, _ count: Int, inverse: UnsafePointer<Float>, _ neighbours: BlockNeighbours,
    levels: UnsafeMutablePointer<Int32>
  ) {
    let shrinkage = model.prior.shrinkage
    Self.costs.withUnsafeBufferPointer { costs in
      for k in 0..<count {
        model.locate(k, neighbours)
        let x = abs(coefficients[k]) * inverse[k]
        var magnitude = Int(min(x, Self.largest) + 0.5)
        while magnitude > 0, magnitude < CoefficientModel.unary {
          let fewer = magnitude - 1
          let shrink = 3 * model.energy
          let high = Float(magnitude) - Float(shrinkage[shrink + min(magnitude, 3) - 1]) / 256
          let low = fewer == 0 ? 0 : Float(fewer) - Float(shrinkage[shrink + min(fewer, 3) - 1]) / 256
          let gain = (x - low) * (x - low) - (x - high) * (x - high)
          // What the larger magnitude costs more.
          let on = Int(model.predict(fewer)) >> 4
          let further = Int(model.predict(magnitude)) >> 4
          let bits = costs[on] - costs[4096 - on] + costs[4096 - further] + (fewer == 0 ? 1 : 0)
          guard gain < lambda * bits else { break }
          magnitude = fewer
        }
        write(magnitude)
        neighbours.current[k] = Int32(min(magnitude, 255)) << 4
        notes?.observe?(k, neighbours, magnitude)
        guard magnitude > 0 else {
          levels[k] = 0
          notes?.add(x * x, at: 3 * CoefficientModel.energies + model.energy)
          continue
        }
        if magnitude < CoefficientModel.unary {
          notes?.add(Float(magnitude) - x, at: 3 * model.energy + min(magnitude, 3) - 1)
        }
        let value = Int32(magnitude) << 8 &- shrinkage[3 * model.energy + min(magnitude, 3) - 1]
        let isNegative = coefficients[k] < 0
        encoder.encodeBypass(isNegative ? 1 : 0, bits: 1)
        levels[k] = isNegative ? -value : value
      }
    }
  }

  @inline(__always)
  private func write(_ magnitude: Int) {
    for step in 0..<min(magnitude + 1, CoefficientModel.unary) {
      let bit = step < magnitude ? 1 : 0
      encoder.encodeBit(bit, zeroWidth: UInt32(65536 &- model.predict(step)))
      model.learn(bit)
    }
    guard magnitude >= CoefficientModel.unary else { return }
    // excess + 1 = 2^bits + rest
    let more = magnitude - CoefficientModel.unary + 1
    let bits = Int.bitWidth - 1 - more.leadingZeroBitCount
    for i in 0..<bits { _ = side(1, FrameMemory.escapeContext + i) }
    _ = side(0, FrameMemory.escapeContext + bits)
    if bits > 0 { encoder.encodeBypass(UInt32(more - 1 << bits), bits: bits) }
  }

  func finish() -> [UInt8] {
    var other = RangeEncoder()
    swap(&other, &encoder)
    return other.finish()
  }
}

/// What training looks at while groups are written.
final class TrainingNotes {
  /// Of what magnitudes are above their coefficients, in steps, by [energy][1, 2, more]; then of squares where magnitudes are 0, by energy.
  private(set) var sums = [(sum: Double, count: Double)](repeating: (0, 0), count: 4 * CoefficientModel.energies)
  let observe: ((Int, BlockNeighbours, Int) -> Void)?

  init(observe: ((Int, BlockNeighbours, Int) -> Void)?) { self.observe = observe }

  func add(_ value: Float, at index: Int) {
    sums[index].sum += Double(value)
    sums[index].count += 1
  }
}
