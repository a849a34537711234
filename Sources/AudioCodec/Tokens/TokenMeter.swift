import EntropyCoding
import Glibc

/// Adds up what a group's indices cost, by level, instead of coding them.
final class TokenMeter: ModelledBits {
  /// [level], in bits
  private(set) var bits = [Double](repeating: 0, count: TokenGeometry.maximumLevels)
  private var level = 0

  func bit(_ bit: Int, one: Int32) -> Int {
    bits[level] -= log2(Double(bit == 1 ? one : 65536 - one) / 65536)
    return bit
  }

  /// `model` goes on from what it knows, but for what is of a group alone.
  func add(_ group: TokenGroup, _ model: TokenModel) {
    model.beginGroup()
    var group = group
    // Measuring throws nothing.
    try! group.visit(model, self) { self.level = $0 }
  }
}
