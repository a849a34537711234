import Coding
import EntropyCoding
import Glibc

/// What parameters cost in bits, by scale index.
package struct OverfitParameterCost: Sendable {
  package static let shared = OverfitParameterCost()

  private struct Table {
    /// Bits of -reach...reach.
    let bits: [Float]
    let reach: Int
    let escape: Float
  }
  private let tables: [Table]

  private init() {
    tables = (0..<64).map { index in
      let outline = Scale.laplace.outlines[index]
      let reach = outline.values.upperBound
      return Table(
        bits: outline.values.map { 16 - log2f(Float(Scale.laplace.width(of: $0, in: index)!)) }, reach: reach,
        escape: 16 - log2f(Float(65536 - outline.escapeStart)))
    }
  }

  /// Bits of n under a scale index 0...111; infinite where it cannot be coded.
  @inline(__always)
  package func bits(_ n: Int32, index: Int) -> Float {
    let (number, lowBits) = OverfitParameters.code(index: index)
    let table = tables[number]
    let high = Int(n >> Int32(lowBits))
    if high.magnitude <= UInt(table.reach) { return table.bits[high + table.reach] + Float(lowBits) }
    guard Int16(exactly: high) != nil else { return .infinity }
    // A head of 6 bits, then the excess below its leading bit.
    let excess = Int(high.magnitude) - table.reach - 1
    let length = Int.bitWidth - excess.leadingZeroBitCount
    return table.escape + Float(6 + max(0, length - 1) + lowBits)
  }

  /// Bits of a group with a base; `offsets` are the prior's.
  package func bits(_ integers: ArraySlice<Int32>, offsets: ArraySlice<Int8>, base: Int) -> Double {
    var sum = 0.0
    for (n, offset) in zip(integers, offsets) {
      sum += Double(bits(n, index: OverfitParameters.index(base: base, offset: offset)))
    }
    return sum
  }

  /// The base that codes a group in the fewest bits, and those.
  package func best(_ integers: ArraySlice<Int32>, offsets: ArraySlice<Int8>) -> (base: Int, bits: Double) {
    // Standard deviation relative to each parameter's offset, as a start to go downhill from.
    var mean = 0.0
    for (n, offset) in zip(integers, offsets) { mean += Double(n.magnitude) * exp(-0.1011 * Double(offset)) }
    mean /= Double(max(integers.count, 1))
    let start = log(max(mean, 0.02) * 2.0.squareRoot() / 0.11) / 0.1011
    var base = min(max(Int(start), 0), OverfitParameters.maximumIndex)
    var lowest = bits(integers, offsets: offsets, base: base)
    for step in [8, 3, 1] {
      var moved = true
      while moved {
        moved = false
        for candidate in [base - step, base + step] where (0...OverfitParameters.maximumIndex).contains(candidate) {
          let cost = bits(integers, offsets: offsets, base: candidate)
          if cost < lowest || (lowest == .infinity && candidate > base) {
            (base, lowest, moved) = (candidate, cost, true)
            break
          }
        }
      }
    }
    return (base, lowest)
  }
}

extension OverfitParameters {
  /// The nearest parameters with the given steps, k by group; each group gets the base that codes it in the fewest
  /// bits. `floats` are in the order of `architecture.tensors`.
  ///
  /// Throws `CodecError` (invalidOption) where a number is not finite or too large to code at its step.
  package static func quantised(
    _ floats: [Float], architecture: OverfitArchitecture, prior: OverfitPrior, steps: [Int]
  ) throws(CodecError) -> OverfitParameters {
    precondition(floats.count == architecture.parameterCount && steps.count == architecture.groups.count)
    var integers: [Int32] = []
    var bases: [Int] = []
    for (group, step) in zip(architecture.groups, steps) {
      let part = quantised(floats, range: group.range, step: step, prior: prior)
      let best = OverfitParameterCost.shared.best(part[...], offsets: prior.offsets[group.range])
      guard best.bits.isFinite else {
        throw CodecError(.invalidOption, "the \(group.kind.name) cannot be coded in steps of 2^-\(step)")
      }
      integers += part
      bases.append(best.base)
    }
    return OverfitParameters(architecture: architecture, prior: prior, steps: steps, bases: bases, integers: integers)
  }

  /// n of the parameters in `range` at a step; numbers that are not finite or out of reach become 2^30, which no
  /// index codes.
  static func quantised(_ floats: [Float], range: Range<Int>, step: Int, prior: OverfitPrior) -> [Int32] {
    let scale = Float(1 << step)
    return range.map { i in
      let scaled = (floats[i] * scale).rounded()
      guard scaled.magnitude < 0x1p24 else { return 1 << 30 }
      return Int32(Int(scaled) - prior.integer(i, step: step))
    }
  }

  /// Bits of each group in the stream; 11 bits a group in the header come on top.
  package var bitsByGroup: [Double] {
    zip(architecture.groups, bases).map { group, base in
      OverfitParameterCost.shared.bits(integers[group.range], offsets: prior.offsets[group.range], base: base)
    }
  }

  /// Bits of all parameters and their groups' steps and bases.
  package var bits: Double { bitsByGroup.reduce(0, +) + 11 * Double(steps.count) }

  /// The parameters' values, in the order of `architecture.tensors`.
  package var floats: [Float] {
    var floats: [Float] = []
    floats.reserveCapacity(integers.count)
    for (number, group) in architecture.groups.enumerated() {
      let scale = 1 / Float(1 << steps[number])
      for i in group.range { floats.append(Float(value(i, group: number)) * scale) }
    }
    return floats
  }

  /// The inverse of `integers(from:architecture:prior:bases:)`.
  func encode(into encoder: inout RangeEncoder) {
    for (group, base) in zip(architecture.groups, bases) {
      for i in group.range {
        let (table, lowBits) = Self.code(index: Self.index(base: base, offset: prior.offsets[i]))
        // The tables have escapes, and bases were chosen so that the high part is an Int16.
        try! encoder.encode(Int16(integers[i] >> Int32(lowBits)), with: Scale.laplace[table])
        if lowBits > 0 {
          encoder.encodeBypass(UInt32(truncatingIfNeeded: integers[i]) & (1 << UInt32(lowBits) - 1), bits: lowBits)
        }
      }
    }
  }
}
