import CKernels
import Tensors

/// Adam in the eigenbasis of Shampoo's preconditioners (Vyas et al. 2024, algorithm 3, with the moments kept in the
/// rotated basis as in the authors' code), over matrices; vectors, and matrices of more than 256 rows or columns, go by
/// plain Adam.
///
/// With Q the eigenvectors of the running means of G G^T and G^T G: G' = QL^T G QR; m and v are Adam's moments of G';
/// W = (W - rate c QL (m / (sqrt(v) + eps)) QR^T) (1 - rate decay), c = sqrt(1 - beta2^t) / (1 - beta1^t). The first
/// call only starts the means and takes their bases; every `frequency` steps one power iteration and an
/// orthonormalisation refresh those.
package final class SOAP {
  package let beta1: Float
  package let beta2: Float
  /// Of the preconditioners' running means.
  package let shampooBeta: Float
  package let eps: Float
  /// Steps between refreshes of the bases.
  package let frequency: Int
  package private(set) var steps = 0
  private var started = false
  private let kernels: UnsafePointer<nc_planes>
  private let vectors: Adam
  private var matrices: [RotatedAdam] = []

  package init(
    beta1: Float = 0.95, beta2: Float = 0.95, shampooBeta: Float = 0.95, eps: Float = 1e-8, frequency: Int = 10,
    level: Kernels.Level? = nil
  ) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.shampooBeta = shampooBeta
    self.eps = eps
    self.frequency = frequency
    kernels = planeKernels(level)
    vectors = Adam(beta1: beta1, beta2: beta2, eps: eps, level: level)
  }

  /// - Parameter rate: multiplies the rate of each step.
  package func add(_ parameter: Parameter, rate: Float = 1, decay: Float = 0) {
    precondition(!started, "parameters are added before the first step")
    if min(parameter.rows, parameter.columns) == 1 || max(parameter.rows, parameter.columns) > 256 {
      vectors.add(parameter, rate: rate, decay: decay)
    } else {
      matrices.append(RotatedAdam(parameter, rate: rate, decay: decay, kernels: kernels))
    }
  }

  package func step(rate: Float) {
    guard started else {
      started = true
      for matrix in matrices { matrix.start(shampooBeta: shampooBeta) }
      return
    }
    steps += 1
    vectors.step(rate: rate, threads: 1)
    let correction = Float((1 - power(beta2, steps)).squareRoot() / (1 - power(beta1, steps)))
    for matrix in matrices {
      matrix.step(rate: rate, correction: correction, beta1: beta1, beta2: beta2, eps: eps, shampooBeta: shampooBeta)
      if steps % frequency == 0 { matrix.refresh() }
    }
  }

  /// The rotations of the i-th matrix that was added: eigenvectors as rows, [rows, rows] and [columns, columns].
  package func bases(_ i: Int) -> (left: [Float], right: [Float]) { matrices[i].bases }
}

/// Rows of floats, a multiple of 16 floats apart, zeros behind each.
final class DenseMatrix {
  let rows: Int
  let columns: Int
  let pitch: Int
  let at: UnsafeMutablePointer<Float>

  init(_ rows: Int, _ columns: Int) {
    self.rows = rows
    self.columns = columns
    pitch = (columns + 15) / 16 * 16
    at = alignedZeros(rows * pitch).assumingMemoryBound(to: Float.self)
  }

  deinit { UnsafeMutableRawPointer(at).deallocate() }

  var elements: [Float] { (0..<rows).flatMap { UnsafeBufferPointer(start: at + $0 * pitch, count: columns) } }

  func setTransposed(of other: DenseMatrix) {
    for i in 0..<rows {
      for j in 0..<columns { at[i * pitch + j] = other.at[j * other.pitch + i] }
    }
  }
}

/// One side's preconditioner.
private final class Side {
  let n: Int
  /// The running mean of G G^T or G^T G.
  let mean: DenseMatrix
  /// Eigenvectors as rows, and as columns.
  let basis, columns: DenseMatrix
  private let product: DenseMatrix
  private(set) var order: [Int]
  private var eigenvalues: [Float]

  init(_ n: Int) {
    self.n = n
    mean = DenseMatrix(n, n)
    basis = DenseMatrix(n, n)
    columns = DenseMatrix(n, n)
    product = DenseMatrix(n, n)
    order = Array(0..<n)
    eigenvalues = [Float](repeating: 0, count: n)
  }

  func start() {
    let vectors = eigenvectors(mean.elements.map(Double.init), n: n)
    for i in 0..<n {
      for j in 0..<n { basis.at[i * basis.pitch + j] = Float(vectors[i * n + j]) }
    }
    columns.setTransposed(of: basis)
  }

