import CKernels

/// A block as a profile knows it. The chain's state, `coefficients` numbers, sums up the blocks before it, as a Kalman filter's
/// does: what was expected of it there, and what the symbols told.
///
/// A row of a batch holds the block's channels and then the state that goes with them, as both are the same sums: the state before
/// times [predictor, transitions], plus the symbols times [basis, updates].
// bitstream-spec 10.11.2
final class KVProfiledLink: KVChainLink, @unchecked Sendable {
  private static let limit: Int32 = 32_767

  private let known: KVPreparedLink
  override var analysis: KVStrips? { known.analysis }

  init(_ known: KVPreparedLink) {
    self.known = known
    super.init(width: known.width, columns: known.rows.columns, coefficients: known.rows.columns - known.width)
  }

  /// A part that decodes on its own begins.
  func begin(step: Float) {
    self.step = step
    let inverse = 1 / (step * step)
    for (i, variance) in known.variances.enumerated() {
      states[i] = KVScales.state(variance: variance * inverse + 1 / 24)
    }
  }

  override func predict(into predicted: KVMatrix, tokens: Int, before states: [KVMatrix]) {
    for t in 0..<tokens { predicted.row(t).update(from: known.means.base, count: known.means.pitch) }
    guard let before = known.before, let state = states.first else { return }
    predicted.add(rows: 0..<tokens, inner: coefficients, state.base, row: state.pitch, times: before)
  }

  override func restore(
    _ symbols: UnsafePointer<Int16>, step: Float, into residual: UnsafeMutablePointer<Float>, _ scratch: KVSparseScratch
  ) {
    for j in 0..<columns { residual[j] = 0 }
    let count = values(of: symbols, offset: 0.03125, step: step, in: scratch)
    kvKernels().sparse_row(scratch.list, scratch.factors, count, known.rows.base, known.rows.pitch, columns, residual)
  }

  override func file(
    first: Int, tokens: Int, values: KVMatrix, residual: KVMatrix, coefficients: KVMatrix, _ scratch: KVSparseScratch
  ) {
    let floats = scratch.products.row(0)
    for t in 0..<tokens {
      // To where vectors may begin.
      floats.update(from: values.row(t) + width, count: self.coefficients)
      kvKernels().wholes(floats, self.coefficients, 64, Self.limit, scratch.wholes)
      let row = coefficients.row(t)
      for j in 0..<self.coefficients { row[j] = Float(scratch.wholes[j]) * 0x1p-6 }
    }
  }
}

/// The numbers of a profile's block, for any number of coders at once.
final class KVPreparedLink: Sendable {
  let width: Int
  /// [1, column]
  let means: KVMatrix
  /// [number of the state, column]; nil at the beginning of a chain.
  let before: KVStrips?
  /// [component, column]
  let rows: KVMatrix
  /// By component.
  let variances: [Float]
  /// [channel, component]: the inverse of the basis as it is rounded; nil for decoders.
  let analysis: KVStrips?

  init(_ link: KVProfileLink, state: Int, forEncoding: Bool) {
    width = link.width
    let columns = width + state
    means = KVMatrix(rows: 1, columns: columns)
    for (j, mean) in link.means.enumerated() { means[0, j] = Float(Float16(bitPattern: mean)) }
    rows = KVMatrix(rows: width, columns: columns)
    link.basis.store(in: rows, column: 0)
    link.updates?.store(in: rows, column: width)
    if let predictor = link.predictor {
      let matrix = KVMatrix(rows: state, columns: columns)
      predictor.store(in: matrix, column: 0)
      link.transitions?.store(in: matrix, column: width)
      before = KVStrips(matrix)
    } else {
      before = nil
    }
    variances = link.deviations.map { KVBlockScales.power(4 * (Int($0) - 128)) }
    analysis = forEncoding ? KVStrips(Self.inverse(rows, width)) : nil
  }

  private static func inverse(_ rows: KVMatrix, _ width: Int) -> KVMatrix {
    var matrix = KVDoubles(rows: width, columns: width)
    for i in 0..<width { for j in 0..<width { matrix[i, j] = Double(rows[i, j]) } }
    let inverse = matrix.inverse(), result = KVMatrix(rows: width, columns: width)
    for i in 0..<width { for j in 0..<width { result[i, j] = Float(inverse[i, j]) } }
    return result
  }
}
