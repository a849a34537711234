import EntropyCoding

/// A picture's network as its file has it: each parameter is its prior, rounded to the group's step, plus an integer
/// of steps.
// bitstream-spec 9.3
package struct OverfitParameters: Sendable, Equatable {
  package static let maximumStep = 15
  /// Scale indices: 0...63 are those of `Scale`; above, every seven more double the scale by a further low bit.
  package static let maximumIndex = 111

  package let architecture: OverfitArchitecture
  package let prior: OverfitPrior
  /// By group of `architecture.groups`: k, 0...15, of its step 2^-k.
  package internal(set) var steps: [Int]
  /// By group: scale index before the parameters' offsets, 0...111.
  package internal(set) var bases: [Int]
  /// By parameter: n, the steps from the rounded prior.
  package internal(set) var integers: [Int32]

  init(architecture: OverfitArchitecture, prior: OverfitPrior, steps: [Int], bases: [Int], integers: [Int32]) {
    let groups = architecture.groups
    precondition(prior.values.count == architecture.parameterCount && integers.count == prior.values.count)
    precondition(steps.count == groups.count && bases.count == groups.count)
    self.architecture = architecture
    self.prior = prior
    self.steps = steps
    self.bases = bases
    self.integers = integers
  }

  /// Parameter `i` of group `group` in units of 2^-steps[group].
  func value(_ i: Int, group: Int) -> Int { prior.integer(i, step: steps[group]) + Int(integers[i]) }

  /// All parameters in units of their group's step.
  var values: [Int] {
    var values: [Int] = []
    for (number, group) in architecture.groups.enumerated() {
      for i in group.range { values.append(value(i, group: number)) }
    }
    return values
  }

  /// The scale index of a parameter.
  static func index(base: Int, offset: Int8) -> Int { min(max(base + Int(offset), 0), maximumIndex) }

  /// What an index stands for: a table of `Scale.laplace`, and how many low bits are sent as they are.
  @inline(__always)
  static func code(index: Int) -> (table: Int, lowBits: Int) {
    let lowBits = index < 64 ? 0 : (index - 57) / 7
    return (index - 7 * lowBits, lowBits)
  }

  /// The inverse of `encode(into:)`. Throws `EntropyError`.
  static func integers(
    from decoder: inout RangeDecoder, architecture: OverfitArchitecture, prior: OverfitPrior, bases: [Int]
  ) throws -> [Int32] {
    var integers: [Int32] = []
    integers.reserveCapacity(architecture.parameterCount)
    for (group, base) in zip(architecture.groups, bases) {
      for i in group.range {
        let (table, lowBits) = code(index: index(base: base, offset: prior.offsets[i]))
        let high = Int32(try decoder.decodeValue(with: Scale.laplace[table]))
        let low = lowBits > 0 ? try decoder.decodeBypass(bits: lowBits) : 0
        integers.append(high << Int32(lowBits) | Int32(low))
      }
    }
    return integers
  }
}

/// How many fraction bits activations have after the entropy model.
// bitstream-spec 9.4
package struct OverfitFormats: Sendable, Equatable {
  /// Of upsampled planes, 0...15.
  package var planes: Int
  /// Of the synthesis' hidden channels, 0...15.
  package var hidden: Int
  /// Of its outputs, of which 1.0 is white, 1...15.
  package var outputs: Int

  package init(planes: Int, hidden: Int, outputs: Int) {
    self.planes = planes
    self.hidden = hidden
    self.outputs = outputs
  }
}
