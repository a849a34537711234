import CKernels
import Tensors

/// A perceptron with one hidden layer at every position, y = W2 relu(W1 x + b1) + b2, and beside it a linear map
/// l = A x of the same input. The hidden layer never leaves the cache. Gradients to the input and all weights.
package final class Perceptron: Operation {
  /// [outputs, H, W]
  package let output: Variable
  /// [outputs of A, H, W]
  package let linear: Variable

  /// As `ContextRate.sampling`.
  package var sampling = 1
  package var bandCount: Int { bands.number }

  package let targets: [Variable]
  package let parameters: [Parameter]

  private let input: Variable
  private let bands: Bands
  private let shape: nc_perceptron
  private let scratch: UnsafeMutablePointer<Float>
  private let scratchSize: Int
  private let gradientSize: Int
  private let planes: UnsafeMutablePointer<UnsafePointer<Float>?>
  private let gradients: UnsafeMutablePointer<UnsafeMutablePointer<Float>?>

  /// - Parameters:
  ///   - input: [inputs, H, W]
  ///   - first: W1 [width, inputs] and b1 [1, width]
  ///   - second: W2 [outputs, width] and b2 [1, outputs]
  ///   - linear: A [any, inputs]
  package init(
    _ input: Variable, first: (weights: Parameter, bias: Parameter), second: (weights: Parameter, bias: Parameter),
    linear a: Parameter
  ) {
    let width = first.weights.rows
    precondition(first.weights.columns == input.channels && first.bias.count == width, "first layer's shape")
    precondition(second.weights.columns == width && second.bias.count == second.weights.rows, "second layer's shape")
    precondition(a.columns == input.channels && width <= Int(NC_TILE_MAX_WIDTH), "linear map's shape or width")
    self.input = input
    output = Variable("perceptron", channels: second.weights.rows, height: input.height, width: input.width)
    linear = Variable("linear", channels: a.rows, height: input.height, width: input.width)
    precondition(input.gradient != nil, "the input needs a gradient")
    targets = [input]
    parameters = [first.weights, first.bias, second.weights, second.bias, a]
    bands = Bands(count: input.height, size: max(8, 1024 / input.width))
    planes = .allocate(capacity: input.channels)
    gradients = .allocate(capacity: input.channels)
    for i in 0..<input.channels {
      planes[i] = UnsafePointer(input.value + i * input.planeStride)
      gradients[i] = input.gradient! + i * input.planeStride
    }
    var shape = nc_perceptron()
    shape.inputs = Int32(input.channels)
    shape.width = Int32(width)
    shape.outputs = Int32(output.channels)
    shape.linear = Int32(linear.channels)
    shape.w1 = UnsafePointer(first.weights.value)
    shape.b1 = UnsafePointer(first.bias.value)
    shape.w2 = UnsafePointer(second.weights.value)
    shape.b2 = UnsafePointer(second.bias.value)
    shape.a = UnsafePointer(a.value)
    shape.columns = Int32(input.width)
    shape.x_pitch = input.pitch
    shape.y_pitch = output.pitch
    shape.l_pitch = linear.pitch
    shape.y_plane = output.planeStride
    shape.l_plane = linear.planeStride
    shape.x = UnsafePointer(planes)
    shape.gx = UnsafePointer(gradients)
    shape.y = output.value
    shape.gy = UnsafePointer(output.gradient)
    shape.l = linear.value
    shape.gl = UnsafePointer(linear.gradient)
    self.shape = shape
    gradientSize = (nc_perceptron_parameters(&shape) + 15) / 16 * 16
    scratchSize = gradientSize + (nc_perceptron_scratch(&shape) + 15) / 16 * 16
    scratch = alignedZeros(scratchSize * bands.number).assumingMemoryBound(to: Float.self)
  }

  deinit {
    planes.deallocate()
    gradients.deallocate()
    UnsafeMutableRawPointer(scratch).deallocate()
  }

  package func forward(_ pass: Pass) {
    parallelFor(bands.number, threads: pass.threads) { band in
      let rows = bands.range(band)
      var shape = shape
      pass.tiles.pointee.perceptron_forward(
        &shape, Int32(rows.lowerBound), Int32(rows.upperBound), scratch + band * scratchSize + gradientSize)
    }
  }

  package func backward(_ pass: Pass) {
    let overwrites = !pass.accumulates(0)
    parallelFor(bands.number, threads: pass.threads) { band in
      let rows = bands.range(band)
      var shape = shape
      shape.overwrite = overwrites
      let own = scratch + band * scratchSize
      pass.tiles.pointee.perceptron_backward(
        &shape, Int32(rows.lowerBound), Int32(rows.upperBound), pass.samples(band, every: sampling) ? own : nil, own + gradientSize)
    }
    let times = Float(sampling)
    for band in 0..<bands.number where pass.samples(band, every: sampling) {
      var from = scratch + band * scratchSize
      for parameter in parameters {
        for i in 0..<parameter.count { parameter.gradient[i] += times * from[i] }
        from += parameter.count
      }
    }
  }
}
