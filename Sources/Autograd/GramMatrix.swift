import CKernels
import Tensors

/// The sum of outer products g g^T of vectors of n floats, added up in batches. It does not depend on the number of threads.
package final class GramMatrix {
  package let size: Int
  package let batch: Int
  private let vectors: DenseMatrix
  private let sum: DenseMatrix
  private let kernels = planeKernels(nil)

  package init(size: Int, batch: Int) {
    self.size = size
    self.batch = batch
    vectors = DenseMatrix(batch, size)
    sum = DenseMatrix(size, size)
  }

  /// Where vector `i` of the next batch goes, [size].
  package func vector(_ i: Int) -> UnsafeMutablePointer<Float> { vectors.at + i * vectors.pitch }

  /// Adds the batch, whose vectors stay as they are.
  package func addBatch(threads: Int) {
    let rows = 32
    parallelFor((size + rows - 1) / rows, threads: threads) { i in
      let first = i * rows
      kernels.pointee.matmul(
        vectors.at + first, vectors.pitch, true, vectors.at, vectors.pitch, sum.at + first * sum.pitch, sum.pitch,
        min(rows, size - first), batch, size, 1, 1)
    }
  }

  package subscript(i: Int, j: Int) -> Float { sum.at[i * sum.pitch + j] }
}
