/// What is learned beforehand about coefficients.
// bitstream-spec 11.4
struct CoefficientPrior: Sendable {
  /// Estimates: probability in 2^-22, times 1024, and the weight of what was learned, as so many observations.
  var slots: [UInt32]
  /// In 2^-16, [mixer][input].
  var weights: [Int32]
  /// Weights of neighbours in the energy, in 2^-8, [depth * 2 + second][feature].
  var energies: [Int32]
  /// What is taken off a magnitude when it is restored, in 2^-8, [energy][1, 2, more].
  var shrinkage: [Int32]

  /// Nothing is known.
  static let blank: CoefficientPrior = {
    let flat = UInt32(1 << 31)
    let weights = (0..<CoefficientModel.mixerCount).flatMap { _ in [Int32](repeating: 10000, count: 6) + [0] }
    let energies: [Int32] = [51, 30, 14, 4, 56, 30, 12, 4, 20, 10, 0]
    let second: [Int32] = [40, 24, 12, 4, 48, 24, 10, 4, 18, 8, 16]
    return CoefficientPrior(
      slots: [UInt32](repeating: flat, count: CoefficientModel.slotCount + CoefficientModel.sideCount), weights: weights,
      energies: (0..<CoefficientModel.depths).flatMap { _ in energies + second },
      shrinkage: [Int32](repeating: 0, count: 3 * CoefficientModel.energies))
  }()
}

extension CoefficientPrior {
  static let modelID: UInt32 = 1

  static func shipped() throws -> CoefficientPrior { blank }
}
