/// Trained weights, dense [rows, columns], columns fastest: a matrix [outputs, inputs], or a vector with one row.
///
/// Both pointers are 64-byte aligned, and zeros follow the last element up to a multiple of 16 floats; they stay zero.
package final class Parameter {
  package let name: String
  package let rows: Int
  package let columns: Int
  /// Multiplies the optimiser's rate.
  package let rate: Float
  package let value: UnsafeMutablePointer<Float>
  /// Zeroed by the tape before each run; operators add to it, in an order that does not depend on threads.
  package let gradient: UnsafeMutablePointer<Float>

  package init(_ name: String, rows: Int, columns: Int, rate: Float = 1, values: [Float]? = nil) {
    precondition(rows >= 1 && columns >= 1, "a parameter needs elements")
    precondition(values == nil || values!.count == rows * columns, "\(name) has \(rows) x \(columns) elements")
    self.name = name
    self.rows = rows
    self.columns = columns
    self.rate = rate
    let padded = (rows * columns + 15) / 16 * 16
    value = alignedZeros(padded).assumingMemoryBound(to: Float.self)
    gradient = alignedZeros(padded).assumingMemoryBound(to: Float.self)
    if let values { load(values) }
  }

  deinit {
    UnsafeMutableRawPointer(value).deallocate()
    UnsafeMutableRawPointer(gradient).deallocate()
  }

  package var count: Int { rows * columns }

  package func load(_ values: [Float]) {
    precondition(values.count == count, "\(name) has \(count) elements")
    for (i, v) in values.enumerated() { value[i] = v }
  }

  package var elements: [Float] { [Float](UnsafeBufferPointer(start: value, count: count)) }
  package var gradientElements: [Float] { [Float](UnsafeBufferPointer(start: gradient, count: count)) }

  func zeroGradient() { gradient.update(repeating: 0, count: count) }
}