  /// One power iteration, after sorting by the estimated eigenvalues; `order` tells which old vector became each new one.
  func refresh(_ kernels: UnsafePointer<nc_planes>) {
    kernels.pointee.matmul(
      basis.at, basis.pitch, false, mean.at, mean.pitch, product.at, product.pitch, n, n, n, 0, 1)
    for i in 0..<n {
      var sum: Float = 0
      for j in 0..<n { sum += product.at[i * product.pitch + j] * basis.at[i * basis.pitch + j] }
      eigenvalues[i] = sum
      order[i] = i
    }
    order.sort { eigenvalues[$0] == eigenvalues[$1] ? $0 < $1 : eigenvalues[$0] > eigenvalues[$1] }
    for i in 0..<n { (basis.at + i * basis.pitch).update(from: product.at + order[i] * product.pitch, count: n) }
    kernels.pointee.orthonormalize(basis.at, basis.pitch, n, n)
    columns.setTransposed(of: basis)
  }
}

private final class RotatedAdam {
  private let parameter: Parameter
  private let rate, decay: Float
  private let kernels: UnsafePointer<nc_planes>
  private let left, right: Side
  /// The gradient, its transpose, and the moments in the rotated basis.
  private let g, transposed, m, v: DenseMatrix
  private let a, b: DenseMatrix

  init(_ parameter: Parameter, rate: Float, decay: Float, kernels: UnsafePointer<nc_planes>) {
    self.parameter = parameter
    self.rate = rate
    self.decay = decay
    self.kernels = kernels
    let (r, c) = (parameter.rows, parameter.columns)
    left = Side(r)
    right = Side(c)
    g = DenseMatrix(r, c)
    transposed = DenseMatrix(c, r)
    m = DenseMatrix(r, c)
    v = DenseMatrix(r, c)
    a = DenseMatrix(r, c)
    b = DenseMatrix(r, c)
  }

  var bases: (left: [Float], right: [Float]) { (left.basis.elements, right.basis.elements) }

  func start(shampooBeta: Float) {
    fetch()
    learn(shampooBeta)
    left.start()
    right.start()
  }

  func step(rate: Float, correction: Float, beta1: Float, beta2: Float, eps: Float, shampooBeta: Float) {
    let rate = rate * self.rate
    fetch()
    rotate(g, into: b)
    // Adam's kernel on a value that it forgets leaves the step itself.
    kernels.pointee.adam(
      a.at, b.at, m.at, v.at, a.pitch, a.columns, a.rows, beta1, beta2, rate * correction, 1, eps, 0)
    rotateBack(a, into: g)
    let keep = 1 - rate * decay
    for i in 0..<parameter.rows {
      let to = parameter.value + i * parameter.columns, from = g.at + i * g.pitch
      for j in 0..<parameter.columns { to[j] = (to[j] + from[j]) * keep }
    }
    fetch()
    learn(shampooBeta)
  }

  func refresh() {
    rotateBack(m, into: g)
    left.refresh(kernels)
    right.refresh(kernels)
    rotate(g, into: m)
    for i in 0..<v.rows {
      for j in 0..<v.columns { a.at[i * a.pitch + j] = v.at[left.order[i] * v.pitch + right.order[j]] }
    }
    v.at.update(from: a.at, count: v.rows * v.pitch)
  }

  private func fetch() {
    for i in 0..<parameter.rows {
      let from = parameter.gradient + i * parameter.columns
      (g.at + i * g.pitch).update(from: from, count: parameter.columns)
    }
  }

  /// Takes g into the running means.
  private func learn(_ beta: Float) {
    transposed.setTransposed(of: g)
    kernels.pointee.matmul(
      transposed.at, transposed.pitch, true, transposed.at, transposed.pitch, left.mean.at, left.mean.pitch, left.n,
      right.n, left.n, beta, 1 - beta)
    kernels.pointee.matmul(
      g.at, g.pitch, true, g.at, g.pitch, right.mean.at, right.mean.pitch, right.n, left.n, right.n, beta, 1 - beta)
  }

  /// to = QL^T from QR; uses a.
  private func rotate(_ from: DenseMatrix, into to: DenseMatrix) {
    kernels.pointee.matmul(
      left.basis.at, left.basis.pitch, false, from.at, from.pitch, a.at, a.pitch, left.n, left.n, right.n, 0, 1)
    kernels.pointee.matmul(
      a.at, a.pitch, false, right.columns.at, right.columns.pitch, to.at, to.pitch, left.n, right.n, right.n, 0, 1)
  }

  /// to = QL from QR^T; uses b.
  private func rotateBack(_ from: DenseMatrix, into to: DenseMatrix) {
    kernels.pointee.matmul(
      left.basis.at, left.basis.pitch, true, from.at, from.pitch, b.at, b.pitch, left.n, left.n, right.n, 0, 1)
    kernels.pointee.matmul(
      b.at, b.pitch, false, right.basis.at, right.basis.pitch, to.at, to.pitch, left.n, right.n, right.n, 0, 1)
  }
}
