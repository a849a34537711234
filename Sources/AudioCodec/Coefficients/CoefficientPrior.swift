import CModels
import EntropyCoding

/// What is learned beforehand about coefficients.
// bitstream-spec 11.7
struct CoefficientPrior: Sendable {
  /// Estimates: probability in 2^-22, times 1024, and the weight of what was learned, as so many observations.
  var slots: [UInt32]
  /// In 2^-16, [mixer][input].
  var weights: [Int32]
  /// Weights of neighbours in the energy, in 2^-8, [depth * 2 + second][feature].
  var energies: [Int32]
  /// What is taken off a magnitude when it is restored, in 2^-8, [energy][1, 2, more].
  var shrinkage: [Int32]
  /// What is effectively lost where a magnitude is 0, in 2^-8 of a step, [energy].
  var zeros: [Int32]

  static let modelID: UInt32 = 1
  private static let slotCount = CoefficientModel.slotCount + CoefficientModel.sideCount
  private static let weightCount = CoefficientModel.mixerCount * CoefficientModel.inputs
  private static let energyCount = 2 * CoefficientModel.depths * CoefficientModel.features
  private static let shrinkageCount = 3 * CoefficientModel.energies
  static let byteCount = 2 * (slotCount + weightCount + energyCount + shrinkageCount + CoefficientModel.energies)

  /// Nothing is known.
  static let blank: CoefficientPrior = {
    let weights = (0..<CoefficientModel.mixerCount).flatMap { _ in [Int32](repeating: 10000, count: 6) + [0] }
    let energies: [Int32] = [51, 30, 14, 4, 56, 30, 12, 4, 20, 10, 0]
    let second: [Int32] = [40, 24, 12, 4, 48, 24, 10, 4, 18, 8, 16]
    return CoefficientPrior(
      slots: [UInt32](repeating: Estimate.even, count: slotCount), weights: weights,
      energies: (0..<CoefficientModel.depths).flatMap { _ in energies + second }, shrinkage: [Int32](repeating: 0, count: shrinkageCount),
      zeros: [Int32](repeating: 64, count: CoefficientModel.energies))
  }()

  private static let loaded: CoefficientPrior? = {
    let weights = nc_audio_1()
    return CoefficientPrior(parsing: [UInt8](UnsafeRawBufferPointer(start: weights.bytes, count: weights.count)))
  }()

  /// The one in the binary.
  static var shipped: CoefficientPrior {
    guard let loaded else { preconditionFailure("the audio model in this build is broken") }
    return loaded
  }

  /// 16-bit numbers, low byte first: slots (12 bits of probability above 4 of observations), then weights in 2^-11, energies,
  /// shrinkage and zeros. Nil for another number of bytes. The inverse is `serialised()`.
  init?(parsing bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    var next = 0
    func word() -> UInt16 {
      defer { next += 2 }
      return UInt16(bytes[next]) | UInt16(bytes[next + 1]) << 8
    }
    func number() -> Int32 { Int32(Int16(bitPattern: word())) }
    slots = (0..<Self.slotCount).map { _ in Estimate.loaded(word()) }
    weights = (0..<Self.weightCount).map { _ in number() << 5 }
    energies = (0..<Self.energyCount).map { _ in number() }
    shrinkage = (0..<Self.shrinkageCount).map { _ in number() }
    zeros = (0..<CoefficientModel.energies).map { _ in number() }
  }

  private init(slots: [UInt32], weights: [Int32], energies: [Int32], shrinkage: [Int32], zeros: [Int32]) {
    (self.slots, self.weights, self.energies, self.shrinkage, self.zeros) = (slots, weights, energies, shrinkage, zeros)
  }

  func serialised() -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ word: UInt16) { bytes += [UInt8(truncatingIfNeeded: word), UInt8(word >> 8)] }
    func append(_ number: Int32) { append(UInt16(bitPattern: Int16(clamping: number))) }
    for slot in slots { append(Estimate.stored(slot)) }
    for weight in weights { append((weight + 16) >> 5) }
    for number in energies + shrinkage + zeros { append(number) }
    return bytes
  }

  /// With other parts, for training.
  func with(slots: [UInt32], weights: [Int32]) -> CoefficientPrior {
    CoefficientPrior(slots: slots, weights: weights, energies: energies, shrinkage: shrinkage, zeros: zeros)
  }
}
