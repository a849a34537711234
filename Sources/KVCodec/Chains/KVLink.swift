import CKernels
import EntropyCoding

/// What encoder and decoder both know of one block of one layer, and learn from its decoded tokens: means, the basis of what
/// prediction leaves, a predictor from the same block of the two layers before, scales of symbols.
///
/// Deviations from means are kept as whole numbers of 2^-7 (of the block's scales), coefficients of 2^-6, so that sums over tokens
/// are exact; what follows from the sums is binary32 in a stated order.
// bitstream-spec 10.10.3 to 10.10.6
final class KVLink: KVChainLink, @unchecked Sendable {
  /// Tokens between flushes and events at most, with those left from before.
  static let historyTokens = 64 + KVChain.stretchTokens
  private static let limit: Int32 = 4095

  /// 0, 1 or 2.
  let predecessors: Int
  /// Whether a later block is predicted from this one.
  let feeds: Bool

  private(set) var mean: KVMatrix
  /// [component, channel]; nil: components are channels, and nothing adapts yet.
  private(set) var basis: KVMatrix?
  /// The basis, turned, for encoders.
  private var turnedBasis: KVStrips?
  override var analysis: KVStrips? { turnedBasis }
  /// [channel, coefficient]; nil before the first refresh, and where nothing is predicted from here.
  private(set) var inputs: KVStrips?
  /// [coefficient of the block before, then of the one before that; channel]
  private(set) var predictor: KVStrips?

  /// [pair of tokens, column]
  let deviations: KVGrid<Int32>
  let residuals: KVGrid<Int32>
  let coefficientHistory: KVGrid<Int32>

  private let keepsAnalysis: Bool
  private var sums: [Int32]
  private let covariance: KVMatrix
  private var residualCovariance: KVMatrix?
  private var residualWeight: Float = 0
  /// How the directions at the last refresh turned from those before; nil for anew.
  private var turned: KVMatrix?
  private var inputRows: KVMatrix?
  private var products: KVMatrix?
  private var crossProducts: KVMatrix?
  private var productWeight: Float = 0

  static func coefficients(width: Int) -> Int { width < 16 ? 0 : max(16, width / 64 * 16) }

  /// Bytes that a link of this width takes, about.
  static func byteCount(width: Int) -> Int {
    let c = coefficients(width: width)
    return 4 * (3 * width * width + 6 * c * width + 4 * c * c + historyTokens * (width + c / 2)) + 1 << 14
  }

  init(width: Int, predecessors: Int, feeds: Bool, keepsAnalysis: Bool) {
    self.keepsAnalysis = keepsAnalysis
    let coefficients = Self.coefficients(width: width)
    self.predecessors = coefficients > 0 ? predecessors : 0
    self.feeds = feeds && coefficients > 0
    mean = KVMatrix(rows: 1, columns: width)
    sums = [Int32](repeating: 0, count: width)
    covariance = KVMatrix(rows: width, columns: width)
    let pairs = Self.historyTokens / 2
    deviations = KVGrid(rows: pairs, columns: width)
    residuals = KVGrid(rows: pairs, columns: width)
    coefficientHistory = KVGrid(rows: self.feeds ? pairs : 0, columns: max(1, coefficients))
    super.init(width: width, columns: width, coefficients: coefficients)
  }

  /// Forgets all; a segment begins.
  func begin(step: Float) {
    self.step = step
    mean.clear()
    states = [Int32](repeating: KVScales.state(variance: 1 / (step * step)), count: width)
    sums = [Int32](repeating: 0, count: width)
    covariance.clear()
    (basis, turnedBasis, inputs, predictor) = (nil, nil, nil, nil)
    (residualCovariance, turned, inputRows, products, crossProducts) = (nil, nil, nil, nil, nil)
    (residualWeight, productWeight) = (0, 0)
  }

  override var adapts: Bool { basis != nil }

  // MARK: Tokens

  override func predict(into predicted: KVMatrix, tokens: Int, before: [KVMatrix]) {
    for t in 0..<tokens { predicted.row(t).update(from: mean.base, count: mean.pitch) }
    guard let predictor else { return }
    for (i, coefficients) in before.prefix(predecessors).enumerated() {
      predicted.add(
        rows: 0..<tokens, inner: self.coefficients, coefficients.base, row: coefficients.pitch, times: predictor,
        from: i * self.coefficients)
    }
  }

