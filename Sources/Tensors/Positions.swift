/// Which positions of a tensor a pointwise layer reads or writes; entropy-model passes see a part of the picture.
package enum Positions: Hashable, Sendable {
  case all
  /// Rows `row`, `row + step`, ... and columns `column`, `column + step`, ...
  case grid(row: Int, column: Int, step: Int)
  /// Where (row + column) is even (parity 0) or odd (parity 1).
  case checkerboard(parity: Int)

  /// A run of positions in one row.
  struct Run {
    var row: Int, column: Int, step: Int, count: Int
  }

  func rowCount(in shape: Shape) -> Int {
    switch self {
    case .all, .checkerboard: shape.height
    case .grid(let row, _, let step): shape.height > row ? (shape.height - row + step - 1) / step : 0
    }
  }

  /// The positions in the `index`-th of the rows.
  func run(_ index: Int, in shape: Shape) -> Run {
    switch self {
    case .all:
      return Run(row: index, column: 0, step: 1, count: shape.width)
    case .grid(let row, let column, let step):
      let count = shape.width > column ? (shape.width - column + step - 1) / step : 0
      return Run(row: row + index * step, column: column, step: step, count: count)
    case .checkerboard(let parity):
      let column = (index + parity) & 1
      return Run(row: index, column: column, step: 2, count: (shape.width - column + 1) / 2)
    }
  }
}
