import Coding
import EntropyCoding

/// The coded weights and biases of a network, by layer: in steps, as the difference to what is known of them.
package struct CodedNumbers: Sendable, Equatable {
  /// `[layer]`: [rows][inputs][side][side], and by row.
  package var weights, biases: [[Int16]]

  package init(weights: [[Int16]], biases: [[Int16]]) { (self.weights, self.biases) = (weights, biases) }

  /// All 0.
  package init(_ architecture: NeRVArchitecture) {
    let layers = architecture.layers
    self.init(weights: layers.map { [Int16](repeating: 0, count: $0.weightCount) }, biases: layers.map { [Int16](repeating: 0, count: $0.biasCount) })
  }
}

/// Codes the numbers of a segment's groups, one group after the other, for writing and reading alike: those of the first as those of any network, of
/// each other one the changes since the group before, under models that go on learning from group to group.
// bitstream-spec 14.3, 14.3.1
final class GroupNumbers {
  private struct Changes {
    let weights: WeightNumbers, biases: BiasNumbers
    let weightHistory, biasHistory: ChangeHistory
  }

  private let layers: [NeRVArchitecture.Stage]
  /// From the second group on.
  private var changes: [Changes] = []
  /// Of the last group that was visited; nil before the first.
  private var last: CodedNumbers?

  init(_ architecture: NeRVArchitecture) { layers = architecture.layers }

  /// The next group's numbers; those that are read replace what is there.
  func visit(_ numbers: inout CodedNumbers, _ bits: some ModelledBits) throws {
    if let last {
      if changes.isEmpty { changes = layers.map(Self.changes) }
      for (i, changes) in changes.enumerated() {
        let (weights, biases) = (last.weights[i], last.biases[i])
        try Self.visit(&numbers.weights[i], since: weights) { try changes.weights.visit(&$0, bits, history: changes.weightHistory, since: weights) }
        try Self.visit(&numbers.biases[i], since: biases) { try changes.biases.visit(&$0, bits, history: changes.biasHistory) }
      }
    } else {
      for (i, layer) in layers.enumerated() {
        try WeightNumbers(layer, areChanges: false).visit(&numbers.weights[i], bits)
        try BiasNumbers(areChanges: false).visit(&numbers.biases[i], bits)
      }
    }
    last = numbers
  }

  private static func changes(_ layer: NeRVArchitecture.Stage) -> Changes {
    Changes(
      weights: WeightNumbers(layer, areChanges: true), biases: BiasNumbers(areChanges: true), weightHistory: ChangeHistory(layer.weightCount),
      biasHistory: ChangeHistory(layer.biasCount))
  }

  /// `body` writes or reads the changes.
  private static func visit(_ numbers: inout [Int16], since last: [Int16], _ body: (inout [Int16]) throws -> Void) throws {
    // Those that are read take no notice of what is there.
    for i in numbers.indices { numbers[i] &-= last[i] }
    try body(&numbers)
    for i in numbers.indices {
      let (sum, isBeyond) = numbers[i].addingReportingOverflow(last[i])
      guard !isBeyond else { throw CodecError.damagedVideo("a weight is beyond its range") }
      numbers[i] = sum
    }
  }
}

/// What numbers have changed by from group to group.
final class ChangeHistory {
  /// Running means of changes' magnitudes, in 1/256.
  private var means: [Int32]
  /// The last ones.
  private var changes: [Int16]

  init(_ count: Int) { (means, changes) = ([Int32](repeating: 0, count: count), [Int16](repeating: 0, count: count)) }

  /// 0...179
  func context(_ i: Int) -> Int { 15 * SegmentNumbers.level(Int(means[i])) + SegmentNumbers.place(Int(changes[i])) }

  func add(_ change: Int, at i: Int) {
    changes[i] = Int16(truncatingIfNeeded: change)
    means[i] += (256 * Int32(abs(change)) - means[i]) >> 2
  }
}
