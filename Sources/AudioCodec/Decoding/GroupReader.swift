import EntropyCoding

/// Reads the symbols of a group. The inverse is the encoder's writer.
// bitstream-spec 11.5
final class GroupReader: GroupBits {
  private var decoder: RangeDecoder
  private let model: CoefficientModel

  init(_ payload: [UInt8], _ model: CoefficientModel) {
    decoder = RangeDecoder(payload)
    self.model = model
    model.reset()
  }

  func side(_ bit: Int, _ context: Int) throws -> Int {
    let bit = try decoder.decodeBit(zeroWidth: model.side(context))
    model.learnSide(context, bit)
    return bit
  }

  func raw(_ value: Int, bits: Int) throws -> Int { Int(try decoder.decodeBypass(bits: bits)) }

  /// Signed magnitudes of the first `count` coefficients of a block, in 2^-8 of a step, and what their contexts are to know of them.
  /// `energies` gets the contexts' levels.
  func read(
    _ count: Int, _ neighbours: BlockNeighbours, into values: UnsafeMutablePointer<Int32>, energies: UnsafeMutablePointer<UInt8>
  ) throws {
    let shrinkage = model.prior.shrinkage
    for k in 0..<count {
      model.locate(k, neighbours)
      energies[k] = UInt8(truncatingIfNeeded: model.energy)
      var magnitude = 0
      while magnitude < CoefficientModel.unary {
        let bit = try decoder.decodeBit(zeroWidth: UInt32(65536 &- model.predict(magnitude)))
        model.learn(bit)
        guard bit == 1 else { break }
        magnitude += 1
      }
      guard magnitude > 0 else {
        (neighbours.current[k], values[k]) = (0, 0)
        continue
      }
      if magnitude == CoefficientModel.unary { magnitude += try escape() }
      neighbours.current[k] = Int32(min(magnitude, 255)) << 4
      let value = Int32(magnitude) << 8 &- shrinkage[3 * model.energy + min(magnitude, 3) - 1]
      values[k] = try decoder.decodeBypass(bits: 1) == 1 ? -value : value
    }
  }

  private func escape() throws -> Int {
    var bits = 0
    while try side(0, FrameMemory.escapeContext + bits) == 1 {
      bits += 1
      guard bits <= 16 else { throw GroupError("a coefficient of more than 2^16 steps") }
    }
    return bits == 0 ? 0 : (1 << bits) - 1 + Int(try decoder.decodeBypass(bits: bits))
  }

  /// Throws unless the payload ends here.
  func finish() throws {
    let decoder = exchange()
    try decoder.finish()
  }

  private func exchange() -> RangeDecoder {
    var other = RangeDecoder([])
    swap(&other, &decoder)
    return other
  }
}
