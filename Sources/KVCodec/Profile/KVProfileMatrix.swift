import Bitstream
import Coding
import EntropyCoding
import Glibc

/// A matrix of integers of 8 bits, with a scale per row and per column:
///
///     rows      rows bytes, i8: k, a scale of 2^(k / 4)
///     columns   columns binary16 numbers, finite, at least 0
///     table     varint length, a range-coded table (KVTable) of symbols 1...255
///     numbers   varint length, a block rANS payload of rows * columns symbols, row by row: 128 more than the integer
// bitstream-spec 10.11.1
struct KVProfileMatrix: Sendable {
  let rows: Int
  let columns: Int
  let rowScales: [Int8]
  let columnScales: [UInt16]
  let numbers: [UInt8]

  static let rowScaleRange = -120...120

  init(_ fields: inout KVFields, rows: Int, columns: Int) throws {
    (self.rows, self.columns) = (rows, columns)
    rowScales = try fields.take(rows, "rows of a matrix").map { Int8(bitPattern: $0) }
    guard rowScales.allSatisfy({ Self.rowScaleRange.contains(Int($0)) }) else { throw CodecError.damagedProfile("a row's scale is out of range") }
    let halves = Array(try fields.take(2 * columns, "columns of a matrix"))
    columnScales = (0..<columns).map { UInt16(halves[2 * $0]) | UInt16(halves[2 * $0 + 1]) << 8 }
    guard columnScales.allSatisfy({ $0 < 0x7C00 }) else { throw CodecError.damagedProfile("a column's scale is no positive number") }
    var decoder = RangeDecoder(Array(try fields.prefixed("a matrix's table")))
    let table = try KVTable.decode(from: &decoder)
    try decoder.finish()
    numbers = try BlockRANS.decode(Array(try fields.prefixed("a matrix")), count: rows * columns, with: table)
  }

  /// The nearest to `matrix` [row][column], numbers being at most 127 times both scales.
  init(rounding matrix: KVDoubles) {
    (rows, columns) = (matrix.rows, matrix.columns)
    let (rows, columns) = (matrix.rows, matrix.columns)
    let scales = (0..<rows).map { i -> Int in
      let mean = ((0..<columns).reduce(0) { $0 + matrix[i, $1] * matrix[i, $1] } / Double(max(columns, 1))).squareRoot()
      guard mean > 1e-9 else { return Self.rowScaleRange.lowerBound }
      return min(max(Int((4 * log2(mean)).rounded()), Self.rowScaleRange.lowerBound), Self.rowScaleRange.upperBound)
    }
    rowScales = scales.map { Int8($0) }
    let powers = scales.map { Double(Self.power($0)) }
    columnScales = (0..<columns).map { j in
      let most = (0..<rows).reduce(0) { max($0, abs(matrix[$1, j]) / powers[$1]) }
      return Float16(min(max(most / 127, 6e-8), 6e4)).bitPattern
    }
    var numbers = [UInt8](repeating: 128, count: rows * columns)
    for i in 0..<rows {
      for j in 0..<columns {
        let scale = powers[i] * Double(Float16(bitPattern: columnScales[j]))
        numbers[i * columns + j] = UInt8(128 + min(max((matrix[i, j] / scale).rounded(), -127), 127))
      }
    }
    self.numbers = numbers
  }

  func append(to bytes: inout [UInt8]) {
    bytes += rowScales.map { UInt8(bitPattern: $0) }
    for scale in columnScales { bytes += [UInt8(truncatingIfNeeded: scale), UInt8(scale >> 8)] }
    var counts = [UInt32](repeating: 0, count: 256)
    for number in numbers { counts[Int(number)] += 1 }
    if numbers.isEmpty { counts[128] = 1 }
    // At most 256 symbols of counts below 2^32 make a table, and all numbers are among them.
    let table = try! BlockRANS.Table(CategoricalModel(counts: counts, precision: 12))
    var encoder = RangeEncoder()
    KVTable.encode(table, into: &encoder)
    for part in [encoder.finish(), try! BlockRANS.encode(numbers, with: table)] {
      Varint.append(UInt64(part.count), to: &bytes)
      bytes += part
    }
  }

  static func power(_ k: Int) -> Float { KVBlockScales.power(4 * k) }

  /// Into the columns of `matrix` from `column` on: fl(fl(number * row's scale) * column's scale).
  func store(in matrix: KVMatrix, column: Int) {
    let scales = columnScales.map { Float(Float16(bitPattern: $0)) }
    for i in 0..<rows {
      let row = matrix.row(i) + column, scale = Self.power(Int(rowScales[i]))
      for j in 0..<columns { row[j] = Float(Int(numbers[i * columns + j]) - 128) * scale * scales[j] }
    }
  }
}

/// One block of one layer.
///
///     means        C binary16 numbers, finite
///     deviations   C bytes: of component i 2^((b - 128) / 8)
///     basis        C x C: component, channel
///     updates      C x R: component, number of the state; not in a chain's last block
///     predictor    R x C: number of the state, channel; not in a chain's first block
///     transitions  R x R: number of the state before, after; neither in the first nor in the last
// bitstream-spec 10.11.1
struct KVProfileLink: Sendable {
  let means: [UInt16]
  let deviations: [UInt8]
  let basis: KVProfileMatrix
  let updates: KVProfileMatrix?
  let predictor: KVProfileMatrix?
  let transitions: KVProfileMatrix?

  var width: Int { means.count }

  init(_ fields: inout KVFields, width: Int, state: Int, isFirst: Bool, isLast: Bool) throws {
    let halves = Array(try fields.take(2 * width, "means"))
    means = (0..<width).map { UInt16(halves[2 * $0]) | UInt16(halves[2 * $0 + 1]) << 8 }
    guard means.allSatisfy({ $0 & 0x7C00 != 0x7C00 }) else { throw CodecError.damagedProfile("a mean is not finite") }
    deviations = Array(try fields.take(width, "deviations"))
    basis = try KVProfileMatrix(&fields, rows: width, columns: width)
    updates = isLast ? nil : try KVProfileMatrix(&fields, rows: width, columns: state)
    predictor = isFirst ? nil : try KVProfileMatrix(&fields, rows: state, columns: width)
    transitions = isFirst || isLast ? nil : try KVProfileMatrix(&fields, rows: state, columns: state)
  }

  /// basis: [component, channel]; updates: [component, state]; predictor: [state, channel]; transitions: [state, state].
  init(means: [Double], deviations: [Double], basis: KVDoubles, updates: KVDoubles?, predictor: KVDoubles?, transitions: KVDoubles?) {
    self.means = means.map { Float16(min(max($0, -65504), 65504)).bitPattern }
    self.deviations = deviations.map { UInt8(min(max((8 * log2(max($0, 1e-9))).rounded() + 128, 0), 255)) }
    self.basis = KVProfileMatrix(rounding: basis)
    self.updates = updates.map(KVProfileMatrix.init(rounding:))
    self.predictor = predictor.map(KVProfileMatrix.init(rounding:))
    self.transitions = transitions.map(KVProfileMatrix.init(rounding:))
  }

  func append(to bytes: inout [UInt8]) {
    for mean in means { bytes += [UInt8(truncatingIfNeeded: mean), UInt8(mean >> 8)] }
    bytes += deviations
    for matrix in [basis, updates, predictor, transitions] { matrix?.append(to: &bytes) }
  }
}