  override func restore(
    _ symbols: UnsafePointer<Int16>, step: Float, into residual: UnsafeMutablePointer<Float>, _ scratch: KVSparseScratch
  ) {
    for j in 0..<width { residual[j] = 0 }
    let count = values(of: symbols, offset: 0.0625, step: step, in: scratch)
    if let basis {
      kvKernels().sparse_row(scratch.list, scratch.factors, count, basis.base, basis.pitch, width, residual)
    } else {
      for i in 0..<count { residual[Int(scratch.list[i])] = scratch.factors[i] }
    }
  }

  override func file(
    first: Int, tokens: Int, values: KVMatrix, residual: KVMatrix, coefficients: KVMatrix, _ scratch: KVSparseScratch
  ) {
    let kernels = kvKernels()
    for t in 0..<tokens {
      let row = values.row(t), place = first + t
      for j in 0..<width { scratch.floats[j] = row[j] - mean.base[j] }
      kernels.wholes(scratch.floats, width, 128, Self.limit, scratch.wholes)
      store(scratch.wholes, in: deviations, at: place)
      if inputs != nil { for j in 0..<width { scratch.deviations.row(t)[j] = Float(scratch.wholes[j]) } }
      guard basis != nil else { continue }
      kernels.wholes(residual.row(t), width, 128, Self.limit, scratch.wholes)
      store(scratch.wholes, in: residuals, at: place)
    }
    guard let inputs else { return }
    for t in 0..<tokens {
      let row = scratch.products.row(t)
      for j in 0..<self.coefficients { row[j] = 0 }
    }
    scratch.products.add(
      rows: 0..<tokens, inner: width, scratch.deviations.base, row: scratch.deviations.pitch, times: inputs)
    for t in 0..<tokens {
      kernels.wholes(scratch.products.row(t), self.coefficients, 0.5, Self.limit, scratch.wholes)
      store(scratch.wholes, in: coefficientHistory, at: first + t)
      let row = coefficients.row(t)
      for j in 0..<self.coefficients { row[j] = Float(scratch.wholes[j]) }
    }
  }

  private func store(_ numbers: UnsafePointer<Int32>, in history: KVGrid<Int32>, at place: Int) {
    let row = history.row(place >> 1)
    if place & 1 == 0 {
      for j in 0..<history.columns { row[j] = numbers[j] & 0xFFFF }
    } else {
      for j in 0..<history.columns { row[j] |= numbers[j] << 16 }
    }
  }

  // MARK: History

  /// Adds up the first `tokens` tokens of the history. before: the links of the blocks that this one is predicted from.
  func addUp(from first: Int, tokens: Int, before: [KVLink]) {
    let (pair, pairs) = (first / 2, (tokens + 1) / 2)
    func add(_ x: KVGrid<Int32>, _ y: KVGrid<Int32>, to sum: KVMatrix, row: Int = 0, column: Int = 0, upper: Bool) {
      kvKernels().outer(
        x.row(pair), x.columns, x.pitch, y.row(pair), y.columns, y.pitch, pairs, upper ? 1 : 0, sum.row(row) + column, sum.pitch)
    }
    for i in pair..<pair + pairs {
      let row = deviations.row(i)
      for j in 0..<width { sums[j] += Int32(Int16(truncatingIfNeeded: row[j])) + row[j] >> 16 }
    }
    add(deviations, deviations, to: covariance, upper: true)
    if let residualCovariance {
      add(residuals, residuals, to: residualCovariance, upper: true)
      residualWeight += Float(tokens)
    }
    guard let products, let crossProducts else { return }
    for (i, a) in before.prefix(predecessors).enumerated() {
      for (j, b) in before.prefix(predecessors).enumerated() where i <= j {
        add(
          a.coefficientHistory, b.coefficientHistory, to: products, row: i * coefficients, column: j * coefficients,
          upper: i == j)
      }
      add(a.coefficientHistory, deviations, to: crossProducts, row: i * coefficients, upper: false)
    }
    productWeight += Float(tokens)
  }

