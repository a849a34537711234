import Coding
import EntropyCoding

/// What a segment says of a block before its first token: a range-coded payload.
///
///     exact     bypass, 5 bits, 0...16: tokens at the start that are kept exactly
///     step      bypass, 8 bits: G = 2^((step - 192) / 16)
///     first     bypass, 12 bits: 2048 more than the index of channel 0's scale
///     others    for each other channel, its index less the one before it: a signed number (KVNumberModel)
///
/// Indices are -1920...1920 and stand for scales of 2^(index / 16).
// bitstream-spec 10.10.2
package struct KVBlockScales: Equatable {
  static let maximumExact = 16
  static let maximumIndex = 1920

  var exact = 0
  var stepIndex = 192
  /// By channel.
  var indices: [Int]

  var step: Float { Self.power(stepIndex - 192) }
  var scales: [Float] { indices.map(Self.power) }

  private static let roots: [UInt32] = [
    0x3F80_0000, 0x3F85_AAC3, 0x3F8B_95C2, 0x3F91_C3D3, 0x3F98_37F0, 0x3F9E_F532, 0x3FA5_FED7, 0x3FAD_583F, 0x3FB5_04F3,
    0x3FBD_08A4, 0x3FC5_672A, 0x3FCE_248C, 0x3FD7_44FD, 0x3FE0_CCDF, 0x3FEA_C0C7, 0x3FF5_257D,
  ]

  /// 2^(index / 16): the 16 roots rounded to binary32, times whole powers.
  package static func power(_ index: Int) -> Float {
    Float(sign: .plus, exponent: index >> 4, significand: Float(bitPattern: roots[index & 15]))
  }

  package init(exact: Int, stepIndex: Int, indices: [Int]) { (self.exact, self.stepIndex, self.indices) = (exact, stepIndex, indices) }

  /// Throws `EntropyError` or `CodecError` (malformed).
  package init(parsing bytes: [UInt8], width: Int) throws {
    var decoder = RangeDecoder(bytes)
    exact = Int(try decoder.decodeBypass(bits: 5))
    guard exact <= Self.maximumExact else { throw CodecError.damagedKV("a block keeps \(exact) tokens exactly") }
    stepIndex = Int(try decoder.decodeBypass(bits: 8))
    var index = Int(try decoder.decodeBypass(bits: 12)) - 2048
    var numbers = KVNumberModel()
    indices = []
    for channel in 0..<width {
      if channel > 0 { index += Int(try numbers.decodeSigned(from: &decoder)) }
      guard abs(index) <= Self.maximumIndex else { throw CodecError.damagedKV("a channel's scale has index \(index)") }
      indices.append(index)
    }
    try decoder.finish()
  }

  /// The inverse of `init(parsing:width:)`.
  package func serialised() -> [UInt8] {
    var encoder = RangeEncoder()
    encoder.encodeBypass(UInt32(exact), bits: 5)
    encoder.encodeBypass(UInt32(stepIndex), bits: 8)
    encoder.encodeBypass(UInt32(indices[0] + 2048), bits: 12)
    var numbers = KVNumberModel()
    for (before, index) in zip(indices, indices.dropFirst()) { numbers.encodeSigned(Int32(index - before), into: &encoder) }
    return encoder.finish()
  }
}
