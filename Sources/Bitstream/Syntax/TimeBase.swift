/// The length of a tick, `numerator / denominator` seconds: two varints of 1...2^32 - 1.
// bitstream-spec 3.1
package struct TimeBase: BitstreamStructure, Equatable, Sendable {
  package var numerator: UInt32
  package var denominator: UInt32

  package init(numerator: UInt32 = 1, denominator: UInt32 = 1) {
    self.numerator = numerator
    self.denominator = denominator
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("numerator", &numerator, in: 1...UInt32.max, unit: "seconds")
    try visitor.varint("denominator", &denominator, in: 1...UInt32.max, unit: "ticks")
  }
}