  /// Moves the last `tokens` tokens of the history, which end at `end`, to its beginning; an even number stands before them.
  func keep(last tokens: Int, of end: Int) {
    let first = (end - tokens) / 2
    guard tokens > 0, first > 0 else { return }
    for (to, from) in (first..<(end + 1) / 2).enumerated() {
      deviations.row(to).update(from: deviations.row(from), count: width)
      residuals.row(to).update(from: residuals.row(from), count: width)
      guard feeds else { continue }
      coefficientHistory.row(to).update(from: coefficientHistory.row(from), count: coefficients)
    }
  }

  // MARK: Refreshes

  /// Moves means to those of all `count` tokens so far.
  private func recentre(_ count: Float) {
    let inverse = 1 / count
    let shift = KVMatrix(rows: 1, columns: width), weighted = KVMatrix(rows: 1, columns: width)
    for j in 0..<width {
      shift[0, j] = Float(sums[j]) * inverse
      weighted[0, j] = shift[0, j] * count
      mean[0, j] += shift[0, j] * 0x1p-7
      sums[j] = 0
    }
    covariance.add(
      rows: 0..<width, inner: 1, weighted.base, row: 1, inner: 0, times: shift, subtract: true)
  }

  /// While there are few tokens: scales by the channels' variances.
  func refreshScales(count: Int) {
    let count = Float(count)
    recentre(count)
    let inverse = 1 / (count + 4)
    for j in 0..<width {
      let variance = (max(covariance[j, j], 0) * 0x1p-14 + 0.6) * inverse + step * step * (1 / 12)
      states[j] = KVScales.state(variance: variance * 1.21 / (step * step))
    }
  }

  /// New means, and the directions that later blocks are predicted from. `full`: [width, width], for its own use.
  func refreshInputs(count: Int, _ full: KVMatrix) {
    recentre(Float(count))
    guard feeds else { return }
    full.copy(from: covariance)
    for j in 0..<width { full[j, j] += Float(count) * 16.384 }
    full.mirror()
    let rows = KVMatrix(rows: coefficients, columns: width)
    let gram = KVMatrix(rows: coefficients, columns: coefficients), transposed = KVMatrix(rows: width, columns: coefficients)
    if let old = inputRows {
      rows.add(old, times: full)
      rows.orthonormalise(gram: gram, transposed: transposed)
      rows.transpose(into: transposed)
      let turned = KVMatrix(rows: coefficients, columns: coefficients)
      turned.add(old, times: transposed)
      self.turned = turned
      inputs = KVStrips(transposed)
    } else {
      let order = Self.order(falling: full)
      for i in 0..<coefficients { rows.row(i).update(from: full.row(order[i]), count: width) }
      rows.orthonormalise(gram: gram, transposed: transposed)
      let again = KVMatrix(rows: coefficients, columns: width)
      again.add(rows, times: full)
      again.orthonormalise(gram: gram, transposed: transposed)
      rows.copy(from: again)
      rows.transpose(into: transposed)
      inputs = KVStrips(transposed)
      turned = nil
    }
    inputRows = rows
  }

  /// A new predictor, basis and scales, once the links `before` have their inputs.
  func refreshBasis(count: Int, before: [KVLink], _ full: KVMatrix) {
    refreshPredictor(count: count, before: before)
    let isFirst = residualCovariance == nil
    let sums = residualCovariance ?? KVMatrix(rows: width, columns: width)
    if isFirst {
      sums.copy(from: covariance)
      residualWeight = Float(count)
    }
    let shrinkage = min(0.5, 0.3 * Float(width) / residualWeight)
    let (whole, part) = (0x1p-14 / residualWeight, (1 - shrinkage) * (0x1p-14 / residualWeight))
    for i in 0..<width {
      let (to, from) = (full.row(i), sums.row(i))
      for j in i + 1..<max(i + 1, width) { to[j] = from[j] * part }
      to[i] = from[i] * whole + step * step * (1 / 12)
    }
    full.mirror()
    let next = KVMatrix(rows: width, columns: width)
    let gram = KVMatrix(rows: width, columns: width), transposed = KVMatrix(rows: width, columns: width)
    if let basis {
      next.add(basis, times: full)
    } else {
      let order = Self.order(falling: full), first = KVMatrix(rows: width, columns: width)
      for i in 0..<width { first.row(i).update(from: full.row(order[i]), count: width) }
      first.orthonormalise(gram: gram, transposed: transposed)
      next.add(first, times: full)
    }
    let values = next.orthonormalise(gram: gram, transposed: transposed)
    for i in 0..<width { states[i] = KVScales.state(variance: values[i] / (step * step)) }
    basis = next
    if keepsAnalysis {
      next.transpose(into: transposed)
      turnedBasis = KVStrips(transposed)
    }
    for i in 0..<width { sums.scaleRow(i, by: 0.8) }
    residualWeight *= 0.8
    residualCovariance = sums
  }

