import Bitstream
import CModels
import EntropyCoding

/// What is learned beforehand about a mode's indices.
// bitstream-spec 12.7
struct TokenPrior: Sendable {
  let slots: [UInt32]
  /// In 2^-16, [set][input].
  let weights: [Int32]

  private static let weightCount = TokenContexts.setCount * TokenContexts.inputs
  /// Of a mode.
  private static let modeBytes = 2 * (TokenContexts.slotCount + weightCount)
  static let byteCount = modeBytes * TokenMode.allCases.count

  /// Nothing is known.
  static let blank = TokenPrior(
    slots: [UInt32](repeating: Estimate.even, count: TokenContexts.slotCount),
    weights: (0..<TokenContexts.setCount).flatMap { _ in [Int32](repeating: 7_000, count: TokenContexts.inputs - 1) + [0] })

  /// Of the file that this build holds.
  static func shipped(_ mode: TokenMode) -> TokenPrior {
    let file = nc_tokens_1_context()
    guard let prior = TokenPrior(parsing: UnsafeRawBufferPointer(start: file.bytes, count: file.count), mode) else {
      preconditionFailure("the token model in this build is broken")
    }
    return prior
  }

  init(slots: [UInt32], weights: [Int32]) { (self.slots, self.weights) = (slots, weights) }

  /// A file has the modes one behind the other, of each 16-bit numbers, low byte first: estimates (12 bits of probability above 4 of how
  /// often they were seen), then weights in 2^-11. Nil for another number of bytes. The inverse is `serialised(_:)`.
  init?(parsing bytes: UnsafeRawBufferPointer, _ mode: TokenMode) {
    guard bytes.count == Self.byteCount else { return nil }
    let first = Int(mode.rawValue) * Self.modeBytes
    func word(_ i: Int) -> UInt16 { UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: first + 2 * i, as: UInt16.self)) }
    slots = (0..<TokenContexts.slotCount).map { Estimate.loaded(word($0)) }
    weights = (0..<Self.weightCount).map { Int32(Int16(bitPattern: word(TokenContexts.slotCount + $0))) << 5 }
  }

  /// The file of the modes' priors, in their order.
  static func serialised(_ modes: [TokenPrior]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(byteCount)
    func append(_ word: UInt16) { bytes += [UInt8(truncatingIfNeeded: word), UInt8(word >> 8)] }
    for mode in modes {
      for slot in mode.slots { append(Estimate.stored(slot)) }
      for weight in mode.weights { append(UInt16(bitPattern: Int16(clamping: (weight + 16) >> 5))) }
    }
    return bytes
  }
}
