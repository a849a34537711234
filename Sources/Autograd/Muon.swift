import CKernels
import Tensors

/// Momentum whose matrices are made nearly orthogonal (Jordan et al. 2024, "Muon"): each step changes a matrix by about as much in every
/// direction of its rows and columns. For the matrices of a network; what else it has goes by `Adam`.
///
/// m = beta m + (1 - beta) g; u = beta m + (1 - beta) g; O = five Newton-Schulz steps X <- a X + b (X X^T) X + c (X X^T)^2 X on u / |u|, which bring
/// all singular values near 1; W = W - rate scale O.
package final class Muon {
  package let beta: Float
  private var matrices: [OrthogonalMomentum] = []
  private let kernels: UnsafePointer<nc_planes>

  package init(beta: Float = 0.95, level: Kernels.Level? = nil) {
    self.beta = beta
    kernels = planeKernels(level)
  }

  /// - Parameter rate: multiplies the rate of each step: the largest singular value of a change.
  package func add(_ parameter: Parameter, rate: Float = 1) { matrices.append(OrthogonalMomentum(parameter, rate: rate, kernels: kernels)) }

  /// The momenta, in the order in which parameters were added; the inverse is `restore(_:)`.
  package var state: [Float] { matrices.flatMap(\.momentum) }

  /// False, and nothing changed, for a state of other parameters.
  package func restore(_ state: ArraySlice<Float>) -> Bool {
    guard state.count == matrices.reduce(0, { $0 + $1.momentum.count }) else { return false }
    var rest = state
    for matrix in matrices {
      matrix.momentum = Array(rest.prefix(matrix.momentum.count))
      rest = rest.dropFirst(matrix.momentum.count)
    }
    return true
  }

  package func step(rate: Float, threads: Int) {
    parallelFor(matrices.count, threads: threads) { self.matrices[$0].step(rate: rate, beta: self.beta) }
  }
}

private final class OrthogonalMomentum {
  private let parameter: Parameter
  private let rate: Float
  private let kernels: UnsafePointer<nc_planes>
  /// Laid out as the parameter.
  var momentum: [Float]
  /// The update with the shorter side as its rows, what it becomes, its transpose, and squares of the shorter side.
  private var x, next: DenseMatrix
  private let transposed, square, fourth: DenseMatrix

  init(_ parameter: Parameter, rate: Float, kernels: UnsafePointer<nc_planes>) {
    (self.parameter, self.rate, self.kernels) = (parameter, rate, kernels)
    momentum = [Float](repeating: 0, count: parameter.count)
    let short = min(parameter.rows, parameter.columns), long = max(parameter.rows, parameter.columns)
    (x, next, transposed) = (DenseMatrix(short, long), DenseMatrix(short, long), DenseMatrix(long, short))
    (square, fourth) = (DenseMatrix(short, short), DenseMatrix(short, short))
  }

  func step(rate: Float, beta: Float) {
    let (rows, columns) = (parameter.rows, parameter.columns), lies = rows > columns
    var squares = 0.0
    for i in 0..<rows {
      for j in 0..<columns {
        let g = parameter.gradient[i * columns + j]
        let m = beta * momentum[i * columns + j] + (1 - beta) * g, u = beta * m + (1 - beta) * g
        momentum[i * columns + j] = m
        squares += Double(u) * Double(u)
        if lies { x.at[j * x.pitch + i] = u } else { x.at[i * x.pitch + j] = u }
      }
    }
    guard squares > 0 else { return }
    let inverse = Float(1 / squares.squareRoot())
    for i in 0..<x.rows * x.pitch { x.at[i] *= inverse }
    for _ in 0..<5 { orthogonalise() }
    let scale = rate * self.rate
    for i in 0..<rows {
      for j in 0..<columns { parameter.value[i * columns + j] -= scale * (lies ? x.at[j * x.pitch + i] : x.at[i * x.pitch + j]) }
    }
  }

  /// One Newton-Schulz step, of the coefficients that Jordan et al. found to lift small singular values fastest.
  private func orthogonalise() {
    let (a, b, c): (Float, Float, Float) = (3.4445, -4.7750, 2.0315)
    let (n, m) = (x.rows, x.columns), k = kernels.pointee
    transposed.setTransposed(of: x)
    k.matmul(transposed.at, transposed.pitch, true, transposed.at, transposed.pitch, square.at, square.pitch, n, m, n, 0, 1)
    fourth.at.update(from: square.at, count: n * square.pitch)
    k.matmul(square.at, square.pitch, false, square.at, square.pitch, fourth.at, fourth.pitch, n, n, n, b, c)
    next.at.update(from: x.at, count: n * x.pitch)
    k.matmul(fourth.at, fourth.pitch, false, x.at, x.pitch, next.at, next.pitch, n, n, m, a, 1)
    swap(&x, &next)
  }
}