  private func refreshPredictor(count: Int, before: [KVLink]) {
    guard predecessors > 0 else { return }
    let size = predecessors * coefficients
    guard let products, let crossProducts else {
      products = KVMatrix(rows: size, columns: size)
      crossProducts = KVMatrix(rows: size, columns: width)
      return
    }
    products.mirror()
    turn(products, crossProducts, by: before.prefix(predecessors).map(\.turned))
    let factor = KVMatrix(rows: size, columns: size)
    factor.copy(from: products)
    let trace = (0..<size).reduce(Float(0)) { $0 + products[$1, $1] }
    let ridge = trace * 0.6 / productWeight + productWeight * (step * step * (4096 / 12))
    for i in 0..<size { factor[i, i] += ridge }
    let inverses = factor.factorise()
    let solution = KVMatrix(rows: size, columns: width)
    solution.copy(from: crossProducts)
    solution.solveForward(factor, inverses)
    solution.solveBackward(factor, inverses)
    for i in 0..<size { solution.scaleRow(i, by: 0x1p-7) }
    predictor = KVStrips(solution)
  }

  /// Turns sums of coefficients to the new directions.
  private func turn(_ products: KVMatrix, _ crossProducts: KVMatrix, by turns: [KVMatrix?]) {
    let size = products.rows
    let rows = KVMatrix(rows: size, columns: size), cross = KVMatrix(rows: size, columns: width)
    for (i, turn) in turns.enumerated() {
      guard let turn else { continue }
      let range = i * coefficients..<(i + 1) * coefficients
      rows.add(rows: range, inner: coefficients, turn.base, row: 1, inner: turn.pitch, times: products, from: range.lowerBound)
      cross.add(rows: range, inner: coefficients, turn.base, row: 1, inner: turn.pitch, times: crossProducts, from: range.lowerBound)
    }
    crossProducts.copy(from: cross)
    products.clear()
    for (i, turn) in turns.enumerated() {
      guard let turn else { continue }
      // Into the columns of this block.
      let first = i * coefficients
      var product = nc_kv_product(
        rows: size, inner: coefficients, columns: coefficients, a: rows.base + first, a_row: rows.pitch, a_inner: 1,
        b: turn.base, b_pitch: turn.pitch, c: products.base + first, c_pitch: products.pitch, subtract: 0)
      kvKernels().product(&product)
    }
  }

  /// Indices of the diagonal's numbers, the largest first, equal ones in order.
  private static func order(falling matrix: KVMatrix) -> [Int] {
    (0..<matrix.rows).sorted { a, b in
      let (x, y) = (matrix[a, a], matrix[b, b])
      return x != y ? x > y : a < b
    }
  }
}

/// What one thread needs to restore a batch of tokens of blocks of `width` channels and as many coefficients.
final class KVSparseScratch: @unchecked Sendable {
  private let lists: KVGrid<UInt16>
  private let rows: KVMatrix
  private let numbers: KVGrid<Int32>
  let deviations: KVMatrix
  let products: KVMatrix

  var list: UnsafeMutablePointer<UInt16> { lists.base }
  var factors: UnsafeMutablePointer<Float> { rows.row(0) }
  var floats: UnsafeMutablePointer<Float> { rows.row(1) }
  var wholes: UnsafeMutablePointer<Int32> { numbers.base }

  init(width: Int, coefficients: Int) {
    lists = KVGrid(rows: 1, columns: width)
    rows = KVMatrix(rows: 2, columns: width)
    numbers = KVGrid(rows: 1, columns: max(width, coefficients))
    deviations = KVMatrix(rows: KVChain.batchTokens, columns: width)
    products = KVMatrix(rows: KVChain.batchTokens, columns: max(1, coefficients))
  }
}
